import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldBytes } from './held-bytes.ts'

test('a user is full with more than a quarter, all are with more than the whole, and what is given back is free again', () => {
  const held = new HeldBytes(100)
  held.hold('a', 25)
  assert.equal(held.isFull('a'), false)
  held.hold('a', 1)
  assert.deepEqual([held.isFull('a'), held.isFull('b')], [true, false])
  for (const user of ['b', 'c', 'd']) held.hold(user, 25)
  assert.deepEqual([held.total, held.isFull('e')], [101, true])
  held.release('a', 1)
  assert.deepEqual([held.isFull('a'), held.isFull('e')], [false, false])
})
