import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { residentBytes } from '../rig/process.ts'
import { startRecordingApp } from '../rig/recording-app.ts'
import { connectTls, finish, issueLeaf, receivedBy, shownName, sslResources } from '../rig/ssl-resources.ts'

const FRONTEND = `${IPV4.edge}:443`
const APP = `${IPV4.backend}:9000`
const NAMES = ['app.example', 'renewed.example'] as const
const GROWTH_BYTES_MAX = 16 * 1024 * 1024

/** How often certificates change, how many handshakes there are in a second, and how many from one to the next. */
export type Churn = { readonly changes: number; readonly handshakesPerSecond: number; readonly between: number }

/** Changes the certificates of an edge under handshakes: none fails, and nothing grows. */
export async function changeCertificatesUnderLoad(t: TestContext, churn: Churn): Promise<void> {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  const leaves = NAMES.map((name) => issueLeaf(name, { names: ['app.example'] }))
  const described = (turn: number): object[] =>
    sslResources({
      listen: FRONTEND,
      endpoints: [APP],
      certificates: { mine: leaves[turn % 2] },
      policy: { profile: 'MODERN', minTlsVersion: turn % 4 < 2 ? 'TLS_1_0' : 'TLS_1_2' },
    })
  const live = await startConfiguredEdge(t, edge, described(0), ['--workers', '2'])
  const failures: string[] = []
  const shown = new Map<string, number>()
  let handshakes = 0
  const visit = async (): Promise<void> => {
    try {
      const tls = await connectTls(client, FRONTEND)
      const name = shownName(tls)
      shown.set(name, (shown.get(name) ?? 0) + 1)
      assert.equal(receivedBy(await finish(tls, 'hello')).toString(), 'hello')
      handshakes += 1
    } catch (error) {
      failures.push(String(error))
    }
  }
  const pending = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const visited = visit().finally(() => pending.delete(visited))
    pending.add(visited)
  }, 1_000 / churn.handshakesPerSecond)
  t.after(() => clearInterval(timer))
  let residentAtHalf = 0
  const half = Math.ceil(churn.changes / 2)
  for (let turn = 1; turn <= churn.changes; turn++) {
    assert.equal(await live.reload(described(turn)), 'ok')
    if (turn === half) residentAtHalf = residentBytes(live.program.pid)
    const before = handshakes
    await eventually('handshakes go on', () => failures.length > 0 || handshakes >= before + churn.between)
  }
  clearInterval(timer)
  await Promise.all(pending)
  const grownBytes = residentBytes(live.program.pid) - residentAtHalf
  t.diagnostic(`${handshakes} handshakes, ${JSON.stringify([...shown])}, grown by ${Math.round(grownBytes / 1024)} KiB`)
  assert.deepEqual(failures, [])
  assert.equal(shown.size, 2, 'both certificates were shown')
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `grown by ${grownBytes} bytes`)
  const { configuration } = await live.status()
  assert.equal(configuration.reloads.ok, churn.changes)
  await eventually('no connection is open', async () => (await live.status()).frontends.every(({ open }) => open === 0))
}
