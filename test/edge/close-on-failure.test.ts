// `closeOnFailureSec`: the connections of a backend whose health check fails are ended, where a service wants it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { Conversation, startLineApps } from '../rig/line-app.ts'
import { resources } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { acceptSyns, refuseSyns } from './faults.ts'

const [CLOSING, GOING_ON] = [`${IPV4.edge}:110`, `${IPV4.edge}:111`]
const APP = `${IPV4.backend}:112`
const CLOSE_SEC = 1
const HEALTH = 'closing/us-central1-b/first'

const CONFIGURATION = resources({
  frontends: {
    closing: { listen: CLOSING, service: 'closing' },
    open: { listen: GOING_ON, service: 'open' },
  },
  services: {
    closing: {
      groups: { first: { endpoints: [APP] } },
      healthCheck: { unhealthyThreshold: 1, healthyThreshold: 1 },
      fields: { closeOnFailureSec: CLOSE_SEC, logConfig: { enable: true } },
    },
    open: { groups: { second: { endpoints: [APP] } }, healthCheck: { unhealthyThreshold: 1, healthyThreshold: 1 } },
  },
})

test('connections of a backend that is unhealthy for long enough are reset, those of other services go on', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [APP])
  const live = await startConfiguredEdge(t, edge, CONFIGURATION)
  const [closing, goingOn] = await Promise.all([
    Conversation.open(client, CLOSING),
    Conversation.open(client, GOING_ON),
  ])
  assert.deepEqual([await closing.ask('before'), await goingOn.ask('before')], [APP, APP])

  await refuseSyns(backend, 112)
  await eventually('it is unhealthy', async () => (await live.group(HEALTH)).state === 'unhealthy')
  const unhealthyMs = performance.now()
  assert.equal(await closing.ask('during'), APP, 'not at once')
  assert.equal(await closing.ended, 'ECONNRESET')
  const tookMs = performance.now() - unhealthyMs
  assert.ok(tookMs > 500 && tookMs < 1_000 * CLOSE_SEC + 1_000, `${tookMs} ms`)
  assert.equal(await goingOn.ask('after'), APP)
  await eventually('it is in the log', () => live.records().some(({ end }) => end === 'backend-unhealthy'))
  assert.equal(await live.metric('truepeer_connections_ended_total{reason="backend-unhealthy"}'), 1)

  await acceptSyns(backend)
  await eventually('it is back', async () => (await live.group(HEALTH)).state === 'serving')
  const again = await Conversation.open(client, CLOSING)
  assert.equal(await again.ask('again'), APP)
  for (const { socket } of [again, goingOn]) socket.destroy()
})
