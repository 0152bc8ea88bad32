import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compilePattern } from './pattern.ts'

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
]

for (const [pattern, matching, others] of cases) {
  test(`"${pattern}" matches whole texts`, () => {
    const compiled = compilePattern(pattern)
    assert.ok(compiled)
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

test('what is no pattern is undefined', () => {
  const wrong = [
    '(',
    ')',
    '*',
    'a{',
    'a{3,2}',
    '[a',
    'a\\',
    '(?=a)',
    '[z-a]',
    '\\b',
    'a**'.repeat(3000),
    '(a{1000}){1000}',
  ]
  assert.deepEqual(
    wrong.filter((pattern) => compilePattern(pattern) !== undefined),
    [],
  )
})

test('a pattern that would keep a backtracking matcher busy for years takes no time', () => {
  const compiled = compilePattern('(a|aa|a*)*(a*)*b')
  assert.ok(compiled)
  const start = performance.now()
  assert.ok(!compiled.matches('a'.repeat(2000)))
  assert.ok(performance.now() - start < 2000)
})

test('patterns made of the common syntax agree with JavaScript’s', () => {
  const part = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', 'a*', 'b+', '(ab|b)', '(a|b)*', 'a?', 'b{1,2}', '|')
  const texts = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((letters) => letters.join(''))
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), texts, (parts, text) => {
      const source = parts.join('')
      assert.equal(compilePattern(source)?.matches(text), new RegExp(`^(?:${source})$`).test(text), `${source} ${text}`)
    }),
    { numRuns: 2000 },
  )
})
