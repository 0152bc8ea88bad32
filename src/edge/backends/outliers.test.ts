import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { OutlierDetection } from '../../snapshot/snapshot.ts'
import { testBackend, testGroup, testOutlierDetection, testService } from '../../snapshot/test-snapshot.ts'
import { BackendCounter, BackendTable, count } from '../balance/backend-table.ts'
import type { BackendState } from './backend-states.ts'
import { idOf, type PlacedBackend, placedBackends, takeIds } from './edge-ids.ts'
import { Outliers } from './outliers.ts'

function start(t: TestContext, backendCount = 2, detection: Partial<OutlierDetection> = {}) {
  let nowMs = 1_000_000
  mock.method(performance, 'now', () => nowMs)
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.reset())
  t.after(() => mock.timers.reset())
  const table = new BackendTable(1)
  const backends = Array.from({ length: backendCount }, (_, index) =>
    testBackend({ name: `b${index + 1}`, address: `192.0.2.${index + 1}` }),
  )
  const service = testService({ outlierDetection: testOutlierDetection(detection), groups: [testGroup({ backends })] })
  takeIds(table, { frontends: [], services: [service], healthChecks: [] })
  const ejected = new Set<string>()
  /** Those that would not serve, whether they are ejected or not. */
  const sick = new Set<string>()
  const ignoring: boolean[] = []
  const canServe: boolean[] = [true]
  const looks: string[] = []
  const said: string[] = []
  const numbers: object[] = []
  const outliers = new Outliers(
    table,
    {
      eject: ({ backend }: PlacedBackend, isEjected: boolean) =>
        void (isEjected ? ejected.add(backend.name) : ejected.delete(backend.name)),
      ignoreEjections: (_, isIgnored) => void ignoring.push(isIgnored),
      state: (idKey) => {
        looks.push(idKey)
        const name = idKey.split('/').at(-1)?.split(' ')[0] ?? ''
        return { isEjected: ejected.has(name), wouldServe: !sick.has(name) } as BackendState
      },
    },
    { canServe: () => canServe },
    (_, message, fields) => {
      said.push(message)
      if (fields?.forMsMax !== undefined) numbers.push(fields)
    },
  )
  t.after(() => outliers.stop())
  const ids = placedBackends({ services: [service] }).map(({ idKey }) => idOf(table.backends, idKey))
  const fail = (cells: Int32Array, counter: BackendCounter, times: number, place = 0): void => {
    for (let time = 0; time < times; time++) {
      Atomics.add(cells, ids[place], 1)
      count(table.cells.counters[0], ids[place], BackendCounter.connections)
      count(table.cells.counters[0], ids[place], counter)
    }
  }
  const pass = (durationMs: number): void => {
    for (let passed = 0; passed < durationMs; passed += 1_000) {
      nowMs += 1_000
      mock.timers.tick(1_000)
    }
  }
  return { table, service, outliers, ejected, sick, ignoring, canServe, looks, said, numbers, fail, pass }
}

test('three refused connections in a row eject a backend for its time, and then count from 0 again', (t) => {
  const { table, service, outliers, ejected, said, numbers, fail, pass } = start(t)
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 2)
  pass(1_000)
  assert.deepEqual([...ejected], [])
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 1)
  pass(1_000)
  assert.deepEqual([...ejected], ['b1'])
  pass(28_000)
  assert.deepEqual([...ejected], ['b1'])
  pass(3_000)
  assert.deepEqual([...ejected], [])
  assert.deepEqual(said, ['backend ejected: too many of its connections fail', 'backend no longer ejected'])
  const seen = { failuresInARow: 3, brokenInARow: 0, failures: 1, successes: 0 }
  assert.deepEqual(numbers, [{ backend: placedBackends({ services: [service] })[0].key, ...seen, forMsMax: 30_000 }])
})

test('so do those that it broke before it said anything, where errors are enforced; without outlier detection nobody stays out', (t) => {
  const { table, service, outliers, ejected, fail, pass } = start(t, 2, { enforcedConsecutiveErrors: 1 })
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.brokenInRow, BackendCounter.broken, 4)
  pass(1_000)
  assert.deepEqual([...ejected], [])
  fail(table.cells.brokenInRow, BackendCounter.broken, 1)
  pass(1_000)
  assert.deepEqual([...ejected], ['b1'])
  outliers.use({ services: [{ ...service, outlierDetection: undefined }] })
  assert.deepEqual([...ejected], [])
})

test('a client that makes the app of every backend break its connections ejects none of them', (t) => {
  const { table, service, outliers, ejected, fail, pass } = start(t, 10)
  outliers.use({ services: [service] })
  pass(1_000)
  for (let place = 0; place < 10; place++) {
    fail(table.cells.brokenInRow, BackendCounter.broken, place < 5 ? 1_000 : 100, place)
  }
  pass(1_000)
  assert.deepEqual([...ejected], [])
})

test('ejections do not count while nobody serves who is not ejected, from the moment that this is so', async (t) => {
  const { table, service, outliers, ejected, sick, ignoring, said, fail, pass } = start(t)
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 3)
  pass(1_000)
  assert.deepEqual([[...ejected], ignoring], [['b1'], []])
  sick.add('b2')
  outliers.touch(service)
  await turn()
  assert.deepEqual([ignoring, said.at(-1)], [[true], 'ejections do not count: no other backend serves'])
  pass(1_000)
  assert.deepEqual(ignoring, [true])
  sick.delete('b2')
  outliers.touch(service)
  outliers.settle()
  assert.deepEqual([ignoring, said.at(-1)], [[true, false], 'ejections count again'])
})

test('without outlier detection nothing is ignored any more either', async (t) => {
  const { table, service, outliers, sick, ignoring, fail, pass } = start(t)
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 3)
  pass(1_000)
  sick.add('b2')
  outliers.touch(service)
  await turn()
  assert.deepEqual(ignoring, [true])
  outliers.use({ services: [{ ...service, outlierDetection: undefined }] })
  assert.equal(ignoring.at(-1), false)
})

test('whoever is in a group that gets nothing is nobody to fall back on', (t) => {
  const { table, service, outliers, ignoring, canServe, fail, pass } = start(t, 2, { maxEjectedPart: 1 })
  outliers.use({ services: [{ ...service, groups: [service.groups[0], testGroup({ name: 'off', backends: [] })] }] })
  canServe.push(false)
  pass(1_000)
  for (const place of [0, 1]) fail(table.cells.failuresInRow, BackendCounter.connectFailures, 3, place)
  pass(1_000)
  assert.deepEqual(ignoring, [true])
})

test('backends are looked at ten times a second at most, however short the interval', (t) => {
  const { service, outliers, looks, pass } = start(t, 2, { intervalMs: 1 })
  outliers.use({ services: [service] })
  pass(1_000)
  // Each look asks for the state of each once, to count, and once more to compare.
  assert.ok(looks.length > 0 && looks.length <= 2 * 2 * 10, `${looks.length}`)
})

test('connections that fail after their backend was ejected do not count when it is back', (t) => {
  const { table, service, outliers, ejected, fail, pass } = start(t)
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 3)
  pass(1_000)
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 50)
  pass(31_000)
  assert.deepEqual([...ejected], [])
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 2)
  pass(1_000)
  assert.deepEqual([...ejected], [])
  fail(table.cells.failuresInRow, BackendCounter.connectFailures, 1)
  pass(1_000)
  assert.deepEqual([...ejected], ['b1'])
})

test('29 percent of a hundred backends are 29', (t) => {
  const { table, service, outliers, ejected, fail, pass } = start(t, 100, { maxEjectedPart: 29 / 100 })
  outliers.use({ services: [service] })
  pass(1_000)
  for (let place = 0; place < 100; place++) fail(table.cells.failuresInRow, BackendCounter.connectFailures, 3, place)
  pass(1_000)
  assert.equal(ejected.size, 29)
})
