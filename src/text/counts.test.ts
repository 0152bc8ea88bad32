import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted, firstOf } from './counts.ts'

test('only of one thing the noun is as it is given', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => counted(count, 'backend')),
    ['0 backends', '1 backend', '2 backends'],
  )
})

test('words beyond the maximum are only counted', () => {
  assert.equal(firstOf([], 2), '')
  assert.equal(firstOf(['a', 'b'], 2), 'a, b')
  assert.equal(firstOf(['a', 'b', 'c', 'd'], 2), 'a, b, and 2 more')
})
