import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Host } from '../src/lab/host.ts'
import {
  AGENT,
  APP,
  agentHosts,
  CLIENT,
  EDGE,
  eventually,
  headerFrom,
  type Running,
  startTruepeer,
} from './agent-host.ts'

const WARM: readonly string[] = ['--warm-up', 'on']
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

async function isOver(running: Running, host: Host, port: string): Promise<void> {
  await eventually('only the real port is open', async () => (await listeners(host)).join() === port, 20_000)
  assert.ok(running.program.isRunning)
}

test('a client that comes at once is served; of the warm-up nothing is counted, seen by the app, or left', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const peers = await listenEcho(backend)
  const agent = await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets', '-v', '2'], WARM)
  assert.equal(await exchange(t, edge, AGENT, `${headerFrom(CLIENT)}ping`), 'ping')
  await isOver(agent, backend, AGENT)
  assert.deepEqual(peers, [CLIENT])
  assert.equal(await agent.metric(ACCEPTED), 1)
  assert.deepEqual(JSON.parse(await agent.read('/connections')).length, 1)
  const records = agent.program.texts().filter((line) => line.includes('"client"'))
  assert.deepEqual(records, [], 'a connection of the warm-up was logged')
})

test('an edge warms up although its only backend does not answer, and counts nothing', async (t) => {
  const { edge } = await agentHosts(t)
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], WARM)
  await isOver(running, edge, `${EDGE}:700`)
  assert.equal(await running.metric(ACCEPTED), 0)
})

test('where 127.0.0.1 cannot be used, a worker serves all the same', async (t) => {
  const { edge } = await agentHosts(t)
  await edge.ip('link set lo down')
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], WARM)
  await isOver(running, edge, `${EDGE}:700`)
  assert.equal(await running.metric(ACCEPTED), 0)
})

test('it is over before the last batch when the program is told to stop', async (t) => {
  const { edge } = await agentHosts(t)
  const running = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT], WARM)
  const { exitCode } = await running.program.stop()
  assert.equal(exitCode, 0)
})
