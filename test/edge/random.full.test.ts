// Any configuration after any other: random ones, with backends drained and enabled in between, while clients come.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { type LiveEdge, startConfiguredEdge, untilNothingIsLeft } from '../rig/edge.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { startLineApps, whoAnswers } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { openSockets } from '../rig/process.ts'
import { type GroupDescription, resources } from '../rig/resources.ts'

const STABLE = `${IPV4.edge}:7000`
const APPS = Array.from({ length: 8 }, (_, index) => `${IPV4.backend}:${9001 + index}`)
const STEPS = 120
const SEEDS = [1, 2]

/** mulberry32: the same steps for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Random = ReturnType<typeof randomOf>

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random(values.length)]
}

/** Some apps in an order of their own, at least one. */
function someApps(random: Random): string[] {
  const apps = APPS.filter(() => random(2) === 0).sort(() => random(2) - 0.5)
  return apps.length > 0 ? apps : [pick(random, APPS)]
}

/** A load balancer whose stable frontend leads to `apps`. */
type Choice = { readonly configuration: object[]; readonly apps: ReadonlySet<string> }

function choose(random: Random): Choice {
  const service = pick(random, ['blue', 'green'])
  const groups: Record<string, GroupDescription> = {}
  const apps = new Set<string>()
  for (const [index, zone] of ['us-central1-b', 'us-central1-c', 'europe-west1-b'].entries()) {
    if (index > 0 && random(2) === 0) continue
    // An instance keeps its name while its group's port moves from app to app.
    const isInstance = random(4) === 0
    const endpoints = isInstance ? [pick(random, APPS)] : someApps(random)
    const members = isInstance
      ? { instances: { [`vm-${index}`]: IPV4.backend }, port: Number(endpoints[0].split(':')[1]) }
      : { endpoints }
    const capacityScaler = index > 0 ? pick(random, [1, 0.5, 0]) : 1
    const name = pick(random, ['alpha', 'beta'])
    groups[`${name}-${index}`] = { zone, ...members, balancing: { ...BALANCING, capacityScaler } }
    if (capacityScaler > 0) for (const endpoint of endpoints) apps.add(endpoint)
  }
  const proxy = { proxyHeader: pick(random, ['NONE', 'PROXY_V1']) }
  const extra = Array.from({ length: random(4) }, (_, index) => [
    `extra-${index}`,
    { listen: `${IPV4.edge}:${7001 + random(2) + 2 * index}`, service, proxy },
  ])
  const frontends = {
    [pick(random, ['rule', 'renamed'])]: { listen: STABLE, service, proxy },
    ...Object.fromEntries(extra),
  }
  const fields = {
    connectionDraining: { drainingTimeoutSec: 60 },
    timeoutSec: 60 + random(3),
    logConfig: { enable: random(2) === 0, sampleRate: 0.5 },
  }
  const healthCheck = pick(random, [undefined, {}, { checkIntervalSec: 2 }, { healthyThreshold: 3 }])
  const described = { groups, fields, ...(healthCheck === undefined ? {} : { healthCheck }) }
  return { configuration: resources({ frontends, services: { [service]: described } }), apps }
}

const BALANCING = { balancingMode: 'CONNECTION', maxConnections: 1_000 }

/** Takes backends out at random, but not those of one app that serves; returns the names of those taken out. */
async function drainSome(live: LiveEdge, random: Random, spared: string): Promise<string[]> {
  const drained: string[] = []
  for (const { name: service, groups } of (await live.status()).services) {
    for (const { name: group, backends } of groups) {
      for (const { name, address, port } of backends) {
        if (`${address}:${port}` !== spared && random(3) === 0) drained.push(`${service}/${group}/${name}`)
      }
    }
  }
  for (const key of drained) assert.equal((await live.steer(key, 'drain')).status, 200, key)
  return drained
}

/** The apps that are to get connections, as the status has them. */
async function servingApps(live: LiveEdge): Promise<Set<string>> {
  const groups = (await live.status()).services.flatMap((service) => service.groups)
  const backends = groups.filter(({ balancing }) => balancing.capacityScaler > 0).flatMap((group) => group.backends)
  return new Set(backends.filter(({ isDrained }) => !isDrained).map(({ address, port }) => `${address}:${port}`))
}

for (const seed of SEEDS) {
  test(`${STEPS} random reloads (seed ${seed}): only apps that are configured answer, and no connection fails`, async (t) => {
    const random = randomOf(seed)
    const { client, edge, backend } = await edgeHosts(t)
    await startLineApps(backend, APPS)
    const live = await startConfiguredEdge(t, edge, choose(randomOf(seed)).configuration, ['--workers', '2'])
    const sockets = openSockets(live.program.pid)
    const load = await startLoad(client, { targets: [STABLE], perSecond: 200 })
    for (let step = 0; step < STEPS; step++) {
      const { configuration, apps } = choose(random)
      assert.equal(await live.reload(configuration), 'ok', (await live.status()).configuration.problems.join('\n'))
      assert.deepEqual([...(await servingApps(live))].sort(), [...apps].sort())
      const drained = random(2) === 0 ? await drainSome(live, random, pick(random, [...apps])) : []
      const serving = await servingApps(live)
      for (let time = 0; time < 5; time++) {
        const answer = await whoAnswers(client, STABLE)
        assert.ok(serving.has(answer), `step ${step}: ${answer}, not one of ${[...serving].join(', ')}`)
      }
      // What is drained stays so: the next configuration could be of nothing else.
      for (const key of drained) assert.equal((await live.steer(key, 'enable')).status, 200, key)
      await sleep(random(100))
    }
    const result = await load.stop()
    t.diagnostic(`${result.answered} connections, longest ${result.maxMs.toFixed(0)} ms`)
    assert.deepEqual(result.failures, {})
    assert.equal(result.answered, result.started)
    assert.equal(await live.reload(choose(randomOf(seed)).configuration), 'ok', 'as in the beginning')
    await untilNothingIsLeft(live, sockets)
  })
}
