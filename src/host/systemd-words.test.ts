import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { credentialSetting, quoteAssignment, quoteCommandLine } from './systemd-words.ts'

const ESCAPED: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', '"': '"', "'": "'", s: ' ' }

/**
 * Reads a command line as systemd does: words and quotes with C escapes (systemd.syntax(7), "Quoting"), then specifiers
 * (systemd.unit(5), "Specifiers"), then variables behind the program (systemd.service(5), "Command lines").
 */
function readCommandLine(line: string): string[] {
  assert.ok(!line.includes('\n'), 'a line of a unit file')
  return splitWords(line).map((word, index) => {
    assert.match(word.replaceAll('%%', ''), /^[^%]*$/, 'every "%" is doubled')
    const text = word.replaceAll('%%', '%')
    if (index === 0) return text
    assert.match(text.replaceAll('$$', ''), /^[^$]*$/, 'every "$" is doubled')
    return text.replaceAll('$$', '$')
  })
}

function splitWords(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const character = line[at]
    if (character === '\\') {
      const hex = /^x([0-9a-f]{2})/.exec(line.slice(at + 1))
      const simple = ESCAPED[line[at + 1]]
      assert.ok(hex !== null || simple !== undefined, `an escape that systemd knows: ${line.slice(at, at + 4)}`)
      word = (word ?? '') + (hex === null ? simple : String.fromCharCode(Number.parseInt(hex[1], 16)))
      at += hex === null ? 1 : 3
    } else if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (character === ' ' || character === '\t') {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      const isLone = character === ';' && word === undefined && /^( |$)/.test(line.slice(at + 1))
      assert.ok(!isLone, 'a lone ";" without quotes would begin another command')
      word = (word ?? '') + character
    }
  }
  assert.equal(quote, '', 'every quote is closed')
  return word === undefined ? words : [...words, word]
}

const anyWord = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(' ', '%', '$', '"', "'", '\\', ';', '\n', '\t', 'a', '\x01', '\x7f', '{', '}', '#', 'ü'),
  }),
)

test('systemd reads from a quoted command line exactly the words that went in', () => {
  fc.assert(
    fc.property(fc.array(anyWord.filter((word) => !word.includes('\0'))), (words) => {
      const all = ['/opt/true peer/bin/100%', ...words]
      assert.deepEqual(readCommandLine(quoteCommandLine(all)), all)
    }),
    { numRuns: 2_000 },
  )
})

test('ordinary words stay as they are, special ones become what the manual says', () => {
  const line = quoteCommandLine([
    '/bin/a',
    '-l',
    '[::1]:110',
    'a b',
    '100%',
    '$HOME',
    '"',
    '\\',
    ';',
    '',
    "it's",
    '\x07',
  ])
  const expected = String.raw`/bin/a -l [::1]:110 "a b" "100%%" "$$HOME" "\"" "\\" ";" "" "it's" "\x07"`
  assert.equal(line, expected)
  assert.equal(quoteAssignment('PATH', '/a b/100%/$x'), '"PATH=/a b/100%%/$x"')
})

test('a credential is named with its file, or refused', () => {
  assert.equal(credentialSetting('token', '/a b/100%/"x"'), 'token:/a b/100%%/"x"')
  for (const path of ['token', '/', '/a\n', '/a\nUser=root', '/a ', '/a\\']) {
    assert.throws(() => credentialSetting('token', path), /absolute path/, path)
  }
})

test('what systemd could not run is refused', () => {
  assert.throws(() => quoteCommandLine(['truepeer']), /absolute path/)
  assert.throws(() => quoteCommandLine([]), /absolute path/)
  assert.throws(() => quoteCommandLine(['/bin/a', 'a\0b']), /zero byte/)
})
