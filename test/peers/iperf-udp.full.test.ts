// iperf3 over UDP, which also speaks TCP at the same address and port: the whole chain, beside one with Debian's go-mmproxy
// in place of the agent.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, APP } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const [, APP_PORT] = APP.split(':')
const PORT = 5201
const BYTES = 200
const SECONDS = 4
const RUNS = 4
/** Datagrams a second; at one of them go-mmproxy loses. */
const PACES = [5_000, 10_000, 20_000, 30_000, 40_000, 60_000]

type Chain = { readonly client: Host; readonly backend: Host }

async function chain(t: TestContext, startAgent: (backend: Host) => Promise<unknown>): Promise<Chain> {
  const { client, edge, backend } = await edgeHosts(t)
  await routeForAgent(backend)
  await startAgent(backend)
  const words = ['--listen', `${IPV4.edge}:${PORT}`, '--backend', AGENT, '--proxy-header', 'PROXY_V2']
  await startTruepeer(edge, 'edge', ['-p', 'tcp,udp', ...words])
  return { client, backend }
}

/** The share of datagrams that got lost on the way to the server, in percent, and whom the server saw. */
async function lossAt({ client, backend }: Chain, perSecond: number): Promise<{ loss: number; sees: string }> {
  const server = backend.start('iperf3', ['-s', '-1', '-B', '127.0.0.1', '-p', APP_PORT])
  await eventually('the server listens', async () => {
    return (await backend.run('ss', ['-Hltn', `sport = :${APP_PORT}`])).stdout !== ''
  })
  const rate = String(perSecond * BYTES * 8)
  const words = [
    '-c',
    IPV4.edge,
    '-p',
    String(PORT),
    '-u',
    '-l',
    String(BYTES),
    '-b',
    rate,
    '-w',
    '2M',
    '-t',
    String(SECONDS),
    '-J',
  ]
  const { stdout } = await client.run('iperf3', words, { timeoutMs: 30_000 })
  const { end, error } = JSON.parse(stdout) as {
    readonly end: { sum?: { lost_percent: number } }
    readonly error?: string
  }
  await server.exited
  assert.ok(end.sum !== undefined, error)
  return { loss: end.sum.lost_percent, sees: server.texts().join('\n') }
}

/** The least of a few runs: what else the machine does meanwhile is no fault of either. */
async function leastLoss(between: Chain, perSecond: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS && least > 0; run++) least = Math.min(least, (await lossAt(between, perSecond)).loss)
  return least
}

test('iperf3 loses nothing through edge and agent at a pace at which it loses with go-mmproxy', {
  skip: skipWithout('iperf3', 'go-mmproxy'),
  timeout: 600_000,
}, async (t) => {
  const target = ['-l', AGENT, '-4', APP]
  const ours = await chain(t, (backend) =>
    startTruepeer(backend, 'agent', ['-p', 'tcp,udp', ...target, '-6', 'none', '--allow-all-subnets']),
  )
  const others = await chain(t, async (backend) => {
    for (const protocol of ['tcp', 'udp']) backend.start('go-mmproxy', ['-p', protocol, ...target])
    await eventually('go-mmproxy listens', async () => {
      return (await backend.run('ss', ['-Hlntu', 'sport = :110'])).stdout.trim().split('\n').length === 2
    })
  })
  const first = await lossAt(ours, PACES[0])
  assert.match(first.sees, /Accepted connection from 209\.52\.88\.4, port \d+/)
  assert.match(first.sees, /connected to 209\.52\.88\.4 port \d+/)
  for (const pace of PACES) {
    const theirs = await leastLoss(others, pace)
    t.diagnostic(`${pace} a second: go-mmproxy loses ${theirs.toFixed(2)} % at least`)
    if (theirs === 0) continue
    const loss = await leastLoss(ours, pace)
    t.diagnostic(`${pace} a second: the agent loses ${loss.toFixed(2)} %`)
    assert.equal(loss, 0, `at ${pace} a second, where go-mmproxy loses ${theirs} %`)
    return
  }
  t.diagnostic('go-mmproxy lost nothing either')
})
