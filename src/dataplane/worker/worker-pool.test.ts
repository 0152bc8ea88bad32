import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually, pause } from '../../../test/rig/eventually.ts'
import { formatEndpoint } from '../../address/endpoint.ts'
import { ipv4Address } from '../../address/ip-address.ts'
import { openPort } from '../../linux/datagram.ts'
import { close, localEndpoint, openListener } from '../../linux/socket.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { NO_LIVENESS, WIDE_LIMITS } from '../connection/test-loop.ts'
import { TestDatagrams } from '../flow/test-flows.ts'
import type { TestRoleOptions } from './test-worker.ts'
import { makePulse, Watchdog } from './watchdog.ts'
import { WorkerPool } from './worker-pool.ts'

const LOOPBACK = ipv4Address(0x7f000001)

/** A pool of two workers, what it has logged, and the workers that were reported as stuck. */
async function start(t: TestContext, timeoutMs = 60_000) {
  const logged: string[] = []
  const reported: number[] = []
  const pool = new WorkerPool<TestRoleOptions>({
    entry: new URL('./test-worker.js', import.meta.url),
    role: null,
    workers: 2,
    limits: WIDE_LIMITS,
    log: (level, message, fields) => logged.push(`${level}: ${message} ${fields?.worker ?? ''}`),
    warmsUp: false,
    watchdog: { timeoutMs, onStuck: (worker) => reported.push(worker) },
    onFatal: (error) => assert.fail(error),
  })
  t.after(() => pool.stopNow())
  await pool.respond()
  return { pool, logged, reported }
}

test('workers that are stuck are told, once for each time, and so is that they are back', async (t) => {
  const { pool, logged, reported } = await start(t, 250)
  const idle = { workers: 2, stuck: [], stalls: 0 }
  assert.deepEqual(pool.liveness(), idle)
  const until = new Int32Array(new SharedArrayBuffer(4))
  // They are awake now and then while they are idle, and that is all right.
  await pause(600, 'more than two beats of the watchdog, in which nothing is to be said')
  assert.deepEqual([pool.liveness(), logged], [idle, []])
  pool.define('stuck', { until })
  await eventually('they are stuck', () => pool.liveness().stuck.length === 2)
  assert.deepEqual(await pool.connections(10), { connections: [], next: undefined }, 'nobody waits for them')
  assert.deepEqual(reported.sort(), [0, 1])
  assert.deepEqual(pool.liveness(), { workers: 2, stuck: [0, 1], stalls: 2 })
  Atomics.store(until, 0, 1)
  Atomics.notify(until, 0)
  await eventually('they are back', () => pool.liveness().stuck.length === 0)
  assert.deepEqual(logged.sort(), [
    'error: a worker is stuck: its clients get no answers 0',
    'error: a worker is stuck: its clients get no answers 1',
    'info: a worker answers again 0',
    'info: a worker answers again 1',
  ])
  assert.equal(pool.liveness().stalls, 2)
})

test('who asks for connections before a worker is found to be stuck does not wait for it', async (t) => {
  const { pool } = await start(t, 250)
  const until = new Int32Array(new SharedArrayBuffer(4))
  pool.define('stuck', { until })
  assert.deepEqual(await pool.connections(10), { connections: [], next: undefined })
  assert.equal(pool.liveness().stuck.length, 2)
  Atomics.store(until, 0, 1)
  Atomics.notify(until, 0)
})

test('a worker that is stuck from its first message on is found out', async (t) => {
  const { pool } = await start(t, 1_000)
  const until = new Int32Array(new SharedArrayBuffer(4))
  pool.define('stuck', { until })
  await eventually('both are stuck', () => pool.liveness().stuck.length === 2)
  Atomics.store(until, 0, 1)
  Atomics.notify(until, 0)
})

test('a worker that is still loading has nothing to answer yet', async (t) => {
  const watchdog = new Watchdog(
    [{ pulse: makePulse(), wake: () => {} }],
    50,
    () => {},
    () => assert.fail(),
  )
  t.after(() => watchdog.stop())
  await pause(250, 'five beats of the watchdog, in which nothing is to be said')
  assert.deepEqual([watchdog.stuck, watchdog.stalls], [[], 0])
})

test('where the main thread itself was late, no worker is to blame', async (t) => {
  const { pool, logged } = await start(t, 250)
  await pause(100, 'the watchdog has a turn, in which nothing is to be said')
  // As a process that is stopped and goes on.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
  await pause(100, 'the watchdog has a turn, in which nothing is to be said')
  assert.deepEqual([pool.liveness().stuck, logged], [[], []])
})

test('a worker that has left is not stuck', async (t) => {
  const { pool } = await start(t, 250)
  await pool.drain()
  await pause(400, 'more than a beat of the watchdog, in which nothing is to be said')
  assert.deepEqual(pool.liveness(), { workers: 2, stuck: [], stalls: 0 })
})

test('open connections are listed in pages, each connection once, whichever worker has it', async (t) => {
  const { pool } = await start(t)
  const probe = openListener({ address: LOOPBACK, port: 0 }, NO_LIVENESS)
  const endpoint = localEndpoint(probe)
  assert.ok(endpoint)
  pool.define('service', { until: new Int32Array(new SharedArrayBuffer(4)).fill(1) })
  pool.listen('web', { endpoint, liveness: NO_LIVENESS, inheritedFds: [probe] }, { service: 'service', options: null })
  const sockets: Socket[] = Array.from({ length: 130 }, () => connect(endpoint.port, '127.0.0.1').on('error', () => {}))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  await eventually('all are accepted', () => pool.read(METRICS.open.slot) === 130)
  const seen: string[] = []
  const sizes: number[] = []
  let after: string | undefined
  do {
    const page = await pool.connections(60, after)
    assert.ok(page)
    sizes.push(page.connections.length)
    seen.push(...page.connections.map(({ peer }) => String(peer)))
    after = page.next
  } while (after !== undefined)
  assert.deepEqual(sizes, [60, 60, 10])
  assert.equal(new Set(seen).size, 130)
  for (const none of ['x', '-1.0', '0', '0.-1', '1.1.1'])
    assert.equal(await pool.connections(60, none), undefined, none)
  assert.deepEqual(await pool.connections(60, '9.0'), { connections: [], next: undefined })
})

test('flows of datagrams are listed behind connections, and a drain waits for them, while newcomers go elsewhere', async (t) => {
  const { pool } = await start(t)
  const app = new TestDatagrams()
  t.after(() => app.close())
  const probe = openPort({ address: LOOPBACK, port: 0 })
  const endpoint = localEndpoint(probe)
  assert.ok(endpoint)
  pool.listenForDatagrams('dns', { endpoint, inheritedFds: [] }, app.endpoint)
  await pool.respond()
  close(probe)
  const edges = Array.from({ length: 30 }, () => new TestDatagrams({ to: endpoint }))
  t.after(() => {
    for (const edge of edges) edge.close()
  })
  for (const [index, edge] of edges.entries()) edge.send(`${String.fromCharCode(0x61 + index)}x`)
  await eventually('all are open', () => pool.read(METRICS.flowsOpen.slot) === edges.length)
  const seen: string[] = []
  for (let after: string | undefined = '0.0'; after !== undefined; ) {
    const page: Awaited<ReturnType<typeof pool.connections>> = await pool.connections(20, after)
    assert.ok(page)
    seen.push(...page.connections.map(({ peer }) => String(peer)))
    after = page.next
  }
  assert.deepEqual(seen.sort(), edges.map((edge) => formatEndpoint(edge.endpoint)).sort())

  const drained = pool.drain()
  for (const [index, edge] of edges.entries()) edge.send(`${String.fromCharCode(0x61 + index)}y`)
  let count = 0
  await eventually('all have arrived', () => {
    count += app.echo()
    return count === 2 * edges.length
  })
  assert.equal(pool.read(METRICS.flowsOpened.slot), edges.length)
  pool.stopNow()
  await drained
  assert.equal(pool.read(METRICS.flowsEnded.slots.shutdown), edges.length)
})
