// Row 7 of the guide: `--balancing-mode UTILIZATION --max-utilization 0.8`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { answersOf } from '../rig/line-app.ts'
import { buildAgents, configuration, FIRST, FRONTEND, SECOND } from './capacity.ts'

test('row 7: above 80 % utilization new traffic goes to another group, and below it comes back', async (t) => {
  const { client, edge, loads } = await buildAgents(t, [0.9, 0.3])
  const live = await startConfiguredEdge(t, edge, configuration(['us-central1-b', 'us-central1-c']))
  const key = 'app/us-central1-b/one'
  await eventually('it is full', async () => (await live.group(key)).state === 'full-utilization')
  assert.ok(Math.abs(((await live.group(key)).utilization ?? 0) - 0.9) < 0.05)
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { [SECOND]: 10 })
  loads[0].utilization = 0.7
  await eventually('nothing is held back', async () => (await live.group(key)).limit === undefined)
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { [FIRST]: 5, [SECOND]: 5 })
})
