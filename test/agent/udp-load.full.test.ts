// Many datagrams: from sources that nobody has, and for a long time.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import type { DatagramLoadOrder, DatagramLoadResult } from '../programs/datagram-load.ts'
import { AGENT, APP, startAgent } from '../rig/agent.ts'
import { agentHosts, edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { residentBytes } from '../rig/process.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const PROGRAM = fileURLToPath(new URL('../programs/datagram-load.js', import.meta.url))
const FRONTEND = `${IPV4.edge}:110`
const SPOOFED = 100_000
const LIVE = 100
const FLOWS_MAX = 2_000
const MEBIBYTE = 1024 * 1024
/** Ten minutes are 600. */
const SOAK_SECONDS = Number(process.env['TRUEPEER_SOAK_SECONDS'] ?? 60)
/** Of what the chain carries without loss. */
const SOAK_SHARE = 0.7

async function startEcho(host: Host): Promise<Program> {
  const echo = host.start(process.execPath, [PROGRAM, 'echo', APP])
  await echo.waitForLine(/^echoing$/)
  return echo
}

async function load(host: Host, order: DatagramLoadOrder): Promise<DatagramLoadResult> {
  const sender = host.start(process.execPath, [PROGRAM, 'send', JSON.stringify(order)])
  const line = await sender.waitForLine(/^\{/, { timeoutMs: (order.seconds + 20) * 1_000 })
  return JSON.parse(line) as DatagramLoadResult
}

test('100,000 sources that nobody has take no more memory than the limit of flows, and 100 live ones go on', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEcho(backend)
  const agent = await startAgent(backend, ['-p', 'udp', '--max-flows', String(FLOWS_MAX)])
  const { pid } = agent.program
  const live = { target: AGENT, flows: LIVE, bytes: 100, headersFrom: '203.0' } as const
  const flood = { target: AGENT, flows: SPOOFED, bytes: 100, headersFrom: '198.51' } as const
  // Everything that it will ever take: the table is full, and all code has run.
  await load(edge, { ...flood, perSecond: 5_000, seconds: 4 })
  const before = residentBytes(pid)
  const [answers] = await Promise.all([
    load(edge, { ...live, perSecond: 1_000, seconds: 15 }),
    load(edge, { ...flood, perSecond: 10_000, seconds: 10 }),
  ])
  t.diagnostic(`${JSON.stringify(answers)}; ${Math.round((residentBytes(pid) - before) / MEBIBYTE)} MiB more`)
  assert.ok(answers.answered >= answers.sent * 0.999, JSON.stringify(answers))
  assert.deepEqual([answers.strayed, answers.misnamed, answers.silent], [0, 0, 0])
  assert.ok(residentBytes(pid) - before < 16 * MEBIBYTE)
  assert.equal(await agent.metric('truepeer_flows_open'), FLOWS_MAX)
  assert.ok((await agent.metric('truepeer_flows_ended_total{reason="evicted"}')) >= SPOOFED - FLOWS_MAX)
  const { sent, answered } = await load(edge, { ...live, perSecond: 500, seconds: 1 })
  assert.equal(answered, sent, 'nothing is lost once it is over')
})

/** The highest of some paces that edge and agent carry without loss. */
async function capacity(t: TestContext, client: Host, order: Omit<DatagramLoadOrder, 'perSecond' | 'seconds'>) {
  let good = 0
  for (const perSecond of [2_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000]) {
    const { sent, answered } = await load(client, { ...order, perSecond, seconds: 4 })
    if (answered < sent) break
    good = perSecond
  }
  t.diagnostic(`${good} datagrams a second each way without loss`)
  assert.notEqual(good, 0)
  return good
}

test('edge and agent grow no more after a minute at 70 % of what they carry', { timeout: 1_700_000 }, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await routeForAgent(backend)
  await startEcho(backend)
  const agent = await startAgent(backend, ['-p', 'udp'])
  const words = ['--listen', FRONTEND, '--backend', AGENT, '--proxy-header', 'PROXY_V2']
  const balancer = await startTruepeer(edge, 'edge', ['-p', 'udp', ...words])
  const order = { target: FRONTEND, flows: 64, bytes: 200 }
  const perSecond = Math.floor(SOAK_SHARE * (await capacity(t, client, order)))
  const processes = [balancer, agent].map(({ program }) => program.pid)
  await load(client, { ...order, perSecond, seconds: 15 })
  const before = processes.map(residentBytes)
  const { sent, answered, strayed } = await load(client, { ...order, perSecond, seconds: SOAK_SECONDS })
  const growth = processes.map((pid, index) => Math.round((residentBytes(pid) - before[index]) / MEBIBYTE))
  t.diagnostic(`${sent} datagrams, ${sent - answered} lost; edge and agent have grown by ${growth.join(' and ')} MiB`)
  assert.equal(strayed, 0)
  assert.ok(answered >= sent * 0.9999, `${sent - answered} of ${sent} lost`)
  for (const mebibytes of growth) assert.ok(mebibytes <= 8, `${growth}`)
})
