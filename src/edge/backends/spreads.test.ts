import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import { GOOGLE_REGIONS } from '../../balancing/google-regions.ts'
import type { BackendService } from '../../snapshot/snapshot.ts'
import { DEFAULT_SPREADING } from '../../snapshot/spreading.ts'
import { testBackend, testGroup, testService } from '../../snapshot/test-snapshot.ts'
import { BackendTable } from '../balance/backend-table.ts'
import { NO_CAP, ServiceCell } from '../balance/service-cells.ts'
import { placedGroups, takeIds } from './edge-ids.ts'
import { LookupTables } from './lookup-tables.ts'
import { RegionDistances } from './region-distances.ts'
import type { GroupFacts } from './service-view.ts'
import { Spreads } from './spreads.ts'

const HEALTHY: Omit<GroupFacts, 'connections'> = {
  members: 1,
  healthy: 1,
  drained: 0,
  utilization: undefined,
  others: undefined,
}

function serviceOf(fields: Partial<BackendService> = {}, maxUtilization?: number): BackendService {
  const balancing = { mode: 'UTILIZATION', maxUtilization, maxConnections: undefined, capacityScaler: 1 } as const
  const group = (region: string) =>
    testGroup({ name: `${region}-b/g`, region, zone: `${region}-b`, balancing, backends: [testBackend()] })
  return testService({ groups: ['asia-east1', 'europe-west1', 'us-central1'].map(group), ...fields })
}

/** The main thread's spreads, of an edge in us-central1; its clock is the test's. */
function start(t: TestContext, proximity: 'distance' | 'measured' = 'distance') {
  let nowMs = 1_000_000
  mock.method(performance, 'now', () => nowMs)
  mock.timers.enable({ apis: ['setInterval', 'setImmediate'] })
  t.after(() => mock.reset())
  t.after(() => mock.timers.reset())
  const table = new BackendTable(1)
  const facts = new Map<string, Omit<GroupFacts, 'connections'>>()
  const asked = new Set<string>()
  const rearranged: string[] = []
  const distances = new RegionDistances({
    region: 'us-central1',
    zone: 'us-central1-b',
    positions: GOOGLE_REGIONS,
    proximity,
  })
  const spreads = new Spreads({
    table,
    tables: new LookupTables(),
    distances,
    factsOf: (key) => {
      asked.add(key)
      return facts.get(key) ?? HEALTHY
    },
    onRearranged: ({ name }) => rearranged.push(name),
  })
  t.after(() => spreads.stop())
  const use = (...services: readonly BackendService[]): void => {
    takeIds(table, { frontends: [], services, healthChecks: [] })
    spreads.use({ services })
  }
  const withdraw = (): void => spreads.use({ services: [] })
  const pass = (durationMs: number): void => {
    for (let passed = 0; passed < durationMs; passed += 1_000) {
      nowMs += 1_000
      mock.timers.tick(1_000)
    }
  }
  const sleep = (durationMs: number): void => {
    nowMs += durationMs
  }
  return { spreads, use, facts, asked, distances, rearranged, pass, sleep, withdraw, now: () => nowMs }
}

const keyOf = (service: BackendService, place: number): string => placedGroups(service)[place].idKey

test('levels are the regions, nearest first, and cells say where connections begin', (t) => {
  const { spreads, use, facts } = start(t)
  const service = serviceOf()
  use(service)
  const plan = spreads.planOf(service)
  assert.deepEqual(
    plan.levels.map(({ groups }) => groups),
    [[2], [1], [0]],
  )
  assert.deepEqual(
    plan.groups.map(({ isNearest }) => isNearest),
    [false, false, true],
  )
  const shares = (): boolean[] => [...plan.spread.shares].map((share) => share > 0)
  assert.deepEqual(shares(), [true, false, false])
  facts.set(keyOf(service, 2), { ...HEALTHY, healthy: 0 })
  spreads.touch([service])
  spreads.touch([service])
  mock.timers.tick(0)
  assert.deepEqual(shares(), [false, true, false])
})

test('what is told of a service is what is so now, not what was seen last', (t) => {
  const { spreads, use, facts } = start(t)
  const service = serviceOf()
  use(service)
  const stateOf = (place: number) => spreads.stateOf(service).spread.groups[place].state
  assert.equal(stateOf(2), 'serving')
  facts.set(keyOf(service, 2), { ...HEALTHY, healthy: 0 })
  assert.equal(stateOf(2), 'unhealthy')
})

test('a change of one service costs nothing for the others, nor for one that is no longer in use', (t) => {
  const { spreads, use, facts, asked } = start(t)
  const services = [serviceOf({ name: 'one' }), serviceOf({ name: 'two' })]
  use(...services)
  asked.clear()
  facts.set(keyOf(services[0], 2), { ...HEALTHY, healthy: 0 })
  spreads.touch([services[0]])
  mock.timers.tick(0)
  assert.deepEqual([...spreads.planOf(services[0]).spread.shares].map(Boolean), [false, true, false])
  assert.deepEqual([...asked].sort(), [0, 1, 2].map((place) => keyOf(services[0], place)).sort())
  spreads.touch([services[0]])
  use(services[1])
  asked.clear()
  mock.timers.tick(0)
  assert.deepEqual([...asked], [])
})

test('what was learnt of a group outlasts a reload, and the connections of a service are counted on', (t) => {
  const { spreads, use, facts, now } = start(t)
  const before = serviceOf({}, 0.8)
  const busy = { ...HEALTHY, utilization: { average: 0.9, atMs: now() } }
  facts.set(keyOf(before, 2), busy)
  use(before)
  assert.equal(spreads.stateOf(before).spread.groups[2].state, 'full-utilization')
  const after = serviceOf({ idleTimeoutMs: 1 }, 0.8)
  use(after)
  // The same answer again teaches nothing: it is the memory that says so.
  assert.equal(spreads.stateOf(after).spread.groups[2].state, 'full-utilization')
  assert.equal(spreads.planOf(after).service, spreads.planOf(before).service)
  assert.notEqual(spreads.planOf(after).spread, spreads.planOf(before).spread)
})

test('a snapshot that comes back after another could not be applied counts connections where its workers do', (t) => {
  const { spreads, use, withdraw, facts, now } = start(t)
  const service = serviceOf({ maxConnections: 10 }, 0.8)
  facts.set(keyOf(service, 2), { ...HEALTHY, utilization: { average: 0.9, atMs: now() } })
  use(service)
  const { service: cells } = spreads.planOf(service)
  withdraw()
  use(service)
  const changed = serviceOf({ maxConnections: 20 }, 0.8)
  facts.clear()
  facts.set(keyOf(service, 2), { ...HEALTHY, utilization: { average: 0.7, atMs: now() } })
  use(changed)
  assert.equal(spreads.planOf(changed).service, cells)
  assert.equal(spreads.stateOf(changed).spread.groups[2].state, 'full-utilization', 'it is remembered')
})

test('a limit of connections is divided among edges, and never more in sum', (t) => {
  const { spreads, use } = start(t)
  const service = serviceOf({ maxConnections: 10 })
  use(service)
  const limits = [0, 1, 2].map((index) => {
    spreads.shareWith({ count: 3, index })
    mock.timers.tick(0)
    return spreads.planOf(service).service[ServiceCell.openMax]
  })
  assert.deepEqual(limits, [4, 3, 3])
  const without = serviceOf()
  use(without)
  assert.equal(spreads.planOf(without).service[ServiceCell.openMax], NO_CAP)
})

test('a threshold is the whole number of percent that was given', (t) => {
  const { spreads, use } = start(t)
  for (let percent = 1; percent < 100; percent++) {
    const service = serviceOf({ spreading: { ...DEFAULT_SPREADING, failoverHealthThreshold: percent / 100 } })
    use(service)
    assert.equal(spreads.stateOf(service).view.policy.failoverHealthThreshold, percent)
  }
})

test('regions that are measured to be nearer come first after a while, and workers get another plan', (t) => {
  const { spreads, use, distances, rearranged, pass } = start(t, 'measured')
  const service = serviceOf()
  use(service)
  distances.observe('us-central1', 30)
  distances.observe('europe-west1', 100)
  distances.observe('asia-east1', 5)
  pass(50_000)
  assert.deepEqual(rearranged, [])
  pass(30_000)
  assert.deepEqual(rearranged, [service.name])
  assert.deepEqual(
    spreads.planOf(service).levels.map(({ groups }) => groups),
    [[0], [2], [1]],
  )
  assert.equal(distances.connectMsTo('asia-east1'), 5)
})

test('a reload that comes just when the order changes gives workers another plan, too', (t) => {
  const { spreads, use, distances, rearranged, pass, sleep } = start(t, 'measured')
  const service = serviceOf()
  use(service)
  for (const [region, ms] of Object.entries({ 'us-central1': 30, 'europe-west1': 100, 'asia-east1': 5 })) {
    distances.observe(region, ms)
  }
  pass(60_000)
  assert.deepEqual(rearranged, [])
  // Before the next tick.
  sleep(2_000)
  use(service)
  const order = (): (readonly number[])[] => spreads.planOf(service).levels.map(({ groups }) => groups)
  assert.deepEqual([rearranged, order()], [[service.name], [[0], [2], [1]]])
  pass(10_000)
  assert.deepEqual([rearranged, order()], [[service.name], [[0], [2], [1]]])
})
