import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pause } from '../../../test/rig/eventually.ts'
import { LoopLag } from './loop-lag.ts'

/** Keeps this thread busy: nothing else runs meanwhile. */
function block(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}

test('a thread that was busy for longer than 100 ms has lagged, also before it has come round to notice', () => {
  const watch = new LoopLag().watch()
  assert.equal(watch.hasLagged(), false)
  block(150)
  assert.equal(watch.hasLagged(), true)
  assert.equal(watch.hasLagged(), true, 'it stays so for this watch')
  watch.end()
})

test('what was before a watch is not held against it, and what is after it, neither', () => {
  const lag = new LoopLag()
  const first = lag.watch()
  block(150)
  assert.equal(first.hasLagged(), true)
  const second = lag.watch()
  assert.equal(second.hasLagged(), false)
  first.end()
  second.end()
  // Nobody watches: the next watch begins from now on, not from the last tick.
  block(150)
  const third = lag.watch()
  assert.equal(third.hasLagged(), false)
  third.end()
})

test('to end a watch twice does not end that of another', async () => {
  const lag = new LoopLag()
  const [first, second] = [lag.watch(), lag.watch()]
  first.end()
  first.end()
  block(150)
  // Noticed by a tick, after which the thread is on time again.
  await pause(1, 'a turn of the loop with a tick')
  assert.equal(second.hasLagged(), true)
  second.end()
})

test('a thread that comes round to its events in time has not lagged, however long it is watched', async () => {
  const watch = new LoopLag().watch()
  // Each turn is short; together they are longer than 100 ms. A busy machine may still be late: then nothing is shown.
  let longestMs = 0
  let lastMs = performance.now()
  for (const endMs = lastMs + 200; lastMs < endMs; ) {
    await pause(5, 'a turn of the loop, whose length is the subject')
    longestMs = Math.max(longestMs, performance.now() - lastMs)
    lastMs = performance.now()
  }
  if (longestMs < 50) assert.equal(watch.hasLagged(), false)
  watch.end()
})
