import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, APP, CLIENT, CLIENT6, echoThrough, headerFrom, startAgent } from '../rig/agent.ts'
import { startBlackHole, startEchoApp, startTakingApp } from '../rig/apps.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { openSockets } from '../rig/process.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

/** What a busy machine may add between a deadline and the moment at which this process sees what came of it. */
const LATE_MS_MAX = 10_000

/** How long after `startedMs` the socket has ended, in milliseconds, and how: `FIN` or the code of an error. */
async function endOf(socket: Socket, startedMs = performance.now()): Promise<{ afterMs: number; end: string }> {
  socket.resume()
  const end = await new Promise<string>((resolve) => {
    socket.once('end', () => resolve('FIN'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
  })
  return { afterMs: performance.now() - startedMs, end }
}

function assertBetween(value: number, min: number, max: number): void {
  assert.ok(value >= min && value <= max, `${value} is not between ${min} and ${max}`)
}

async function endedBy(running: Running, reason: string): Promise<number> {
  return running.metric(`truepeer_connections_ended_total{reason="${reason}"}`)
}

test('the header timeout is absolute: one byte each 100 ms does not extend it', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend, ['--header-timeout', '1s'])
  const startedMs = performance.now()
  const client = await edge.connect({ to: AGENT })
  const header = headerFrom(CLIENT)
  let sent = 0
  const beat = setInterval(() => client.write(header[sent++ % 20]), 100)
  const { afterMs, end } = await endOf(client, startedMs).finally(() => clearInterval(beat))
  assertBetween(afterMs, 950, 1_000 + LATE_MS_MAX)
  assert.match(end, /FIN|ECONNRESET/)
  assert.ok(sent >= 2)
  assert.equal(await endedBy(agent, 'header-timeout'), 1)
})

test('the connect timeout resets the client of an app that does not answer', async (t) => {
  const { edge, backend } = await agentHosts(t)
  t.after(startBlackHole(backend))
  const agent = await startAgent(backend, ['--connect-timeout', '1s'])
  const client = await edge.connect({ to: AGENT })
  const startedMs = performance.now()
  client.write(`${headerFrom(CLIENT)}payload`)
  const { afterMs, end } = await endOf(client, startedMs)
  assertBetween(afterMs, 950, 1_000 + LATE_MS_MAX)
  assert.equal(end, 'ECONNRESET')
  assert.equal(await endedBy(agent, 'connect-timeout'), 1)
})

test('clients that come while the app restarts are served once it is there', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend)
  const answers = ['one', 'two', 'three'].map((request) => echoThrough(edge, request))
  await eventually('each has been tried again', async () => (await agent.metric('truepeer_connect_retries_total')) >= 6)
  await startEchoApp(backend)
  assert.deepEqual(await Promise.all(answers), ['one', 'two', 'three'])
})

test('an app that stays away ends the connect timeout with a reset', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend, ['--connect-timeout', '1s'])
  const client = await edge.connect({ to: AGENT })
  const startedMs = performance.now()
  client.write(headerFrom(CLIENT))
  const { afterMs, end } = await endOf(client, startedMs)
  assertBetween(afterMs, 450, 1_000 + LATE_MS_MAX)
  assert.equal(end, 'ECONNRESET')
  assert.equal(await endedBy(agent, 'connect-failed'), 1)
})

test('a client whom a firewall rejects, or for whose family there is no app, is reset at once', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => socket.end('hello'))
  const agent = await startAgent(backend, ['-v', '1', '--connect-timeout', '60s'])
  const rule = `ip saddr ${CLIENT} tcp dport 112 reject with tcp reset`
  await shell(
    backend,
    `/usr/sbin/nft 'add table inet x; add chain inet x y { type filter hook input priority 0; }; add rule inet x y ${rule}'`,
  )
  for (const [source, refusal] of [
    [CLIENT, 'rejected-by-firewall'],
    [CLIENT6, 'no-app-for-family'],
  ]) {
    const client = await edge.connect({ to: AGENT })
    const startedMs = performance.now()
    client.write(headerFrom(source))
    const { afterMs, end } = await endOf(client, startedMs)
    assertBetween(afterMs, 40, LATE_MS_MAX)
    assert.equal(end, 'ECONNRESET')
    await agent.program.waitForLine(new RegExp(`"end":"connect-failed","refusal":"${refusal}"`))
  }
  assert.equal(await echoThrough(edge, '', AGENT, headerFrom('209.52.88.5')), 'hello')
})

test('the idle timeout ends a silent connection on both sides, counted from the last byte', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startTakingApp(backend)
  const agent = await startAgent(backend, ['--idle-timeout', '2s'])
  const client = await edge.connect({ to: AGENT })
  client.write(headerFrom(CLIENT))
  const served = await app.next()
  let lastMs = 0
  for (let beat = 0; beat < 4; beat++) {
    await pause(600, 'together more than the timeout')
    lastMs = performance.now()
    served.write('x')
    await once(client, 'data')
  }
  for (const { afterMs } of await Promise.all([endOf(client, lastMs), endOf(served, lastMs)])) {
    assertBetween(afterMs, 1_900, 2_000 + LATE_MS_MAX)
  }
  assert.equal(await endedBy(agent, 'idle-timeout'), 1)
})

test('the half-closed timeout ends what is silent after one FIN, and leaves other connections alone', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startTakingApp(backend)
  const agent = await startAgent(backend, ['--half-closed-timeout', '1s'])
  const open = await edge.connect({ to: AGENT })
  open.write(headerFrom(CLIENT, 0))
  await app.next()
  const client = await edge.connect({ to: AGENT })
  const startedMs = performance.now()
  client.end(headerFrom(CLIENT, 0))
  await app.next()
  assertBetween((await endOf(client, startedMs)).afterMs, 900, 1_000 + LATE_MS_MAX)
  assert.equal(await endedBy(agent, 'half-closed-timeout'), 1)
  assert.equal(await agent.metric('truepeer_connections_open'), 1)
})

for (const [name, args, isSending, withinMs] of [
  ['keepalive finds a silent edge that has vanished', ['--keepalive', '1s'], false, 7_500],
  ['the user timeout shortens keepalive', ['--keepalive', '1s', '--user-timeout', '2s'], false, 4_800],
  ['the user timeout finds an edge that vanished with data on its way', ['--user-timeout', '1500ms'], true, 3_600],
] as const) {
  test(`${name}: closed in time, no socket left`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const app = await startTakingApp(backend)
    const agent = await startAgent(backend, args)
    const before = openSockets(agent.program.pid)
    const client = await edge.connect({ to: AGENT })
    client.write(`${headerFrom(CLIENT)}hello`)
    const served = await app.next()
    await once(served, 'data')
    await edge.ip('link set eth0 down')
    if (isSending) served.write('into the void')
    const { afterMs, end } = await endOf(served)
    assert.equal(end, 'ECONNRESET')
    assertBetween(afterMs, 1_000, withinMs)
    await eventually('ended', async () => (await agent.metric('truepeer_connections_open')) === 0)
    await eventually('every socket is closed', () => openSockets(agent.program.pid) === before)
  })
}

test('an edge finds a backend that has vanished, and resets its client', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startTakingApp(backend, `${BACKEND}:9000`)
  const proxy = await startTruepeer(edge, 'edge', [
    ...['--listen', '127.0.0.1:9001', '--backend', `${BACKEND}:9000`, '--proxy-header', 'NONE'],
    ...['--user-timeout', '1500ms', '--check-interval', '1h'],
  ])
  const before = openSockets(proxy.program.pid)
  const probe = await app.next()
  probe.destroy()
  const client = await edge.connect({ to: '127.0.0.1:9001' })
  client.write('hello')
  await once(await app.next(), 'data')
  await backend.ip('link set eth0 down')
  client.write('into the void')
  const { afterMs, end } = await endOf(client)
  assert.equal(end, 'ECONNRESET')
  assertBetween(afterMs, 1_000, 1_500 + LATE_MS_MAX)
  // One that was open before may have been the probe's.
  await eventually('every socket is closed', () => openSockets(proxy.program.pid) <= before)
})

test('the connect timeout of an edge reaches a host that is not there, then the next backend serves', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startTakingApp(backend, `${BACKEND}:9000`)
  const other = await startTakingApp(backend, `${BACKEND}:9002`)
  await startTruepeer(edge, 'edge', [
    ...['--listen', '127.0.0.1:9001', '--backend', `${BACKEND}:9000`, '--backend', `${BACKEND}:9002`],
    ...['--proxy-header', 'NONE', '--connect-timeout', '1s', '--check-interval', '1h'],
  ])
  for (const probe of await Promise.all([app.next(), other.next()])) probe.destroy()
  await new Promise((resolve) => app.server.close(resolve))
  t.after(startBlackHole(backend, `${BACKEND}:9000`))
  const startedMs = performance.now()
  const client = await edge.connect({ to: '127.0.0.1:9001' })
  client.end('hello')
  assert.equal((await readToEnd(await other.next())).toString(), 'hello')
  assertBetween(performance.now() - startedMs, 950, 1_000 + LATE_MS_MAX)
})
