import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import type { LoadReport } from '../../proxy-protocol/load-report.ts'
import { type BackendGroup, EMPTY_SNAPSHOT, type HealthCheck, type Snapshot } from '../../snapshot/snapshot.ts'
import { testBackend, testFrontend, testGroup, testHealthCheck, testService } from '../../snapshot/test-snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { Availability } from '../balance/availability.ts'
import { BackendTable } from '../balance/backend-table.ts'
import { BackendStates } from './backend-states.ts'
import { idOf, placedBackends, placedGroups, takeIds } from './edge-ids.ts'

const CHECK = testHealthCheck({
  name: 'check',
  checkIntervalMs: 60_000,
  timeoutMs: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
})
const LOAD: LoadReport = { cpu_utilization: 0.5, mem_utilization: 0, open_connections: 0, app_listening: true }
const NO_ACTIONS = { onChange: () => {}, onFailed: () => {}, onReach: () => {} }
const BALANCING = { mode: 'UTILIZATION', maxUtilization: 0.8, maxConnections: undefined, capacityScaler: 0.5 } as const

/** An app; with a load it is an agent that answers everyone with it. */
async function startApp(
  t: TestContext,
  load?: LoadReport,
): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', () => {
        if (load !== undefined) socket.end(JSON.stringify(load))
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { port: address.port, server }
}

function snapshotOf(port: number, check: HealthCheck | undefined, group: Partial<BackendGroup> = {}): Snapshot {
  const backends = [testBackend({ address: '127.0.0.1', port })]
  return {
    frontends: [testFrontend()],
    services: [testService({ healthCheck: check?.name, groups: [testGroup({ ...group, backends })] })],
    healthChecks: check === undefined ? [] : [check],
  }
}

function makeStates(
  t: TestContext,
  log: Log = () => {},
): { readonly table: BackendTable; readonly states: BackendStates } {
  const table = new BackendTable(1)
  const states = new BackendStates(table, log, [], NO_ACTIONS)
  t.after(() => states.stop())
  return { table, states }
}

function availability(table: BackendTable, snapshot: Snapshot): number {
  const [{ idKey }] = placedBackends(snapshot)
  return Atomics.load(table.cells.availability, idOf(table.backends, idKey))
}

test('a backend is up after its first probe, without a health check at once, and down when nothing answers', async (t) => {
  const app = await startApp(t)
  const closed = await startApp(t)
  await new Promise((resolve) => closed.server.close(resolve))
  for (const [port, check, expected] of [
    [app.port, CHECK, Availability.up],
    [closed.port, CHECK, Availability.down],
    [closed.port, undefined, Availability.up],
  ] as const) {
    const { table, states } = makeStates(t)
    const snapshot = snapshotOf(port, check)
    takeIds(table, snapshot)
    await states.prepare(snapshot, 1_000)
    states.use(snapshot)
    assert.equal(availability(table, snapshot), expected)
  }
})

test('a backend stays up while a changed health check has no result, and one that was added', async (t) => {
  const app = await startApp(t)
  const { table, states } = makeStates(t)
  const without = snapshotOf(app.port, undefined)
  takeIds(table, without)
  await states.prepare(without, 1_000)
  states.use(without)
  await new Promise((resolve) => app.server.close(resolve))
  const added = snapshotOf(app.port, CHECK)
  // Not prepared: the probe is still on its way.
  states.use(added)
  assert.equal(availability(table, added), Availability.up)
  await eventually('it is known', () => availability(table, added) === Availability.down)
})

test('a backend whose app does not listen is down, as its agent says; how busy it is counts for its group only', async (t) => {
  for (const [load, expected, says] of [
    [{ ...LOAD, cpu_utilization: 0.9 }, Availability.up, []],
    [
      { ...LOAD, app_listening: false },
      Availability.down,
      ['the app of a backend does not listen: it gets no connections'],
    ],
  ] as const) {
    const { port } = await startApp(t, load)
    const said: string[] = []
    const { table, states } = makeStates(t, (_, message) => {
      if (message.includes(' app ')) said.push(message)
    })
    const snapshot = snapshotOf(port, CHECK, { balancing: BALANCING })
    takeIds(table, snapshot)
    await states.prepare(snapshot, 1_000)
    states.use(snapshot)
    const [{ idKey }] = placedBackends(snapshot)
    await eventually('it is known', () => states.state(idKey)?.load !== undefined)
    assert.equal(availability(table, snapshot), expected)
    assert.deepEqual(said, says)
  }
})

test('what an operator drains stays so over configurations, until it is enabled or has left', async (t) => {
  const app = await startApp(t)
  const { table, states } = makeStates(t)
  const snapshot = snapshotOf(app.port, undefined)
  const [placed] = placedBackends(snapshot)
  takeIds(table, snapshot)
  states.use(snapshot)
  states.steer(placed, 'drain')
  assert.equal(availability(table, snapshot), Availability.draining)
  states.use(snapshot)
  assert.equal(availability(table, snapshot), Availability.draining)
  states.use(EMPTY_SNAPSHOT)
  states.use(snapshot)
  assert.equal(availability(table, snapshot), Availability.up)
  states.steer(placed, 'drain')
  states.steer(placed, 'enable')
  assert.equal(availability(table, snapshot), Availability.up)
})

test('the revision of health changes with every health and every drain, and with nothing else', async (t) => {
  const app = await startApp(t)
  const { table, states } = makeStates(t)
  const snapshot = snapshotOf(app.port, CHECK)
  const [placed] = placedBackends(snapshot)
  const { key } = placed
  let seen = states.healthRevision
  const changes = (): boolean => {
    const before = seen
    seen = states.healthRevision
    return seen !== before
  }
  takeIds(table, snapshot)
  states.use(snapshot)
  assert.ok(changes(), 'there is a backend')
  assert.deepEqual(states.health(), [{ key, health: 'UNKNOWN', isDrained: false }])
  await eventually('it is known', () => states.health()[0].health === 'HEALTHY')
  assert.ok(changes(), 'it is healthy')
  await states.prepare(snapshot, 1_000)
  states.use(snapshot)
  assert.ok(!changes(), 'the same configuration again')
  states.steer(placed, 'drain')
  assert.ok(changes(), 'it is drained')
  assert.deepEqual(states.health(), [{ key, health: 'HEALTHY', isDrained: true }])
  states.use(EMPTY_SNAPSHOT)
  assert.ok(changes(), 'it is gone')
  assert.deepEqual(states.health(), [])
})

test('services that ask one backend for different names have probes of their own', async (t) => {
  const app = await startApp(t)
  const { table, states } = makeStates(t)
  const probed = (...names: readonly string[]): Snapshot => {
    const { services, ...rest } = snapshotOf(app.port, CHECK)
    const tls = { names: undefined, roots: '', headerPlace: 'before-tls' } as const
    const named = names.map((serverName) => ({ ...services[0], name: serverName, tls: { ...tls, serverName } }))
    return { ...rest, services: named }
  }
  const snapshot = probed('a.example', 'b.example')
  takeIds(table, snapshot)
  states.use(snapshot)
  await eventually('both are known', () => states.health().every(({ health }) => health === 'HEALTHY'))
  const [first, second] = placedBackends(snapshot).map(({ idKey }) => states.state(idKey)?.probes)
  assert.notEqual(first, second)
})

test('connections of a backend that fails for too long are ended; those of a service that does not say so go on', async (t) => {
  const closed = await startApp(t)
  await new Promise((resolve) => closed.server.close(resolve))
  for (const [closeOnFailureMs, expected] of [
    [1, true],
    [undefined, false],
  ] as const) {
    const table = new BackendTable(1)
    const failed: number[] = []
    const states = new BackendStates(table, () => {}, [], { ...NO_ACTIONS, onFailed: (id) => failed.push(id) })
    t.after(() => states.stop())
    const { services, ...rest } = snapshotOf(closed.port, CHECK)
    const snapshot = { ...rest, services: [{ ...services[0], closeOnFailureMs }] }
    takeIds(table, snapshot)
    await states.prepare(snapshot, 1_000)
    states.use(snapshot)
    const [{ idKey }] = placedBackends(snapshot)
    if (expected) await eventually('it is told', () => failed.length > 0)
    assert.deepEqual(failed, expected ? [idOf(table.backends, idKey)] : [])
  }
})

test('a group is what its members are: healthy, drained, ejected, and how busy on average', async (t) => {
  const { port } = await startApp(t, { ...LOAD, port_connections: 7 })
  const { table, states } = makeStates(t)
  const snapshot = snapshotOf(port, CHECK, { balancing: BALANCING })
  const [placed] = placedBackends(snapshot)
  const [{ idKey: groupKey }] = snapshot.services.flatMap(placedGroups)
  takeIds(table, snapshot)
  await states.prepare(snapshot, 1_000)
  states.use(snapshot)
  const counts = (): number[] => [states.factsOf(groupKey).members, states.factsOf(groupKey).healthy]
  assert.deepEqual(counts(), [1, 1])
  await eventually('its load is known', () => states.factsOf(groupKey).utilization !== undefined)
  const { utilization, others } = states.factsOf(groupKey)
  assert.equal(utilization?.average, 0.5)
  assert.deepEqual([others?.connections, others?.ownThen], [7, 0])
  states.eject(placed, true)
  assert.deepEqual(counts(), [1, 0])
  assert.deepEqual([states.state(placed.idKey)?.isEjected, states.state(placed.idKey)?.wouldServe], [true, true])
  states.ignoreEjections(placed.service, true)
  assert.deepEqual(counts(), [1, 1])
  states.ignoreEjections(placed.service, false)
  assert.deepEqual(counts(), [1, 0])
  states.eject(placed, false)
  states.steer(placed, 'drain')
  assert.deepEqual(counts(), [0, 0])
})
