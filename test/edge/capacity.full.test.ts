import assert from 'node:assert/strict'
import { availableParallelism, cpus } from 'node:os'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ProcessorTimes, utilizationBetween } from '../../src/agent/host-load.ts'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf, Conversation, startLineApps } from '../rig/line-app.ts'
import { resources } from '../rig/resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { buildAgents, burnProcessors, configuration, FIRST, FRONTEND, SECOND } from './capacity.ts'

/** How long this test waits for other programs to leave the processors free. */
const PATIENCE_MS = 90_000
const FREE_BELOW = 0.9
const [LOADED, OTHER] = ['127.0.0.1:112', '127.0.0.1:113']

test('row 7 with real load: busy processors move new traffic to the group that is not bounded by them, and back', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await startLineApps(backend, [LOADED, OTHER])
  for (const [port, target] of [
    [110, LOADED],
    [111, OTHER],
  ]) {
    const listen = `${IPV4.backend}:${port}`
    const agent = backend.start(TRUEPEER, ['agent', '-l', listen, '-4', `${target}`, '--allow-all-subnets'])
    await agent.waitForLine(/"msg":"listening"/)
  }
  // This machine may be busy with other things: full only when every processor is.
  const balancing = { balancingMode: 'UTILIZATION', maxUtilization: 0.97 }
  const bounded = resources({
    frontends: { rule: { listen: FRONTEND, service: 'app', proxy: { proxyHeader: 'PROXY_V1' } } },
    services: {
      app: {
        groups: {
          bounded: { instances: { bounded: IPV4.backend }, port: 110, balancing },
          other: { instances: { other: IPV4.backend }, port: 111, balancing: { balancingMode: 'UTILIZATION' } },
        },
      },
    },
  })
  const live = await startConfiguredEdge(t, edge, bounded)
  const key = 'app/us-central1-b/bounded'
  const isFree = async (): Promise<boolean> => {
    const { limit, utilization } = await live.group(key)
    return utilization !== undefined && limit === undefined
  }
  if (!(await untilUp(isFree))) return t.skip('this machine is busy with other things')
  assert.ok((await answersOf(client, FRONTEND, 10))[LOADED] > 0)
  const stop = await burnProcessors(t, backend, 2 * availableParallelism())
  await eventually('it is full', async () => (await live.group(key)).state === 'full-utilization', 20_000)
  t.diagnostic(`full at ${(await live.group(key)).utilization}`)
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { [OTHER]: 10 })
  stop()
  if (!(await untilUp(isFree))) return t.diagnostic('this machine became busy with other things')
  assert.ok((await answersOf(client, FRONTEND, 10))[LOADED] > 0)
})

/** Waits until a backend is up, and fails when it is not though this machine is free; false: this machine is not. */
async function untilUp(isUp: () => Promise<boolean>): Promise<boolean> {
  const startedMs = performance.now()
  let busyAtMs = startedMs
  let before = processorTimes()
  while (performance.now() - startedMs < PATIENCE_MS) {
    if (await isUp()) return true
    await sleep(1_000)
    const now = processorTimes()
    if (utilizationBetween(before, now) > FREE_BELOW) busyAtMs = performance.now()
    before = now
    // Its load is asked for every five seconds, and three answers are needed until nothing is held back.
    assert.ok(performance.now() - busyAtMs < 40_000, 'not up though this machine has been free for 40 s')
  }
  return false
}

function processorTimes(): ProcessorTimes {
  const all = cpus().map(({ times }) => ({ idleMs: times.idle, totalMs: Object.values(times).reduce((a, b) => a + b) }))
  const totalMs = all.reduce((sum, times) => sum + times.totalMs, 0)
  return { totalMs, busyMs: totalMs - all.reduce((sum, times) => sum + times.idleMs, 0) }
}

test('row 7: the nearest region serves while it has capacity, the next one after that, and all where all are full', async (t) => {
  const { client, edge, loads } = await buildAgents(t, [0.2, 0.2])
  const live = await startConfiguredEdge(t, edge, configuration(['us-central1-b', 'europe-west1-b']), [
    ...['--zone', 'us-central1-b'],
  ])
  const keys = ['app/us-central1-b/one', 'app/europe-west1-b/two']
  await eventually('both are known', async () =>
    (await Promise.all(keys.map((key) => live.group(key)))).every(({ utilization }) => utilization !== undefined),
  )
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { [FIRST]: 10 })
  const open = await Conversation.open(client, FRONTEND)
  assert.equal(await open.ask('before'), FIRST)
  loads[0].utilization = 0.95
  // Its share becomes smaller with each answer of the agent.
  const isMoved = async (): Promise<boolean> => (await answersOf(client, FRONTEND, 10))[SECOND] === 10
  await eventually('the next region serves', isMoved, 20_000)
  assert.equal(await open.ask('after'), FIRST, 'only new traffic moves')
  loads[1].utilization = 0.95
  await eventually('both are full', async () => (await live.group(keys[1])).state === 'full-utilization', 10_000)
  assert.deepEqual(await answersOf(client, FRONTEND, 10), { [FIRST]: 5, [SECOND]: 5 })
})
