import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { FailingBackends } from './failing-backends.ts'

test('a backend that fails for so long is told of once; one that recovers or leaves meanwhile is not', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  const failed: number[] = []
  const failing = new FailingBackends((id) => failed.push(id))
  for (const id of [1, 2, 3]) failing.note(id, true, 1_000)
  failing.note(4, true, undefined)
  mock.timers.tick(600)
  // Another failed probe is no new beginning.
  failing.note(1, true, 1_000)
  failing.note(2, false, 1_000)
  failing.forget(3)
  mock.timers.tick(400)
  assert.deepEqual(failed, [1])
  mock.timers.tick(5_000)
  assert.deepEqual(failed, [1])
  failing.stop()
})

test('a time that is changed counts from the beginning of the failure', (t) => {
  let nowMs = 50_000
  mock.method(performance, 'now', () => nowMs)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.reset())
  t.after(() => mock.timers.reset())
  const pass = (durationMs: number): void => {
    nowMs += durationMs
    mock.timers.tick(durationMs)
  }
  const failed: number[] = []
  const failing = new FailingBackends((id) => failed.push(id))
  for (const id of [1, 2, 3]) failing.note(id, true, 3_600_000)
  pass(10_000)
  failing.note(1, true, 15_000)
  failing.note(2, true, 5_000)
  pass(1)
  assert.deepEqual(failed, [2])
  pass(4_998)
  assert.deepEqual(failed, [2])
  pass(1)
  assert.deepEqual(failed, [2, 1])
  pass(3_585_000)
  assert.deepEqual(failed, [2, 1, 3])
  failing.stop()
})
