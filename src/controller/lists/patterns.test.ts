import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Pattern, Patterns } from './patterns.ts'

class Refused extends Error {}

function patterns(clock?: () => number): Patterns {
  return new Patterns((why) => new Refused(why), clock)
}

function compile(source: string): Pattern {
  return patterns().compile(source)
}

const cases: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
  ['my-.*', ['my-', 'my-tcp-lb'], ['my', 'a-my-tcp-lb', 'my-\n']],
  ['^a|b$', ['a', 'b'], ['ab', '']],
  ['(ab)+c?', ['ab', 'ababc'], ['', 'abcc', 'aba']],
  ['[a-c_][^0-9]', ['ax', '_-'], ['a1', 'dx']],
  ['\\d{2,3}', ['12', '123'], ['1', '1234']],
  ['a{2}', ['aa'], ['a', 'aaa']],
  ['a{2,}', ['aa', 'aaaa'], ['a']],
  ['\\.\\w\\S', ['.a!'], ['xa!', '. !']],
  ['(?:)', [''], ['a']],
  ['[]a]', [']', 'a'], ['b']],
  ['(a*)*', ['', 'aaa'], ['b']],
  ['[a\\d-]', ['a', '7', '-'], ['b']],
  ['(?i)my-LB', ['MY-lb'], ['my']],
  ['(?P<name>a)', ['a'], ['b']],
  ['a{,2}', ['a{,2}'], ['aa']],
  ['.*\\bdefault\\b.*', ['default', 'networks/default', 'a-default-b'], ['defaults', 'network']],
  ['é|\\x{1F600}', ['é', '😀'], ['e']],
]

for (const [pattern, matching, others] of cases) {
  test(`"${pattern}" matches whole texts`, () => {
    const compiled = compile(pattern)
    assert.deepEqual(
      matching.filter((text) => !compiled.matches(text)),
      [],
    )
    assert.deepEqual(
      others.filter((text) => compiled.matches(text)),
      [],
    )
  })
}

for (const source of ['(', ')', '*', 'a{3,2}', '[a', 'a\\', '(?=a)', '(?<=a)b', '(a)\\1', '[z-a]', 'a{1001}']) {
  test(`"${source}" is no pattern`, () => {
    assert.throws(() => compile(source), { message: `"${source}" is not a valid pattern` })
  })
}

test('a pattern that would keep a backtracking matcher busy for years takes no time', () => {
  const startMs = performance.now()
  for (const source of ['(a|aa|a*)*(a*)*b', '(a+)+$', '(.*)*x', '(a|a?)+b']) {
    assert.ok(!compile(source).matches(`${'a'.repeat(2000)}!`), source)
  }
  assert.ok(performance.now() - startMs < 5_000)
})

const tooLarge = [
  'x{1000}'.repeat(1100),
  '(a{1000}){1000}',
  `(${'a?'.repeat(4000)}){1000}`,
  '((((a{9}){9}){9}){9}){9}',
  '(?:x{20}){40}'.repeat(100),
  'a{100}{100}'.repeat(50),
  'a{100}?{100}'.repeat(50),
  `${'('.repeat(5000)}${')'.repeat(5000)}`,
  `${'(?:'.repeat(2000)}a${')*'.repeat(2000)}`,
]

for (const source of tooLarge) {
  test(`a pattern that would grow large is refused before it does: ${source.slice(0, 20)}`, () => {
    const before = process.memoryUsage().heapUsed
    const startMs = performance.now()
    assert.throws(() => compile(source), Refused)
    assert.ok(performance.now() - startMs < 5_000)
    assert.ok(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024)
  })
}

test('patterns of an everyday size are not refused for their counts', () => {
  assert.ok(compile('[a-z]([-a-z0-9]{0,61}[a-z0-9])?').matches('my-tcp-lb'))
  assert.ok(compile('(?:[0-9]{1,3}\\.){3}[0-9]{1,3}').matches('203.0.113.10'))
  assert.ok(compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}').matches('123e4567-e89b-12d3-a456-426614174000'))
  const names = Array.from({ length: 500 }, (_, index) => `backend-${index}`)
  assert.ok(compile(names.join('|')).matches('backend-499'))
})

test('a match that would take minutes is refused', () => {
  const pattern = compile('(a?){1000}a{9}')
  assert.ok(pattern.matches('a'.repeat(50)))
  assert.throws(() => pattern.matches('a'.repeat(100_000)), /too much for a text that long/)
})

test('all patterns of a filter together have one second, for compiling and for matching', () => {
  let nowMs = 0
  const slow = patterns(() => (nowMs += 250))
  const [first, second] = [slow.compile('a'), slow.compile('b')]
  assert.ok(first.matches('a'))
  assert.ok(second.matches('b'))
  assert.ok(first.matches('a'))
  assert.throws(() => second.matches('b'), /take too long/)
  assert.throws(() => slow.compile('c'), /take too long/)
})

test('patterns made of the common syntax agree with JavaScript’s', () => {
  const part = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', 'a*', 'b+', '(ab|b)', '(a|b)*', 'a?', 'b{1,2}', '|')
  const texts = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((letters) => letters.join(''))
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), texts, (parts, text) => {
      const source = parts.join('')
      assert.equal(compile(source).matches(text), new RegExp(`^(?:${source})$`).test(text), `${source} ${text}`)
    }),
    { numRuns: 2000 },
  )
})

test('whatever a client sends is a pattern or is refused', () => {
  const piece = fc.constantFrom(
    ...'()[]{}*+?|^$.\\-,:=!<>aZ19 ~é\0\n',
    '(?:',
    '(?P<n>',
    '\\p{',
    '\\Q',
    '{2,3}',
    '\ud800',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }), fc.string(), (pieces, text) => {
      try {
        assert.equal(typeof compile(pieces.join('')).matches(text), 'boolean')
      } catch (error) {
        assert.ok(error instanceof Refused, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
