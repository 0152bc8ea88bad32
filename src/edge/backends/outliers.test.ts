import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import type { OutlierDetection } from '../../snapshot/snapshot.ts'
import { testBackend, testGroup, testService } from '../../snapshot/test-snapshot.ts'
import { BackendCounter, BackendTable, count } from '../balance/backend-table.ts'
import type { BackendState } from './backend-states.ts'
import { idOf, type PlacedBackend, placedBackends, takeIds } from './edge-ids.ts'
import { Outliers } from './outliers.ts'

const DETECTION: OutlierDetection = {
  intervalMs: 1_000,
  baseEjectionMs: 30_000,
  maxEjectedPart: 0.5,
  consecutiveErrors: 5,
  enforcedConsecutiveErrors: 0,
  consecutiveGatewayFailures: 3,
  enforcedConsecutiveGatewayFailures: 1,
  successRate: { minimumBackends: 5, minimumConnections: 100, deviations: 1.9, enforced: 1 },
}

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
  const service = testService({ outlierDetection: { ...DETECTION, ...detection }, groups: [testGroup({ backends })] })
  takeIds(table, { frontends: [], services: [service], healthChecks: [] })
  const ejected = new Set<string>()
  const said: string[] = []
  const outliers = new Outliers(
    table,
    {
      eject: ({ backend }: PlacedBackend, isEjected: boolean) =>
        void (isEjected ? ejected.add(backend.name) : ejected.delete(backend.name)),
      state: (idKey) => ({ isEjected: ejected.has(idKey.split('/').at(-1)?.split(' ')[0] ?? '') }) as BackendState,
    },
    (_, message) => said.push(message),
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
  return { table, service, outliers, ejected, said, fail, pass }
}

test('three refused connections in a row eject a backend for its time, and then count from 0 again', (t) => {
  const { table, service, outliers, ejected, said, fail, pass } = start(t)
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
})

test('so do three that it broke before it said anything; without outlier detection nobody stays out', (t) => {
  const { table, service, outliers, ejected, fail, pass } = start(t)
  outliers.use({ services: [service] })
  pass(1_000)
  fail(table.cells.brokenInRow, BackendCounter.broken, 3)
  pass(1_000)
  assert.deepEqual([...ejected], ['b1'])
  outliers.use({ services: [{ ...service, outlierDetection: undefined }] })
  assert.deepEqual([...ejected], [])
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
