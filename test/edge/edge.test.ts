import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { echoThrough } from '../rig/agent.ts'
import { startBlackHole } from '../rig/apps.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, BACKEND6 } from '../rig/hosts.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const FRONTEND = '127.0.0.1:9000'
const [FIRST, SECOND, THIRD] = [9001, 9002, 9003].map((port) => `${BACKEND}:${port}`)
const QUICK_CHECKS = ['--check-interval', '500ms', '--check-timeout', '500ms']
/** Only the first round. */
const NO_CHECKS = ['--check-interval', '1h', '--check-timeout', '30s']

/** A backend that answers each client with its own name; probes, which say nothing, are counted. */
type NamedBackend = {
  readonly close: () => Promise<void>
  readonly reopen: () => Promise<void>
  readonly accepted: () => number
}

async function startNamed(host: Host, endpoint: string): Promise<NamedBackend> {
  let count = 0
  const sockets = new Set<Socket>()
  const open = (): Promise<Server> =>
    host.listen(endpoint, (socket) => {
      count += 1
      sockets.add(socket)
      socket
        .on('data', () => {})
        .on('end', () => socket.end(endpoint))
        .on('close', () => sockets.delete(socket))
    })
  let server = await open()
  return {
    accepted: () => count,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    async reopen() {
      server = await open()
    },
  }
}

async function startEdge(edge: Host, backends: readonly string[], args: readonly string[]): Promise<Program> {
  const list = backends.flatMap((backend) => ['--backend', backend])
  const { program } = await startTruepeer(edge, 'edge', [
    '--listen',
    FRONTEND,
    '--proxy-header',
    'NONE',
    ...list,
    ...args,
  ])
  return program
}

function ask(edge: Host): Promise<string> {
  return echoThrough(edge, 'who are you?', FRONTEND, '')
}

async function askOften(edge: Host, times: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let time = 0; time < times; time++) {
    const answer = await ask(edge)
    counts[answer] = (counts[answer] ?? 0) + 1
  }
  return counts
}

function healthChanges(program: Program, backend: string): string[] {
  const lines = program
    .texts()
    .filter((line) => line.includes('"msg":"backend health"') && line.includes(`"${backend}"`))
  return lines.map((line) => (line.includes('"UNHEALTHY"') ? 'down' : 'up'))
}

test('connections go evenly to the backends that the first round has found up, of both families', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const sixth = `[${BACKEND6}]:9006`
  for (const endpoint of [FIRST, SECOND, sixth]) await startNamed(backend, endpoint)
  await startEdge(edge, [FIRST, SECOND, THIRD, sixth], NO_CHECKS)
  assert.deepEqual(await askOften(edge, 30), { [FIRST]: 10, [SECOND]: 10, [sixth]: 10 })
})

test('a backend that goes is not used after two failures, and again after two successes', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startNamed(backend, FIRST)
  const second = await startNamed(backend, SECOND)
  const program = await startEdge(edge, [FIRST, SECOND], QUICK_CHECKS)
  assert.deepEqual(await askOften(edge, 10), { [FIRST]: 5, [SECOND]: 5 })
  await second.close()
  // Until the checks know, a refused connection goes to the other backend: no client notices.
  while (healthChanges(program, SECOND).length < 2) assert.equal(await ask(edge), FIRST)
  assert.deepEqual(healthChanges(program, SECOND), ['up', 'down'])
  const probes = second.accepted()
  await second.reopen()
  await eventually('up again', () => healthChanges(program, SECOND).length === 3)
  assert.ok(second.accepted() - probes >= 2)
  assert.deepEqual(await askOften(edge, 10), { [FIRST]: 5, [SECOND]: 5 })
})

test('a backend that refuses between two checks costs no client: the next one serves', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startNamed(backend, FIRST)
  const others = [await startNamed(backend, SECOND), await startNamed(backend, THIRD)]
  await startEdge(edge, [FIRST, SECOND, THIRD], NO_CHECKS)
  for (const other of others) await other.close()
  assert.deepEqual(await askOften(edge, 9), { [FIRST]: 9 })
})

test('with all backends down a client is ended at once, not left hanging', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const only = await startNamed(backend, FIRST)
  const program = await startEdge(edge, [FIRST], QUICK_CHECKS)
  await only.close()
  // Before and after the checks have found out.
  for (const changes of [1, 2]) {
    await eventually('known', () => healthChanges(program, FIRST).length >= changes)
    assert.equal(await ask(edge), 'ECONNRESET')
  }
})

test('the port opens after the first round, which decides', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startNamed(backend, FIRST)
  const program = await startEdge(edge, [FIRST, SECOND], NO_CHECKS)
  assert.deepEqual(healthChanges(program, FIRST), ['up'])
  assert.deepEqual(healthChanges(program, SECOND), ['down'])
  const messages = program.texts().map((line) => JSON.parse(line).msg)
  assert.deepEqual(messages, ['backend health', 'backend health', 'listening'])
})

test('a backend that does not answer holds the port up for a second, no longer', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startNamed(backend, FIRST)
  t.after(startBlackHole(backend, SECOND))
  const program = await startEdge(edge, [FIRST, SECOND], ['--check-interval', '1m', '--check-timeout', '1m'])
  const saidAt = (message: string): number => {
    const line = program.texts().find((text) => text.includes(`"msg":"${message}"`))
    return Date.parse(JSON.parse(line ?? '{}').time)
  }
  // The probe of the other was over at once: a second less what it took, and far from the minute of the silent one.
  const heldMs = saidAt('listening') - saidAt('backend health')
  assert.ok(heldMs >= 500 && heldMs < 20_000, `${heldMs} ms`)
  assert.deepEqual(await askOften(edge, 4), { [FIRST]: 4 })
})

test('SIGTERM ends an edge with 0 though probes are on their way', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startNamed(backend, FIRST)
  t.after(startBlackHole(backend, SECOND))
  const program = await startEdge(edge, [FIRST, SECOND], ['--check-interval', '10m', '--check-timeout', '10m'])
  assert.equal(await ask(edge), FIRST)
  program.signal('SIGTERM')
  assert.deepEqual(await program.exited, { exitCode: 0, signal: undefined })
})
