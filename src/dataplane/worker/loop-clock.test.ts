import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LoopClock, loopClock } from './loop-clock.ts'

function told(clock: LoopClock, waitMs: number): number {
  const time = new Float64Array(1)
  clock(waitMs, time)
  return time[0]
}

function start() {
  const real = { nowMs: 5_000 }
  const tick = loopClock(() => real.nowMs)
  const clock = (waitMs: number): number => told(tick, waitMs)
  /** Waits as asked, and for so much longer; returns how much of it the clock has counted. */
  const wait = (askedMs: number, onTopMs: number): number => {
    const before = clock(-1)
    real.nowMs += Math.max(askedMs, 0) + onTopMs
    return clock(askedMs) - before
  }
  return { wait }
}

test('a wait counts as it was asked for, and so does what a busy machine puts on top', () => {
  const { wait } = start()
  assert.deepEqual([wait(0, 0), wait(100, 0), wait(8, 1_000), wait(0, 999)], [0, 100, 1_008, 999])
})

test('an overlong wait is left out, each time', () => {
  const { wait } = start()
  assert.equal(wait(100, 6_000), 0)
  assert.equal(wait(0, 3_600_000), 0)
  assert.equal(wait(100, 50), 150)
  assert.equal(wait(8, 1_001), 0)
  assert.equal(wait(8, 0), 8)
})

test('a loop without deadlines waits for ever, and all of that counts', () => {
  const { wait } = start()
  assert.equal(wait(-1, 86_400_000), 86_400_000)
})

test('it is the monotonic clock by itself', () => {
  const clock = loopClock()
  const before = performance.now()
  const time = told(clock, -1)
  assert.ok(time >= before && time <= performance.now())
})
