// Many datagrams, from sources that nobody has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import type { DatagramLoadOrder, DatagramLoadResult } from '../programs/datagram-load.ts'
import { AGENT, APP, startAgent } from '../rig/agent.ts'
import { agentHosts } from '../rig/hosts.ts'
import { residentBytes } from '../rig/process.ts'

const PROGRAM = fileURLToPath(new URL('../programs/datagram-load.js', import.meta.url))
const SPOOFED = 100_000
const LIVE = 100
const FLOWS_MAX = 2_000
const MEBIBYTE = 1024 * 1024

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
  assert.deepEqual([answers.strayed, answers.silent], [0, 0])
  assert.ok(residentBytes(pid) - before < 16 * MEBIBYTE)
  assert.ok((await agent.metric('truepeer_flows_open')) <= FLOWS_MAX)
  assert.ok((await agent.metric('truepeer_flows_ended_total{reason="evicted"}')) >= SPOOFED - FLOWS_MAX)
})
