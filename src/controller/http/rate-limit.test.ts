import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimit } from './rate-limit.ts'

test('a key has its burst at once, then its rate, and never more than the burst again', () => {
  let nowMs = 0
  const limit = new RateLimit({ perSecond: 10, burst: 3 }, () => nowMs)
  const taken = (count: number): boolean[] => Array.from({ length: count }, () => limit.take('a'))
  assert.deepEqual(taken(4), [true, true, true, false])
  nowMs = 99
  assert.deepEqual(taken(1), [false])
  nowMs = 200
  assert.deepEqual(taken(3), [true, true, false])
  nowMs = 1_000_000
  assert.deepEqual(taken(4), [true, true, true, false])
})

test('of very many keys those that were quiet for longest are forgotten', () => {
  const limit = new RateLimit({ perSecond: 0, burst: 1 }, () => 0)
  assert.ok(limit.take('first'))
  assert.ok(limit.take('second'))
  for (let key = 0; key < 9_998; key++) assert.ok(limit.take(`${key}`))
  assert.equal(limit.take('first'), false)
  // One more key than there is room for: "second" is now the one that was quiet for longest.
  assert.ok(limit.take('another'))
  assert.ok(limit.take('second'))
  assert.equal(limit.take('first'), false)
})
