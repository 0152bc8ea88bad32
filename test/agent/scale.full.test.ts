// Many connections at once, many bytes, and an app that is killed in the middle. Clients and app are programs of their
// own (scale-client.ts, scale-app.ts), which check every byte and every address; here stands what they are put through.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import type { ScaleRound, ScaleTarget, Step } from '../programs/scale-client.ts'
import { AGENT, startAgent } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { interopHosts } from '../rig/interop-hosts.ts'
import { residentBytes } from '../rig/process.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

const APP_PROGRAM = fileURLToPath(new URL('../programs/scale-app.js', import.meta.url))
const CLIENT_PROGRAM = fileURLToPath(new URL('../programs/scale-client.js', import.meta.url))

const ROUNDS = 3
const CONNECTIONS = 2_000
const BUSY = 100
const MEGABYTES = 100
/** 16 KiB every 50 ms: 100 such streams keep the app busy and do not fill every queue on the way. */
const PAUSE_MS = 50
/** How much more memory than after the second round there may be after the third. */
const GROWTH_BYTES_MAX = 2_000_000
/** What V8 has not collected yet comes and goes; a leak only grows, so that further rounds do not hide it. */
const ROUNDS_MAX = 6
/** More than the numbers that one round uses. */
const IDS_PER_ROUND = 10_000
/** How long no app listens while new connections arrive; far less than the connect timeout. */
const OUTAGE_MS = 300
const SETTLE_MS = 2_000
/** For descriptors to be closed: what a slow client has yet to take is waited for. */
const SETTLED_MS_MAX = 30_000
const STEP_TIMEOUT_MS = 40_000

/** Two descriptors per connection and those of the program itself; the rest of a busy machine's noise on top. */
const OPEN_FILES = 2 * (CONNECTIONS + BUSY) + 200
const openFilesMax = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
const skip = openFilesMax < OPEN_FILES && `the limit of open files is ${openFilesMax}; "ulimit -Hn ${OPEN_FILES}"`

/** A chain under test: where clients connect to, and the programs in between. */
type Chain = {
  readonly clients: Host
  readonly targets: readonly ScaleTarget[]
  readonly backend: Host
  /** The agent and, if there is one, the edge. */
  readonly programs: Readonly<{ agent: Running; edge?: Running }>
}

async function agentAlone(t: TestContext): Promise<Chain> {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend)
  const target = { host: BACKEND, port: 110 }
  const targets: ScaleTarget[] = [
    { ...target, header: 'TCP4' },
    { ...target, header: 'TCP6' },
  ]
  return { clients: edge, targets, backend, programs: { agent } }
}

async function edgeAndAgent(t: TestContext): Promise<Chain> {
  const { client, edge: edgeHost, backend } = await interopHosts(t, { hasApp: false })
  const agent = await startAgent(backend)
  const edge = await startTruepeer(edgeHost, 'edge', [
    ...['--listen', '[::]:110', '--backend', AGENT],
    // All connections come from one client.
    ...['--unlimited-clients', '0.0.0.0/0,::/0'],
  ])
  const targets = [IPV4.edge, IPV6.edge].map((host) => ({ host, port: 110 }))
  return { clients: client, targets, backend, programs: { agent, edge } }
}

async function startApp(backend: Host): Promise<Program> {
  const app = backend.start(process.execPath, [APP_PROGRAM, '127.0.0.1', '112', '::1', '112'])
  for (const host of ['127.0.0.1', '::1']) await app.waitForLine(new RegExp(`^listening on ${host}$`))
  return app
}

/** What the app has complained of. */
function complaints(app: Program): string[] {
  return app.texts().filter((line) => !line.startsWith('listening on '))
}

function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Waits until every program has served a connection and has none: their workers are up, with all they keep open. */
async function warmUp({ clients, targets, backend, programs }: Chain): Promise<void> {
  const app = await startApp(backend)
  const [{ host, port }] = targets
  const socket = await clients.connect({ to: `${host}:${port}` })
  socket.destroy()
  for (const [name, { metric }] of Object.entries(programs)) {
    await eventually(
      `${name} has taken a connection`,
      async () => (await metric('truepeer_connections_accepted_total')) > 0,
    )
    await eventually(`${name} has none`, async () => (await metric('truepeer_connections_open')) === 0)
  }
  await app.stop()
  // The programs have yet to close the connections on which they were asked.
  await sleep(SETTLE_MS)
}

/** Runs one round to its end; the app is killed and started again in it. Returns what the round's streams received. */
async function runRound(chain: Chain, round: ScaleRound): Promise<number> {
  const { clients, backend, programs } = chain
  let app = await startApp(backend)
  const client = clients.start(process.execPath, [CLIENT_PROGRAM, JSON.stringify(round)])
  const reach = async <Name extends Step['step']>(name: Name): Promise<Extract<Step, { step: Name }>> => {
    const line = await client.waitForLine(new RegExp(`^{"step":"${name}"`), { timeoutMs: STEP_TIMEOUT_MS })
    return JSON.parse(line)
  }
  await reach('open')
  const exchanged = await reach('exchanged')
  assert.equal(exchanged.receivedBytes, round.busy * round.bytesEach)
  await reach('streaming')
  for (const [name, { metric }] of Object.entries(programs)) {
    // Those that have just ended may still be counted, and an edge's health check may be open.
    await eventually(
      `${name}: all at once`,
      async () => (await metric('truepeer_connections_open')) === round.connections,
    )
  }

  app.signal('SIGKILL')
  await app.exited
  const broken = await reach('broken')
  assert.deepEqual(complaints(app), [])
  // EPIPE: the reset came behind a FIN.
  const { ECONNRESET = 0, EPIPE = 0, ...others } = broken.codes
  assert.deepEqual(others, {}, 'every connection that the app had is reset')
  assert.equal(ECONNRESET + EPIPE, round.connections)

  await sleep(OUTAGE_MS)
  app = await startApp(backend)
  await reach('served')
  await client.exited
  await app.stop()
  assert.deepEqual(complaints(app), [])
  return broken.receivedBytes
}

type Measured = { readonly name: string; readonly pid: number; readonly descriptors: number; readonly rounds: number[] }

/** Whether a program grows: since the second round, and still in the last one. What settles higher up does not leak. */
function isGrowing({ rounds }: Measured): boolean {
  if (rounds.length < ROUNDS) return true
  const last = rounds[rounds.length - 1]
  const before = Math.max(...rounds.slice(-3, -1))
  return last - rounds[1] >= GROWTH_BYTES_MAX && last - before >= GROWTH_BYTES_MAX / ROUNDS_MAX
}

for (const [name, build] of [
  ['the agent', agentAlone],
  ['edge and agent', edgeAndAgent],
] as const) {
  test(`${name}: ${CONNECTIONS} connections at once, ${MEGABYTES} MB each way, the app killed; three times the same`, {
    skip,
  }, async (t) => {
    const chain = await build(t)
    await warmUp(chain)
    // What a program opens once, such as a socket that asks the kernel about IPv6 addresses, is open after a small round.
    const small = { connections: 20, busy: 4, bytesEach: 100_000, pauseMs: PAUSE_MS }
    await runRound(chain, { targets: chain.targets, firstId: ROUNDS_MAX * IDS_PER_ROUND, ...small })
    await sleep(SETTLE_MS)
    const measured = Object.entries(chain.programs).map(([name, running]): Measured => {
      const { pid } = running.program
      return { name, pid, descriptors: openDescriptors(pid), rounds: [] }
    })
    let index = 0
    for (; index < ROUNDS || (index < ROUNDS_MAX && measured.some(isGrowing)); index++) {
      await runRound(chain, {
        targets: chain.targets,
        firstId: index * IDS_PER_ROUND,
        connections: CONNECTIONS,
        busy: BUSY,
        bytesEach: (MEGABYTES * 1_000_000) / BUSY,
        pauseMs: PAUSE_MS,
      })
      for (const { name, pid, descriptors } of measured) {
        const what = `${name} has ${descriptors} descriptors open, as before`
        await eventually(what, () => openDescriptors(pid) === descriptors, SETTLED_MS_MAX)
      }
      await sleep(SETTLE_MS)
      for (const { pid, rounds } of measured) rounds.push(residentBytes(pid))
    }
    for (const program of measured) {
      const { name, descriptors } = program
      const megabytes = program.rounds.map((bytes) => (bytes / 1_000_000).toFixed(1)).join(', ')
      t.diagnostic(`${name}: ${descriptors} descriptors before and after; resident after each round: ${megabytes} MB`)
      assert.ok(!isGrowing(program), `${name} has grown: ${megabytes} MB`)
    }
    const { metric } = chain.programs.agent
    const reset = index * CONNECTIONS + small.connections
    assert.equal(await metric('truepeer_connections_ended_total{reason="backend-reset"}'), reset)
    assert.ok((await metric('truepeer_connect_retries_total')) > 0, 'new connections have waited for the app')
  })
}

test('the app killed while streams fill every queue on the way: no wrong byte, each of them is reset', async (t) => {
  const chain = await edgeAndAgent(t)
  const round = { targets: chain.targets, connections: 40, busy: 40, bytesEach: 1_000_000, pauseMs: 0 }
  let receivedBytes = 0
  for (let index = 0; index < 5; index++) {
    receivedBytes += await runRound(chain, { ...round, firstId: index * IDS_PER_ROUND })
  }
  t.diagnostic(`${Math.round(receivedBytes / 1_000_000)} MB received until the app was killed`)
})
