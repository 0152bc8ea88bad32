// One edge with files, and plain apps as regions: what takes no controller and no agents.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { testDirectory } from '../rig/directory.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf, Conversation, startLineApps, whoAnswers } from '../rig/line-app.ts'
import { LOG_ALL, resources } from '../rig/resources.ts'
import { acceptSyns, refuseSyns } from './faults.ts'

const FRONTEND = `${IPV4.edge}:110`
const APPS = [1, 2, 3].map((number) => `${IPV4.backend}:${110 + number}`)
const [NEAR, NEXT, FAR] = APPS
const ZONES = ['us-central1-b', 'europe-west1-b', 'asia-east1-b']
/** Of the health check below. */
const FAILOVER_MS_MAX = 1_000 * 2 + 1_000

function configuration(nearScaler = 1): object[] {
  const balancing = (index: number) => ({
    balancingMode: 'CONNECTION',
    maxConnections: 100,
    capacityScaler: index === 0 ? nearScaler : 1,
  })
  const groups = Object.fromEntries(
    APPS.map((endpoint, index) => [
      `group-${index}`,
      { zone: ZONES[index], endpoints: [endpoint], balancing: balancing(index) },
    ]),
  )
  const healthCheck = { unhealthyThreshold: 2, healthyThreshold: 1 }
  return resources({
    frontends: { rule: { listen: FRONTEND, service: 'app' } },
    services: { app: { groups, healthCheck, fields: LOG_ALL } },
  })
}

test('a region that fails, or is drained, gives its new connections to the next nearest, and gets them back', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, APPS)
  const regionFile = join(testDirectory(t), 'regions.yaml')
  writeFileSync(regionFile, 'regions: []\n')
  const live = await startConfiguredEdge(t, edge, configuration(), ['--zone', 'us-central1-b', '--regions', regionFile])
  assert.deepEqual(await answersOf(client, FRONTEND, 6), { [NEAR]: 6 })
  const { regions } = (await live.status()).place
  assert.deepEqual(
    regions.map(({ region, kilometres }) => [region, kilometres !== undefined]),
    [
      ['us-central1', true],
      ['europe-west1', true],
      ['asia-east1', true],
    ],
  )
  const open = await Conversation.open(client, FRONTEND)
  assert.equal(await open.ask('before'), NEAR)

  await refuseSyns(backend, 111)
  const failedMs = performance.now()
  // Nobody is refused meanwhile: another attempt goes to another region.
  assert.equal(await whoAnswers(client, FRONTEND), NEXT)
  await eventually('it is found out', async () => (await live.group('app/us-central1-b/group-0')).state === 'unhealthy')
  assert.ok(performance.now() - failedMs < FAILOVER_MS_MAX, `after ${performance.now() - failedMs} ms`)
  assert.deepEqual(await answersOf(client, FRONTEND, 6), { [NEXT]: 6 })
  const elsewhere = await Conversation.open(client, FRONTEND)
  assert.equal(await elsewhere.ask('there'), NEXT)
  assert.equal(await open.ask('during'), NEAR, 'what is established goes on')

  await acceptSyns(backend)
  await eventually('it is back', async () => (await live.group('app/us-central1-b/group-0')).state === 'serving')
  assert.deepEqual(await answersOf(client, FRONTEND, 6), { [NEAR]: 6 })
  assert.equal(await elsewhere.ask('after'), NEXT)

  assert.equal(await live.reload(configuration(0)), 'ok')
  assert.deepEqual(await answersOf(client, FRONTEND, 6), { [NEXT]: 6 })
  const answer = JSON.parse(await live.read('/why?client=209.52.88.4&frontend=rule')) as {
    readonly explanations: readonly [{ readonly choice: { readonly region: string; readonly reason: string } }]
  }
  const { region, reason } = answer.explanations[0].choice
  assert.deepEqual([region, reason], ['europe-west1', 'drained'])
  const unknown = await live.ask('GET', '/why?client=209.52.88.4&frontend=other')
  assert.equal(unknown.status, 400)
  assert.match(unknown.body, /has no frontend ..other..; it has rule/)

  // Europe drifts away.
  writeFileSync(regionFile, 'regions: [{ name: europe-west1, latitude: -45, longitude: 90 }]\n')
  assert.equal(await live.reload(configuration(0)), 'ok')
  const order = async () => (await live.status()).place.regions.map(({ region }) => region)
  assert.deepEqual(await order(), ['us-central1', 'asia-east1', 'europe-west1'])
  assert.deepEqual(await answersOf(client, FRONTEND, 3), { [FAR]: 3 })
  writeFileSync(regionFile, 'regions: [{ name: europe-west1 }]\n')
  assert.equal(await live.reload(configuration(0)), 'failed')
  assert.match(
    (await live.status()).configuration.problems.join(),
    /regions\.yaml: regions\[0\]\.latitude: it is missing/,
  )
  assert.deepEqual(await order(), ['us-central1', 'asia-east1', 'europe-west1'])
  open.socket.destroy()
  elsewhere.socket.destroy()
  const name = (reasonOf: string) =>
    `truepeer_group_connections_total{service="app",group="europe-west1-b/group-1",region="europe-west1",reason="${reasonOf}"}`
  assert.equal(await live.metric(name('drained')), 6)
  assert.equal(await live.metric(name('unhealthy')), 7)
  assert.equal(await live.metric(name('retry')), 1)
})
