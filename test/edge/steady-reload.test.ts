import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { startLineApps, whoAnswers } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { simple } from '../rig/resources.ts'
import { checkReloads } from './steady-reload.ts'

/** A handshake that ends between the last accept(2) and close(2) is reset by the kernel; about one in 200 times. */
const RESETS_MAX = 2
/** A worker that loses its processor between the two resets all who come meanwhile; not each time, though. */
const TRIES = 4

test('ten reloads under 200 connections a second, two of them refused: no connection fails, none is touched', (t) =>
  checkReloads(t, 1, 60))

test('a frontend that leaves under load serves whoever has come, and refuses whoever comes later', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const app = `${IPV4.backend}:9001`
  await startLineApps(backend, [app])
  const [here, elsewhere] = [7000, 7001].map((port) => simple(`${IPV4.edge}:${port}`, [app]))
  const live = await startConfiguredEdge(t, edge, here, ['--workers', '2'])
  const target = `${IPV4.edge}:7000`
  const accepted = (): Promise<number> => live.metric('truepeer_connections_accepted_total')
  const resets: number[] = []
  while (resets.length < TRIES && !resets.some((count) => count <= RESETS_MAX)) {
    const load = await startLoad(client, { targets: [target], perSecond: 1_000 })
    for (let turn = 0; turn < 5; turn++) {
      const before = await accepted()
      await eventually('clients come', async () => (await accepted()) > before + 20)
      assert.equal(await live.reload(elsewhere), 'ok')
      assert.equal(await whoAnswers(client, target), 'ECONNREFUSED')
      assert.equal(await live.reload(here), 'ok')
    }
    const { failures, answered, started } = await load.stop()
    assert.ok(answered > 0)
    const refused = failures[`ECONNREFUSED connecting to ${target}`] ?? 0
    resets.push(started - answered - refused)
    t.diagnostic(`of ${started} ${refused} were refused and ${resets.at(-1)} reset: ${JSON.stringify(failures)}`)
  }
  assert.ok(Math.min(...resets) <= RESETS_MAX, `reset in each try: ${resets.join(', ')}`)
})
