// Backends that fail, and the criteria for each way of failing.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf, Conversation, startLineApps, whoAnswers } from '../rig/line-app.ts'
import { startAppProgram } from '../rig/load.ts'
import { LOG_ALL, simple } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { dropSyns } from './faults.ts'

const FRONTEND = `${IPV4.edge}:7000`
const [FIRST, SECOND, THIRD, FOURTH, FIFTH] = [9001, 9002, 9003, 9004, 9005].map((port) => `${IPV4.backend}:${port}`)
const LOGGED = { fields: LOG_ALL }

/** The key of a backend in the status. */
function key(endpoint: string): string {
  return `app/us-central1-b/group/${endpoint}`
}

async function timedAnswer(client: Host): Promise<{ answer: string; tookMs: number }> {
  const startedMs = performance.now()
  const answer = await whoAnswers(client, FRONTEND)
  return { answer, tookMs: performance.now() - startedMs }
}

function assertWithinTenPercent(value: number, expected: number): void {
  // Beyond the wait itself there are a few milliseconds of everything else.
  assert.ok(value > 0.9 * expected && value < 1.1 * expected + 50, `${value} ms, not about ${expected} ms`)
}

test('refused: the next backend serves within 50 ms, and no client notices', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [THIRD])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND, THIRD]))
  const timesMs: number[] = []
  for (let time = 0; time < 20; time++) {
    const { answer, tookMs } = await timedAnswer(client)
    assert.equal(answer, THIRD)
    timesMs.push(tookMs)
  }
  timesMs.sort((a, b) => a - b)
  t.diagnostic(`median ${timesMs[10].toFixed(1)} ms, longest ${timesMs[19].toFixed(1)} ms`)
  assert.ok(timesMs[10] < 50, `${timesMs[10]} ms`)
  const failures = [(await live.backend(key(FIRST))).connectFailures, (await live.backend(key(SECOND))).connectFailures]
  assert.ok(failures[0] >= 6 && failures[1] >= 6, failures.join())
  assert.equal((await live.backend(key(THIRD))).retries > 0, true)
})

for (const retries of [0, 2]) {
  test(`refused by all: with --retries ${retries} there are ${retries + 1} attempts, and the client is reset at once`, async (t) => {
    const { client, edge } = await edgeHosts(t)
    const all = [FIRST, SECOND, THIRD, FOURTH, FIFTH]
    const live = await startConfiguredEdge(t, edge, simple(FRONTEND, all, LOGGED), ['--retries', `${retries}`])
    const { answer, tookMs } = await timedAnswer(client)
    assert.equal(answer, 'ECONNRESET')
    assert.ok(tookMs < 500, `${tookMs} ms`)
    await eventually('it is in the log', () => live.records().length === 1)
    assert.equal(live.records()[0].end, 'connect-failed')
    const counts = await Promise.all(all.map(async (endpoint) => (await live.backend(key(endpoint))).connectFailures))
    assert.deepEqual(
      counts.filter((count) => count > 0),
      new Array(retries + 1).fill(1),
    )
  })
}

test('black-holed: after the connect timeout, 10 % more or less, the next backend serves', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [FIRST, SECOND])
  await dropSyns(backend, 9001)
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND]), ['--connect-timeout', '1s'])
  const answers = await Promise.all(Array.from({ length: 10 }, () => timedAnswer(client)))
  assert.deepEqual(new Set(answers.map(({ answer }) => answer)), new Set([SECOND]))
  const slow = answers.filter(({ tookMs }) => tookMs > 500)
  assert.equal(slow.length, 5, 'every other one came to the black hole first')
  for (const { tookMs } of slow) assertWithinTenPercent(tookMs, 1_000)
  const { connectTimeouts, connectFailures, connections } = await live.backend(key(FIRST))
  assert.deepEqual(
    { connectTimeouts, connectFailures, connections },
    {
      connectTimeouts: 5,
      connectFailures: 5,
      connections: 5,
    },
  )
  assert.equal((await live.backend(key(SECOND))).retries, 5)
})

test('all black-holed: the client is reset after one connect timeout for each attempt', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  for (const port of [9001, 9002, 9003]) await dropSyns(backend, port)
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND, THIRD], LOGGED), [
    ...['--connect-timeout', '500ms'],
    ...['--retries', '1'],
  ])
  const { answer, tookMs } = await timedAnswer(client)
  assert.equal(answer, 'ECONNRESET')
  assertWithinTenPercent(tookMs, 1_000)
  await eventually('it is in the log', () => live.records().length === 1)
  assert.equal(live.records()[0].end, 'connect-timeout')
})

test('reset in the middle: the client gets every byte before it, and RST within 100 ms', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const size = 1_000_000
  const sockets: Socket[] = []
  await backend.listen(FIRST, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write(Buffer.alloc(size, 'x'))
  })
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST], LOGGED))
  const timesMs: number[] = []
  for (let time = 0; time < 5; time++) {
    const socket = await client.connect({ to: FRONTEND })
    let received = 0
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    await eventually('all that was sent', () => received === size)
    const ended = new Promise<string>((resolve) => {
      socket.once('end', () => resolve('FIN'))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })
    const startedMs = performance.now()
    sockets.pop()?.resetAndDestroy()
    assert.equal(await ended, 'ECONNRESET')
    timesMs.push(performance.now() - startedMs)
  }
  t.diagnostic(`RST after ${timesMs.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  assert.ok(timesMs.every((ms) => ms < 100))
  await eventually('all are in the log', () => live.records().length === 5)
  for (const { end, serverBytesSent } of live.records()) {
    assert.deepEqual({ end, serverBytesSent }, { end: 'backend-reset', serverBytesSent: `${size}` })
  }
  const { open, connectFailures } = await live.backend(key(FIRST))
  assert.deepEqual({ open, connectFailures }, { open: 0, connectFailures: 0 })
})

test('a backend that accepts and resets is not retried: its client may have been heard', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await backend.listen(FIRST, (socket) => void socket.once('data', () => socket.resetAndDestroy()))
  const [second] = await startLineApps(backend, [SECOND])
  await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND]))
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { ECONNRESET: 5, [SECOND]: 5 })
  assert.equal(second.clients, 5)
})

test('killed: its connections break within 100 ms, new ones go to the other, and nothing comes to it once it is down', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [SECOND])
  const app = await startAppProgram(backend, IPV4.backend, 9001)
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND], { healthCheck: {} }))
  const conversations = await Promise.all([1, 2].map(() => Conversation.open(client, FRONTEND)))
  const names = await Promise.all(conversations.map((conversation) => conversation.ask('first')))
  assert.deepEqual([...names].sort(), [FIRST, SECOND])
  const [broken, other] = names[0] === FIRST ? conversations : conversations.toReversed()
  app.signal('SIGKILL')
  await app.exited
  const killedMs = performance.now()
  assert.match(await broken.ended, /^(ECONNRESET|FIN)$/)
  assert.ok(performance.now() - killedMs < 100)
  while ((await live.backend(key(FIRST))).health === 'HEALTHY') assert.equal(await whoAnswers(client, FRONTEND), SECOND)
  const before = await live.backend(key(FIRST))
  assert.ok(before.connectFailures > 0)
  assert.equal(before.probes?.transitions, 1)
  assert.deepEqual(await answersOf(client, FRONTEND, 20), { [SECOND]: 20 })
  const after = await live.backend(key(FIRST))
  assert.equal(after.connections, before.connections)
  assert.equal(after.connectFailures, before.connectFailures)
  assert.equal(await other.ask('still there?'), SECOND)
})

test('without a healthy backend a client is reset at once, and is counted', async (t) => {
  const { client, edge } = await edgeHosts(t)
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST], { healthCheck: {}, ...LOGGED }))
  const { answer, tookMs } = await timedAnswer(client)
  assert.equal(answer, 'ECONNRESET')
  assert.ok(tookMs < 100, `${tookMs} ms`)
  const { frontends } = await live.status()
  assert.equal(frontends[0].noBackend, 1)
  await eventually('it is in the log', () => live.records().length === 1)
  assert.equal(live.records()[0].end, 'no-backend')
})
