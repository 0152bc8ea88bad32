import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { close, connectTo, openStream } from '../../src/linux/socket.ts'
import { AGENT, APP, APP6, CLIENT, echoThrough, headerFrom, startAgent } from '../rig/agent.ts'
import { startEchoApp, startTakingApp } from '../rig/apps.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { cpuMs } from '../rig/process.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'
import { checkSilentConnections } from './silent-connections.ts'

const LOCAL_V2 = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')
const PAUSES = 'truepeer_accept_pauses_total{reason="limit"}'
const USUAL = ['-l', AGENT, '-4', APP, '-6', APP6, '--allow-all-subnets']

function startWithDescriptors(host: Host, descriptors: number, args: readonly string[]): Promise<Running> {
  const through = ['prlimit', `--nofile=${descriptors}:${descriptors}`]
  return startTruepeer(host, 'agent', [...USUAL, ...args], { through })
}

async function connectMany(edge: Host, count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => edge.connect({ to: AGENT })))
}

/** A counter of the namespace's TCP, such as ListenOverflows (nstat(8)). */
async function tcpCounter(host: Host, name: string): Promise<number> {
  const { stdout } = await host.run('cat', ['/proc/net/netstat'])
  const [names, values] = stdout.split('\n').filter((line) => line.startsWith('TcpExt:'))
  const index = names.split(' ').indexOf(name)
  assert.ok(index > 0, name)
  return Number(values.split(' ')[index])
}

test('1,000 silent connections are closed at the header timeout, memory is flat, a good client is served', (t) =>
  checkSilentConnections(t, 1_000, 3))

test('out of descriptors the agent pauses, does not spin, counts it, and serves again when some are free', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startWithDescriptors(backend, 128, ['--max-connections', '1000', '--header-timeout', '1h'])
  const sockets = await connectMany(edge, 500)
  const errors = () => agent.metric('truepeer_accept_errors_total{errno="EMFILE"}')
  // The admin server shares the limit: it answers again when descriptors are back.
  await agent.program.waitForLine(/"errno":"EMFILE"/)
  const cpuBefore = cpuMs(agent.program.pid)
  await pause(1_000, 'what it spends in a second is the subject')
  const cpuSpent = cpuMs(agent.program.pid) - cpuBefore
  assert.ok(cpuSpent < 200, `${cpuSpent} ms of CPU in a second`)
  assert.ok(agent.program.isRunning)
  for (const socket of sockets) socket.destroy()
  assert.equal(await echoThrough(edge, 'served again'), 'served again')
  await eventually('the admin server answers', () =>
    errors().then(
      () => true,
      () => false,
    ),
  )
  const counted = await errors()
  assert.ok(counted >= 2 && counted < 60, `${counted}`)
})

test('with the default limit clients wait in the queue instead, and all are served', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startWithDescriptors(backend, 128, [])
  const answers = await Promise.all(Array.from({ length: 500 }, (_, index) => echoThrough(edge, `client ${index}`)))
  assert.deepEqual(
    answers,
    answers.map((_, index) => `client ${index}`),
  )
  assert.equal(await agent.metric('truepeer_accept_errors_total{errno="EMFILE"}'), 0)
  assert.ok((await agent.metric(PAUSES)) > 0)
})

test('1,000 SYNs at once find room in the queue, while the agent is not even running', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend, ['--listeners', '1'])
  const target = parseEndpoint(AGENT)
  assert.ok(target)
  agent.program.signal('SIGSTOP')
  await eventually('every thread has stopped', () => isStopped(agent.program.pid))
  const fds = edge.enter(() =>
    Array.from({ length: 1_000 }, () => {
      const fd = openStream(4)
      connectTo(fd, target)
      return fd
    }),
  )
  t.after(() => {
    for (const fd of fds) close(fd)
  })
  const queued = async (): Promise<number> =>
    Number((await backend.run('ss', ['-tlnH', 'sport', '=', ':110'])).stdout.split(/\s+/)[1])
  await eventually('all are in the queue', async () => (await queued()) === 1_000, 20_000)
  agent.program.signal('SIGCONT')
  await eventually('all are taken', async () => (await agent.metric('truepeer_connections_accepted_total')) === 1_000)
  assert.equal(await tcpCounter(backend, 'ListenOverflows'), 0)
  assert.equal(await tcpCounter(backend, 'ListenDrops'), 0)
})

/** Reports whether all threads of a process are stopped by a signal (proc(5), state T). */
function isStopped(pid: number): boolean {
  const states = readdirSync(`/proc/${pid}/task`).map((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').replace(/.*\) /s, ''),
  )
  return states.every((state) => state.startsWith('T'))
}

test('an agent that is not root carries 100 bulk connections at once', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const capabilities = '+net_raw,+net_bind_service'
  const through = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const raised = [
    ...through,
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    'sh',
    '-c',
    'exec "$@"',
    'sh',
  ]
  const { exitCode, stderr } = await backend.run(raised[0], [...raised.slice(1), 'id'])
  if (exitCode !== 0) return t.skip(`another user needs real root: ${stderr.trim()}`)
  await startEchoApp(backend)
  const agent = await startTruepeer(backend, 'agent', USUAL, { through: raised })
  assert.equal(statSync(`/proc/${agent.program.pid}`).uid, 65_534)
  const content = 'x'.repeat(1_000_000)
  const answers = await Promise.all(Array.from({ length: 100 }, () => echoThrough(edge, content)))
  assert.equal(answers.filter((answer) => answer === content).length, 100)
})

for (const [name, bytes, reason] of [
  ['closes without a byte', Buffer.alloc(0), 'header-missing'],
  ['sends LOCAL and closes', LOCAL_V2, 'finished'],
] as const) {
  test(`a probe that ${name} is counted, and logged as nothing worse than information`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startEchoApp(backend)
    const [quiet, talkative] = [
      await startAgent(backend, ['-v', '1']),
      await startTruepeer(backend, 'agent', [
        ...['-l', `${BACKEND}:111`, '-4', APP, '-6', APP6, '--allow-all-subnets', '-v', '2'],
      ]),
    ]
    for (const [agent, to] of [
      [quiet, AGENT],
      [talkative, `${BACKEND}:111`],
    ] as const) {
      for (let probe = 0; probe < 5; probe++) {
        const socket = await edge.connect({ to })
        const ended = readToEnd(socket)
        socket.end(bytes)
        assert.equal((await ended).length, 0)
      }
      await eventually('counted', async () => {
        return (await agent.metric(`truepeer_connections_ended_total{reason="${reason}"}`)) === 5
      })
    }
    assert.deepEqual(quiet.records(), [])
    await eventually('logged', () => talkative.records().length === 5)
    assert.ok(talkative.records().every(({ level }) => level === 'info'))
  })
}

/** How many of these connections the app has got. */
async function served(
  t: TestContext,
  args: readonly string[],
  clients: number,
): Promise<{ agent: Running; edge: Host; sockets: Socket[]; count: () => number }> {
  const { edge, backend } = await agentHosts(t)
  const app = await startTakingApp(backend)
  const agent = await startAgent(backend, args)
  const sockets = await connectMany(edge, clients)
  for (const socket of sockets) socket.write(headerFrom(CLIENT, 0))
  return { agent, edge, sockets, count: app.count }
}

test('a limit of all workers together holds for two of them; who waits is served when a place is free', async (t) => {
  const { agent, sockets, count } = await served(t, ['--listeners', '2', '--max-connections', '10'], 40)
  await eventually('ten are served', () => count() === 10)
  await eventually('the agent accepts no more', async () => (await agent.metric(PAUSES)) >= 1)
  assert.equal(count(), 10)
  assert.equal(await agent.metric('truepeer_connections_open'), 10)
  for (const socket of sockets) socket.resetAndDestroy()
  await eventually('none is left', async () => (await agent.metric('truepeer_connections_open')) === 0)
})

test('a limit per worker holds for each of two', async (t) => {
  const { agent, sockets, count } = await served(t, ['--listeners', '2', '--max-connections-per-worker', '8'], 60)
  await eventually('sixteen are served', () => count() === 16)
  await eventually('neither worker accepts any more', async () => (await agent.metric(PAUSES)) >= 2)
  assert.equal(count(), 16)
  const first = sockets.find((socket) => socket.bytesWritten > 0)
  assert.ok(first)
  for (const socket of sockets.slice(0, 30)) socket.resetAndDestroy()
  await eventually('others get their places', () => count() > 16)
  assert.equal(await agent.metric('truepeer_connections_open').then((open) => open <= 16), true)
  await once(sockets[59].resetAndDestroy(), 'close')
})
