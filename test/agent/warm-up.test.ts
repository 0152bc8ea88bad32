import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, APP, CLIENT, headerFrom } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, EDGE } from '../rig/hosts.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

const WARM: readonly string[] = ['--warm-up', 'on']
/** How long nothing has to happen before the warm-up goes on (`worker-thread.ts`). */
const REST_MS = 20
const ACCEPTED = 'truepeer_connections_accepted_total'

/** An app that sends back what it gets, and the addresses of its peers. */
async function listenEcho(host: Host): Promise<string[]> {
  const peers: string[] = []
  await host.listen(APP, (socket) => {
    peers.push(String(socket.remoteAddress))
    socket.pipe(socket)
  })
  return peers
}

/** What listens on the host, but for the app. */
async function listeners(host: Host): Promise<string[]> {
  const { stdout } = await host.run('ss', ['-Hltn'])
  const local = stdout.split('\n').flatMap((line) => line.trim().split(/\s+/)[3] ?? [])
  return local.filter((endpoint) => endpoint !== APP).sort()
}

async function exchange(t: TestContext, from: Host, to: string, bytes: string): Promise<string> {
  const socket = await from.connect({ to })
  t.after(() => socket.destroy())
  socket.write(bytes)
  const [data] = await once(socket, 'data')
  return String(data)
}

/** How many connections have been opened on the host so far, both ends of those to itself counted as one. */
async function opened(host: Host): Promise<number> {
  const { stdout } = await host.run('nstat', ['-asz', 'TcpActiveOpens'])
  const [, count] = /^TcpActiveOpens\s+(\d+)/m.exec(stdout) ?? []
  return Number(count)
}

async function isOver(running: Running, host: Host, port: string): Promise<void> {
  await eventually('only the real port is open', async () => (await listeners(host)).join() === port, 20_000)
  assert.ok(running.program.isRunning)
}

test('a client that comes at once is served; of the warm-up nothing is counted, seen by the app, or left', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const peers = await listenEcho(backend)
  const agent = await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets', '-v', '2'], {
    warmUp: WARM,
  })
  assert.equal(await exchange(t, edge, AGENT, `${headerFrom(CLIENT)}ping`), 'ping')
  await isOver(agent, backend, AGENT)
  assert.deepEqual(peers, [CLIENT])
  assert.equal(await agent.metric(ACCEPTED), 1)
  assert.deepEqual(JSON.parse(await agent.read('/connections')).length, 1)
  const records = agent.program.texts().filter((line) => line.includes('"client"'))
  assert.deepEqual(records, [], 'a connection of the warm-up was logged')
})

test('while a client has something to say, nothing is played', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await listenEcho(backend)
  const agent = await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets'], { warmUp: WARM })
  const socket = await edge.connect({ to: AGENT })
  t.after(() => socket.destroy())
  socket.write(headerFrom(CLIENT))
  const timesMs = [performance.now()]
  const before = await opened(backend)
  for (let count = 0; count < 1_000; count++) {
    socket.write('ping')
    await once(socket, 'data')
    timesMs.push(performance.now())
  }
  const played = (await opened(backend)) - before
  timesMs.push(performance.now())
  // Between two things that the worker sees lie at most two answers.
  const gapsMs = timesMs.slice(2).map((time, index) => time - timesMs[index])
  const quietMs = gapsMs.filter((gap) => gap > REST_MS).reduce((sum, gap) => sum + gap, 0)
  // A batch takes a millisecond or more, and eight connections are sixteen in the eyes of the kernel; one may have begun
  // before the client spoke.
  assert.ok(played <= 16 + 16 * quietMs, `${played} connections were opened in ${quietMs} quiet ms`)
  await isOver(agent, backend, AGENT)
  assert.ok((await opened(backend)) - before > 1_000, 'it goes on when the client is quiet')
})

test('an edge warms up although its only backend does not answer, and counts nothing', async (t) => {
  const { edge } = await agentHosts(t)
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], { warmUp: WARM })
  await isOver(running, edge, `${EDGE}:700`)
  assert.equal(await running.metric(ACCEPTED), 0)
})

test('where 127.0.0.1 cannot be used, a worker serves all the same', async (t) => {
  const { edge } = await agentHosts(t)
  await edge.ip('link set lo down')
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], { warmUp: WARM })
  await isOver(running, edge, `${EDGE}:700`)
  assert.equal(await running.metric(ACCEPTED), 0)
})

test('it is over before the last batch when the program is told to stop', async (t) => {
  const { edge } = await agentHosts(t)
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], { warmUp: WARM })
  const { exitCode } = await running.program.stop()
  assert.equal(exitCode, 0)
})
