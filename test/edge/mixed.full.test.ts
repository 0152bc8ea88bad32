// Ten minutes of everything at once: no wrong byte, no connection that ends but as it was meant to, nothing left behind.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { APP, APP6 } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { type LiveEdge, startConfiguredEdge, untilNothingIsLeft } from '../rig/edge.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { descriptors, openSockets, residentBytes } from '../rig/process.ts'
import { LOG_ALL } from '../rig/resources.ts'
import { secure, sslResources } from '../rig/ssl-resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { KINDS, type Kind, type Order, serve, talk, urgently } from './mixed-talk.ts'

/** How long it goes on; the variable is for trying it. */
const DURATION_MS = Number(process.env.TRUEPEER_MIXED_SECONDS ?? 600) * 1_000
const RELOAD_MS = 1_000
/** One kind of pause after so many reloads, in turn. */
const PAUSE_RELOADS = 12
/** Longer than any conversation is silent by itself, and than one process is stopped while the other goes on. */
const IDLE_MS = 8_000
const STOPPED_ALONE_MS = 2_000
/** Longer than any silence may be. */
const STOPPED_TOGETHER_MS = 10_000
const CLIENTS = 48
const BYTES_MAX = 2_000_000
/** What one process has passed on may wait in the other's kernel for so long: to the first, that is silence. */
const READING_MS_MAX = 4_000
const PLAIN = `${IPV4.edge}:110`
const TLS = `${IPV4.edge}:443`
const AGENT_PORTS = [110, 111]
/** What a process may grow by once all of its parts have been in use: garbage that has not been collected yet. */
const GROWTH_BYTES_MAX = 32 * 1024 * 1024

function edgeConfiguration(turn: number): object[] {
  // Either port of the agent, or both, and with every change another timeout.
  const ports = [AGENT_PORTS, [AGENT_PORTS[0]], [AGENT_PORTS[1]]][turn % 3]
  const endpoints = ports.map((port) => `${IPV4.backend}:${port}`)
  const timeoutSec = IDLE_MS / 1_000 + (turn % 2)
  const service = { ...LOG_ALL, timeoutSec, connectionDraining: { drainingTimeoutSec: 3_600 } }
  const proxy = { proxyHeader: 'PROXY_V1' }
  return [
    ...sslResources({ listen: TLS, endpoints, service, proxy }),
    {
      kind: 'compute#forwardingRule',
      name: 'plain',
      IPAddress: IPV4.edge,
      IPProtocol: 'TCP',
      portRange: '110-110',
      target: 'global/targetTcpProxies/plain-proxy',
    },
    { kind: 'compute#targetTcpProxy', name: 'plain-proxy', service: 'global/backendServices/app', ...proxy },
  ]
}

function agentConfiguration(turn: number): string {
  const listeners = AGENT_PORTS.map((port) => ({
    listen: `${IPV4.backend}:${port}`,
    target4: APP,
    target6: APP6,
    allowAllSubnets: true,
    idleTimeout: `${IDLE_MS + 1_000 * (turn % 2)}ms`,
  }))
  return JSON.stringify({ warmUp: 'off', listeners })
}

/** A running agent, and how it is given its next configuration. */
type LiveAgent = { readonly program: Program; reload(turn: number): Promise<void> }

async function startAgent(t: TestContext, host: Host): Promise<LiveAgent> {
  const file = join(testDirectory(t), 'agent.yaml')
  writeFileSync(file, agentConfiguration(0))
  const program = host.start(TRUEPEER, ['agent', '--config', file])
  await program.waitForLine(new RegExp(`"listen":"${IPV4.backend}:${AGENT_PORTS[1]}"`), { timeoutMs: 60_000 })
  return {
    program,
    async reload(turn) {
      writeFileSync(file, agentConfiguration(turn))
      const from = program.output.length
      program.signal('SIGHUP')
      await program.waitForLine(/reloaded/, { from, timeoutMs: 60_000 })
    },
  }
}

/** Numbers from 0 to 1, always the same ones. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function chooseOrder(id: number, random: () => number, isTls: boolean): Order {
  const kind: Kind = KINDS[Math.floor(random() * KINDS.length)]
  // As many small ones as large ones.
  const size = (): number => Math.floor(Math.exp(random() * Math.log(BYTES_MAX)))
  const asked = 256 * (1 + Math.floor(random() * 40))
  const bytesFromClient = kind === 'ask' ? asked : kind === 'app-reset' ? 1 : size()
  const bytesFromApp = kind === 'ask' ? asked : kind === 'client-reset' ? 0 : size()
  const reads = (bytes: number): number => (random() < 0.5 ? 0 : Math.max(50 + random() * 400, bytes / READING_MS_MAX))
  return {
    id,
    kind,
    bytesFromClient,
    bytesFromApp,
    // Node's TLS drops what it has decrypted when it hears of a reset.
    clientReads: isTls && kind === 'app-reset' ? 0 : reads(bytesFromApp),
    appReads: reads(bytesFromClient),
    clientIsUrgent: random() < 0.3,
    appIsUrgent: random() < 0.3,
    pauseMs: Math.floor(random() * 1_000),
  }
}

const MANNERS = ['client reads slowly', 'app reads slowly', 'client is urgent', 'app is urgent'] as const

/** What a conversation is an example of, in words. */
function traitsOf(order: Order, isTls: boolean): string[] {
  const has = [order.clientReads > 0, order.appReads > 0, order.clientIsUrgent, order.appIsUrgent]
  const manners = MANNERS.filter((_, index) => has[index])
  return [order.kind, ...manners].map((trait) => nameTrait(trait, isTls))
}

function nameTrait(trait: string, isTls: boolean): string {
  return `${isTls ? 'TLS' : 'plain'}: ${trait}`
}

/** What has gone wrong, how many conversations there were of each kind, and of each trait. */
type Tally = {
  readonly problems: string[]
  readonly counts: Record<Kind, number>
  readonly traits: Map<string, number>
  /** Those of which the app has not seen the end, by their number. */
  readonly unserved: Map<number, Order>
}

/** One client after the other, until the time is over. */
async function keepTalking(client: Host, seed: number, untilMs: number, tally: Tally): Promise<void> {
  const random = numbers(seed)
  for (let count = 0; performance.now() < untilMs; count++) {
    const isTls = random() < 0.5
    const order = chooseOrder(seed * 1_000_000 + count, random, isTls)
    try {
      const raw = await client.connect({ to: isTls ? TLS : PLAIN, timeoutMs: 60_000 })
      const socket = isTls ? await secure(order.clientIsUrgent ? urgently(raw) : raw) : raw
      tally.counts[order.kind] += 1
      tally.unserved.set(order.id, order)
      for (const trait of traitsOf(order, isTls)) tally.traits.set(trait, (tally.traits.get(trait) ?? 0) + 1)
      const problem = await talk({ socket, raw }, order)
      if (problem !== undefined) tally.problems.push(problem)
    } catch (error) {
      tally.problems.push(`client ${JSON.stringify(order)}: ${error instanceof Error ? error.message : error}`)
    }
  }
}

/** A reload each second, of edge and agent; now and then one of them is stopped for a while, or both. */
async function disturb(edge: LiveEdge, agent: LiveAgent, untilMs: number): Promise<number> {
  const stops: (readonly [readonly Program[], number])[] = [
    [[edge.program], STOPPED_ALONE_MS],
    [[agent.program], STOPPED_ALONE_MS],
    [[edge.program, agent.program], STOPPED_TOGETHER_MS],
  ]
  let turn = 0
  for (; performance.now() < untilMs; turn++) {
    const startedMs = performance.now()
    assert.equal(await edge.reload(edgeConfiguration(turn)), 'ok')
    await agent.reload(turn)
    if (turn % PAUSE_RELOADS === PAUSE_RELOADS - 1) {
      const [programs, durationMs] = stops[Math.floor(turn / PAUSE_RELOADS) % stops.length]
      for (const program of programs) program.signal('SIGSTOP')
      await pause(durationMs, 'the processes stand still')
      for (const program of programs) program.signal('SIGCONT')
    }
    await pause(Math.max(1, RELOAD_MS - (performance.now() - startedMs)), 'a reload each second')
  }
  return turn
}

/** What a process holds while it runs. */
class Holdings {
  readonly #pid: number
  readonly #bytes: number[] = []
  readonly #descriptors: number[] = []
  readonly #timer = setInterval(() => this.#look(), 500)
  pipesMost = 0

  constructor(pid: number) {
    this.#pid = pid
  }

  #look(): void {
    const open = descriptors(this.#pid)
    this.#bytes.push(residentBytes(this.#pid))
    this.#descriptors.push(open.length)
    this.pipesMost = Math.max(this.pipesMost, pipes(open))
  }

  /** The least of each quarter: what is held for clients comes and goes. */
  stop(): { readonly bytes: readonly number[]; readonly descriptors: readonly number[] } {
    clearInterval(this.#timer)
    return { bytes: leastOfQuarters(this.#bytes), descriptors: leastOfQuarters(this.#descriptors) }
  }
}

function leastOfQuarters(samples: readonly number[]): number[] {
  const length = Math.floor(samples.length / 4)
  return [0, 1, 2, 3].map((quarter) => Math.min(...samples.slice(quarter * length, (quarter + 1) * length)))
}

function pipes(open: readonly string[]): number {
  return open.filter((target) => target.startsWith('pipe:')).length
}

function countEnds(edge: LiveEdge): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { end } of edge.records()) counts[end] = (counts[end] ?? 0) + 1
  return counts
}

/** Everything that is to be in the mix has been in it. */
function assertMixed({ traits }: Tally): void {
  const wanted = [true, false].flatMap((isTls) => [...KINDS, ...MANNERS].map((trait) => nameTrait(trait, isTls)))
  assert.deepEqual(
    wanted.filter((trait) => !traits.has(trait)),
    [],
  )
}

test(`${DURATION_MS / 1_000} s of mixed traffic with reloads and pauses: no byte is wrong, and nothing is left`, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await routeForAgent(backend)
  const agent = await startAgent(t, backend)
  const live = await startConfiguredEdge(t, edge, edgeConfiguration(0), ['--workers', '2'])
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>
  const tally: Tally = { problems: [], counts, traits: new Map(), unserved: new Map() }
  await backend.listen(APP, (socket) => {
    void serve(socket).then(({ order, problem }) => {
      tally.unserved.delete(order.id)
      if (problem !== undefined) tally.problems.push(problem)
    })
  })
  const pids = [live.program.pid, agent.program.pid]
  const sockets = openSockets(live.program.pid)
  const before = pids.map(descriptors)
  const holdings = pids.map((pid) => new Holdings(pid))
  const untilMs = performance.now() + DURATION_MS
  const talking = Array.from({ length: CLIENTS }, (_, index) => keepTalking(client, index + 1, untilMs, tally))
  const reloads = await disturb(live, agent, untilMs)
  await Promise.all(talking)
  const total = Object.values(counts).reduce((sum, count) => sum + count)
  const held = holdings.map((each) => each.stop())
  t.diagnostic(`${total} conversations ${JSON.stringify(Object.fromEntries(tally.traits))}, ${reloads} reloads`)
  t.diagnostic(`memory: ${held.map(({ bytes }) => bytes.map((each) => each >> 20).join(' ')).join(', ')} MiB`)
  t.diagnostic(`descriptors: ${held.map((each) => each.descriptors.join(' ')).join(', ')}`)
  await eventually('the app has seen the end of all', () => tally.unserved.size === 0).catch(() => {})
  assert.deepEqual([[...tally.unserved.values()], tally.problems], [[], []])
  assertMixed(tally)
  for (const [index, { pipesMost }] of holdings.entries())
    assert.ok(pipesMost > pipes(before[index]), 'bytes were spliced')

  await untilNothingIsLeft(live, sockets)
  await eventually('all is in the log', () => live.records().length === total)
  const clientReset = counts['client-reset'] + counts['client-breaks']
  const appReset = counts['app-reset'] + counts['app-breaks']
  assert.deepEqual(countEnds(live), {
    finished: total - clientReset - appReset,
    'client-reset': clientReset,
    'backend-reset': appReset,
  })
  const surplus = (): number[] => pids.map((pid, index) => descriptors(pid).length - before[index].length)
  await eventually(`no descriptor is left: ${surplus()}`, () => surplus().every((count) => count <= 0))
  for (const { bytes } of held) assert.ok(bytes[3] - bytes[1] < GROWTH_BYTES_MAX, `memory grows: ${bytes}`)
})
