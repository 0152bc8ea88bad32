import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { METRICS } from '../../telemetry/metrics.ts'
import { LineRole, TestApp, type TestLimits, TestLoop } from '../connection/test-loop.ts'

/** What prlimit(1) may need to be run: freed again before the limit is restored. */
const DESCRIPTORS_TO_SPAWN = 64

/** How long a listener waits for a free place, and the grain of its timer. */
const LIMIT_PAUSE_MS = 28

function start(t: TestContext, limits: Partial<TestLimits> = {}) {
  const app = new TestApp()
  const loop = new TestLoop(new LineRole(app.endpoint), limits)
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, loop }
}

/** Lowers this process's limit of open files to those it has open and `spare` more, until the test ends. */
function limitDescriptors(t: TestContext, spare: number): void {
  const before = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  const setLimit = (limit: number): void => {
    execFileSync('prlimit', [`--pid=${process.pid}`, `--nofile=${limit}:`])
  }
  // The limit bounds the number of a descriptor, so that the gaps below must be filled.
  const highest = Math.max(...readdirSync('/proc/self/fd').map(Number))
  const fillers: number[] = []
  while (fillers.length < DESCRIPTORS_TO_SPAWN || fillers[fillers.length - 1] <= highest) {
    fillers.push(openSync('/dev/null', 'r'))
  }
  t.after(() => {
    for (const fd of fillers) closeSync(fd)
    setLimit(Number(before))
  })
  setLimit(fillers[fillers.length - 1] + 1 + spare)
}

for (const limits of [{ connectionsPerWorkerMax: 2 }, { connectionsMax: 2 }]) {
  test(`with ${Object.keys(limits)} reached, further clients wait in the queue and are served in turn`, (t) => {
    const { loop } = start(t, limits)
    const clients = Array.from({ length: 5 }, () => loop.connect())
    loop.until('accepted', () => loop.loop.openCount === 2)
    loop.advance(LIMIT_PAUSE_MS)
    assert.equal(loop.loop.openCount, 2)
    assert.ok(loop.counters.read(METRICS.acceptPauses.slots.limit) >= 1)
    assert.deepEqual(loop.logged, ['warn: All places are taken: further clients wait until a connection ends'])
    for (const [index, client] of clients.entries()) {
      client.finish()
      loop.until('ended', () => loop.ended.length === index + 1)
      loop.advance(LIMIT_PAUSE_MS)
      assert.ok(loop.loop.openCount <= 2)
      assert.equal(loop.read(client), 'FIN')
    }
    assert.equal(loop.counters.read(METRICS.accepted.slot), 5)
    assert.equal(loop.logged.length, 1, 'once a minute')
    loop.advance(60_000)
    for (let count = 0; count < 3; count++) loop.connect()
    loop.until('it is said again', () => loop.logged.length === 2)
  })
}

test('a place that becomes free is given away at once, not at the next look', (t) => {
  const { loop } = start(t, { connectionsPerWorkerMax: 1 })
  const [first] = [loop.connect(), loop.connect()]
  loop.until('accepted', () => loop.loop.openCount === 1)
  loop.settle()
  first.finish()
  loop.until('the second is accepted while the clock stands still', () => {
    return loop.counters.read(METRICS.accepted.slot) === 2
  })
})

test('out of descriptors: accepting pauses longer each time, is counted and logged, and goes on afterwards', (t) => {
  const { loop } = start(t)
  const clients = Array.from({ length: 6 }, () => loop.connect())
  limitDescriptors(t, 2)
  const errors = (): number => loop.counters.read(METRICS.acceptErrors.slots.EMFILE)
  loop.until('EMFILE', () => errors() === 1)
  assert.ok(loop.loop.openCount >= 1)
  for (const [index, pauseMs] of [50, 100, 200, 400, 800, 800, 800].entries()) {
    loop.advance(pauseMs - 1)
    assert.equal(errors(), index + 1, `not before ${pauseMs} ms`)
    loop.advance(9)
    assert.equal(errors(), index + 2)
  }
  assert.equal(loop.logged.length, 8)
  assert.match(loop.logged[0], /^warn: Accepting paused for 50 ms: EMFILE/)
  assert.equal(loop.counters.read(METRICS.acceptPauses.slots.resources), 8)
  while (loop.counters.read(METRICS.accepted.slot) < clients.length) {
    for (const client of clients) client.finish()
    loop.advance(900)
  }
  assert.ok(clients.every((client) => loop.read(client) === 'FIN'))
})
