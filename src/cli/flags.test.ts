import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listFlag, parseFlags, quoted, switchFlag, UsageError, valueFlag } from './flags.ts'

const asIs = (text: string): string => text
const table = {
  mark: valueFlag('mark', 'N', 'A number', Number, '0'),
  listen: valueFlag('l', 'ADDR:PORT', 'Where', asIs),
  backends: listFlag('backend', 'ADDR:PORT', 'Where to', asIs),
  isOpen: switchFlag('open', 'A switch'),
}

test('one dash and two, a word of its own and "=" mean the same', () => {
  for (const argv of [['-mark', '7'], ['--mark', '7'], ['-mark=7'], ['--mark=7']]) {
    assert.deepEqual(parseFlags(argv, table).mark, [7], argv.join(' '))
  }
  for (const argv of [['-l', 'x'], ['--l', 'x'], ['-l=x'], ['--l=x']]) {
    assert.deepEqual(parseFlags(argv, table).listen, ['x'], argv.join(' '))
  }
  assert.deepEqual(parseFlags(['-open'], table).isOpen, parseFlags(['--open'], table).isOpen)
})

test('a flag that was not given has its default, or no value', () => {
  assert.deepEqual(parseFlags([], table), { mark: [0], listen: [], backends: [], isOpen: [] })
})

test('values are taken as they stand: empty, with "=", dashes, spaces and line feeds', () => {
  for (const value of ['', 'a=b', '=', '-', '--', '-x', '-1', 'a b', 'a\nb', '--no-flag-of-ours']) {
    assert.deepEqual(parseFlags(['-l', value], table).listen, [value], JSON.stringify(value))
    assert.deepEqual(parseFlags([`-l=${value}`], table).listen, [value], JSON.stringify(value))
  }
})

test('a list keeps its order', () => {
  assert.deepEqual(parseFlags(['--backend', 'b', '-backend=a'], table).backends, ['b', 'a'])
})

for (const [name, argv, message] of [
  ['an unknown flag', ['--marc', '1'], 'Unknown flag "--marc"; did you mean --mark? --help lists the flags'],
  ['an unknown flag with one dash', ['-x=1'], 'Unknown flag "-x=1"; --help lists the flags'],
  ['a name of every object', ['--constructor', '1'], 'Unknown flag "--constructor"; --help lists the flags'],
  ['a part of a name', ['--mar', '1'], 'Unknown flag "--mar"; --help lists the flags'],
  ['letters in the wrong case', ['--MARK', '1'], 'Unknown flag "--MARK"; did you mean --mark? --help lists the flags'],
  ['a word', ['mark'], 'Unexpected "mark": only flags are allowed here; see --help'],
  ['an empty word', [''], 'Unexpected "": only flags are allowed here; see --help'],
  ['a dash', ['-'], 'Unexpected "-": only flags are allowed here; see --help'],
  ['two dashes', ['--'], 'Unexpected "--": only flags are allowed here; see --help'],
  ['three dashes', ['---mark'], 'Unexpected "---mark": only flags are allowed here; see --help'],
  ['a value that is missing at the end', ['--mark'], '--mark needs a value: N'],
  ['a value that is missing before a flag', ['-l', '--mark', '1'], '-l needs a value: ADDR:PORT'],
  ['a value that is missing before "="', ['-l', '-mark=1'], '-l needs a value: ADDR:PORT'],
  ['a switch with a value', ['--open=false'], '--open takes no value; leave "=" out'],
  ['a word behind a switch', ['--open', 'false'], 'Unexpected "false": only flags are allowed here; see --help'],
  ['a repeated flag', ['--mark', '1', '-mark=1'], '--mark is given 2 times; give it once'],
  ['a repeated switch', ['--open', '-open', '--open'], '--open is given 3 times; give it once'],
] as const) {
  test(`${name} is a usage error that says what to do`, () => {
    assert.throws(() => parseFlags(argv, table), { name: UsageError.name, message })
  })
}

test('a hostile word is shown escaped and short', () => {
  assert.equal(quoted('a"\u001b[2J\n'), String.raw`"a\"\u001b[2J\n"`)
  assert.equal(quoted('a\u202eb'), String.raw`"a\u{202e}b"`)
  assert.equal(quoted('x'.repeat(100_000)), `"${'x'.repeat(80)}…"`)
})
