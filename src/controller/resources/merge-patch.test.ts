import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergePatch } from './merge-patch.ts'

// RFC 7396, appendix A.
const EXAMPLES: readonly (readonly [value: unknown, patch: unknown, result: unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

for (const [value, patch, result] of EXAMPLES) {
  test(`${JSON.stringify(patch)} makes ${JSON.stringify(result)} of ${JSON.stringify(value)}`, () => {
    const before = structuredClone(value)
    assert.deepEqual(mergePatch(value, patch), result)
    assert.deepEqual(value, before, 'what is merged into stays as it was')
  })
}

test('a field called __proto__ is a field, and no prototype', () => {
  const patch: unknown = JSON.parse('{"__proto__": {"isAdmin": true}, "constructor": {"prototype": {"isAdmin": true}}}')
  const merged = mergePatch({ name: 'n' }, patch) as Record<string, unknown>
  assert.deepEqual(Object.keys(merged), ['name', '__proto__', 'constructor'])
  assert.equal(Object.getPrototypeOf(merged), Object.prototype)
  assert.equal(merged.isAdmin, undefined)
  assert.equal(({} as Record<string, unknown>).isAdmin, undefined)
  const again = mergePatch(merged, JSON.parse('{"__proto__": {"more": 1}}')) as object
  assert.equal(JSON.stringify(Object.entries(again)[1]), '["__proto__",{"isAdmin":true,"more":1}]')
})
