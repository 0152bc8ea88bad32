// The issue of a load balancer of the world, with real edges, agents and a controller.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { ExplainedGroup } from '../../src/telemetry/edge-why.ts'
import { groupIn } from '../rig/edge.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { answersOf, Conversation, whoAnswers } from '../rig/line-app.ts'
import type { Running } from '../rig/truepeer.ts'
import { acceptSyns, refuseSyns } from './faults.ts'
import {
  buildWorld,
  FRONTEND,
  FRONTEND6,
  insertService,
  patchBackends,
  REGIONS,
  startRegionEdge,
  untilHealthy,
} from './regions.ts'

/** Of the health check, which asks every second and believes the second failure. */
const FAILOVER_MS_MAX = 1_000 * 2 + 1_000
const CPU_PER_CONNECTION = 0.1

const byConnections = (maxConnections: number) => () => ({ balancingMode: 'CONNECTION', maxConnections })

async function openOf(edges: readonly Running[], group: string): Promise<number> {
  const statuses = await Promise.all(edges.map((edge) => edge.status()))
  return statuses.reduce((sum, status) => sum + groupIn(status, group).open, 0)
}

async function openMany(client: Host, count: number): Promise<Conversation[]> {
  const conversations: Conversation[] = []
  for (let index = 0; index < count; index++) {
    const conversation = await Conversation.open(client, FRONTEND)
    await conversation.ask('hello')
    conversations.push(conversation)
  }
  return conversations
}

test('under load, and with clients of IPv6: the near region dies, all that is new is elsewhere in time, and it comes back', async (t) => {
  const world = await buildWorld(t)
  const edge = await startRegionEdge(t, world, 0)
  await insertService(world, byConnections(1_000))
  await untilHealthy(edge)
  const [client] = world.clients
  const [near, next] = world.regions
  assert.deepEqual(await answersOf(client, FRONTEND, 5), { [near.app]: 5 })
  assert.deepEqual(await answersOf(client, FRONTEND6, 5), { [near.app6]: 5 })
  const established = await openMany(client, 10)
  const elsewhere: Conversation[] = []

  let isLoaded = true
  const seen: { readonly atMs: number; readonly app: string }[] = []
  const load = async (to: string): Promise<void> => {
    while (isLoaded) seen.push({ atMs: performance.now(), app: await whoAnswers(client, to) })
  }
  const loads = [load(FRONTEND), load(FRONTEND6)]
  await refuseSyns(near.host, 110)
  const diedMs = performance.now()
  await eventually('it is found out', async () => groupIn(await edge.status(), near.group).state === 'unhealthy')
  const foundMs = performance.now() - diedMs
  elsewhere.push(...(await openMany(client, 5)))
  await acceptSyns(near.host)
  await eventually('it is back', async () => groupIn(await edge.status(), near.group).state === 'serving')
  await eventually('clients are back', async () => (await whoAnswers(client, FRONTEND)) === near.app)
  isLoaded = false
  await Promise.all(loads)

  t.diagnostic(`found out after ${Math.round(foundMs)} ms, under ${seen.length} connections`)
  assert.ok(foundMs < FAILOVER_MS_MAX, `${foundMs} ms`)
  // Refused attempts go on to the next region at once: no client notices anything.
  const apps = new Set([near.app, near.app6, next.app, next.app6])
  assert.deepEqual(
    seen.filter(({ app }) => !apps.has(app)),
    [],
  )
  for (const conversation of established) assert.equal(await conversation.ask('still there?'), near.app)
  for (const conversation of elsewhere) assert.equal(await conversation.ask('still there?'), next.app)
})

test('two edges of one controller keep within one target, and let it be filled; a drained region gets nothing', async (t) => {
  const world = await buildWorld(t)
  const edges = [await startRegionEdge(t, world, 0), await startRegionEdge(t, world, 1)]
  await insertService(world, (region) => ({ balancingMode: 'CONNECTION', maxConnections: region === 0 ? 10 : 1_000 }))
  for (const edge of edges) await untilHealthy(edge)
  const [near, next] = world.regions
  await eventually('both know of each other', async () =>
    (await Promise.all(edges.map((edge) => edge.status()))).every(({ place }) => place.edges === 2),
  )
  const knows = async (edge: Running): Promise<boolean> =>
    groupIn(await edge.status(), near.group).openElsewhere !== undefined
  await eventually('agents are asked', async () => (await Promise.all(edges.map(knows))).every(Boolean))
  const conversations: Conversation[] = []
  const most = { near: 0 }
  await eventually(
    'the target is filled',
    async () => {
      for (const client of world.clients) conversations.push(...(await openMany(client, 1)))
      await pause(200, 'clients come one by one')
      const open = await openOf(edges, near.group)
      most.near = Math.max(most.near, open)
      return open >= 10
    },
    90_000,
  )
  conversations.push(...(await openMany(world.clients[1], 20)), ...(await openMany(world.clients[0], 20)))
  most.near = Math.max(most.near, await openOf(edges, near.group))
  assert.equal(most.near, 10)
  const elsewhere = conversations.length - 10
  assert.equal(await openOf(edges, next.group), elsewhere)

  const asked = await world.controller.ask('GET', '/truepeer/v1/edges/edge-2/why?client=209.52.2.4&frontend=rule')
  assert.equal(asked.status, 200)
  const { explanations } = asked.body as { explanations: [{ groups: ExplainedGroup[]; choice: { reason: string } }] }
  assert.equal(explanations[0].groups[0].state, 'full-connections')
  assert.equal(explanations[0].groups[0].target, 10)
  assert.equal(explanations[0].choice.reason, 'full')

  await patchBackends(world, (region) => ({
    balancingMode: 'CONNECTION',
    maxConnections: 1_000,
    capacityScaler: region === 0 ? 0 : 1,
  }))
  assert.deepEqual(await answersOf(world.clients[0], FRONTEND, 10), { [next.app]: 10 })
  for (const conversation of conversations) assert.notEqual(await conversation.ask('still there?'), 'ECONNRESET')
  for (const conversation of conversations) conversation.socket.destroy()
})

test('above 80 % of the processors of the near region exactly the excess goes to the next one', async (t) => {
  const world = await buildWorld(t)
  const edge = await startRegionEdge(t, world, 0)
  await insertService(world, () => ({ balancingMode: 'UTILIZATION', maxUtilization: 0.8 }))
  await untilHealthy(edge)
  const [near, next] = world.regions
  const [client] = world.clients
  const timer = setInterval(() => {
    const set = (open: number): void => {
      near.load.utilization = Math.min(1, open * CPU_PER_CONNECTION)
    }
    // The edge ends before the timer does.
    openOf([edge], near.group).then(set, () => {})
  }, 100)
  t.after(() => clearInterval(timer))
  // Twelve clients all the time, and each comes anew every two seconds or so: eight of them are 80 %.
  const conversations = await openMany(client, 12)
  const counts: number[] = []
  const startedMs = performance.now()
  while (performance.now() - startedMs < 120_000) {
    conversations.shift()?.socket.destroy()
    conversations.push(...(await openMany(client, 1)))
    await pause(150, 'a client comes anew')
    if (performance.now() - startedMs > 60_000) counts.push(await openOf([edge], near.group))
  }
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
  t.diagnostic(
    `of 12 connections ${mean.toFixed(2)} are in the near region, from ${Math.min(...counts)} to ${Math.max(...counts)}`,
  )
  assert.ok(Math.abs(mean - 8) < 0.75, `${mean}`)
  assert.ok(Math.max(...counts) <= 10, 'it is not flooded')
  assert.ok((await openOf([edge], next.group)) >= 2)
  assert.equal(await openOf([edge], `app/${REGIONS[2]}-b/${REGIONS[2]}`), 0)
  for (const conversation of conversations) conversation.socket.destroy()
})
