import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backendKey } from './backend-key.ts'
import { type ChangedServices, type Difference, diff } from './diff.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts'
import { snapshots, testBackend, testFrontend, testGroup, testService, testSnapshot } from './test-snapshot.ts'

const NO_SERVICES: ChangedServices = { added: [], changed: [], removed: [] }
const EMPTY: Difference = { opened: [], closed: [], changed: [], services: NO_SERVICES, left: [], joined: [] }
const KEY = 'my-tcp-lb/us-central1-b/my-instance-group/my-backend'
const GUIDE = testSnapshot([testFrontend()], [testService()])

test('the first snapshot opens every frontend and lets every backend join', () => {
  const joined = [{ key: KEY, address: '10.128.0.2', port: 110 }]
  assert.deepEqual(diff(EMPTY_SNAPSHOT, GUIDE), {
    ...EMPTY,
    opened: GUIDE.frontends,
    services: { ...NO_SERVICES, added: GUIDE.services },
    joined,
  })
})

test('an empty snapshot closes every frontend, and every backend leaves with its service', () => {
  const left = [{ key: KEY, scope: 'service', drainingTimeoutMs: 0 }]
  assert.deepEqual(diff(GUIDE, testSnapshot([], [])), {
    ...EMPTY,
    closed: GUIDE.frontends,
    services: { ...NO_SERVICES, removed: GUIDE.services },
    left,
  })
})

test('a frontend whose port changes is closed and opened', () => {
  const after = testSnapshot([testFrontend({ port: 443 })], GUIDE.services)
  assert.deepEqual(diff(GUIDE, after), { ...EMPTY, opened: after.frontends, closed: GUIDE.frontends })
})

test('a frontend whose address changes is closed and opened', () => {
  const after = testSnapshot([testFrontend({ address: '203.0.113.11' })], GUIDE.services)
  assert.deepEqual(diff(GUIDE, after), { ...EMPTY, opened: after.frontends, closed: GUIDE.frontends })
})

test('a forwarding rule that is renamed keeps its socket', () => {
  const renamed = testFrontend({ name: 'another-name' })
  const changed = [{ before: testFrontend(), after: renamed }]
  assert.deepEqual(diff(GUIDE, testSnapshot([renamed], GUIDE.services)), { ...EMPTY, changed })
})

test('two forwarding rules that exchange their names keep both sockets', () => {
  const [a, b] = [testFrontend({ name: 'a', port: 110 }), testFrontend({ name: 'b', port: 443 })]
  const [swappedA, swappedB] = [
    { ...a, name: 'b' },
    { ...b, name: 'a' },
  ]
  const changed = [
    { before: a, after: swappedA },
    { before: b, after: swappedB },
  ]
  assert.deepEqual(diff(testSnapshot([a, b], []), testSnapshot([swappedA, swappedB], [])), { ...EMPTY, changed })
})

for (const [what, fields] of [
  ['its header', { proxyHeader: { kind: 'NONE' } }],
  ['its target proxy', { proxy: 'another-proxy' }],
  ['the service that it leads to', { service: 'another-service' }],
] as const) {
  test(`a frontend stays open and is changed when ${what} changes`, () => {
    const after = testFrontend(fields)
    const changed = [{ before: testFrontend(), after }]
    assert.deepEqual(diff(GUIDE, testSnapshot([after], GUIDE.services)), { ...EMPTY, changed })
  })
}

for (const [what, service] of [
  ['its idle timeout', testService({ idleTimeoutMs: 30_000 })],
  [
    'the capacity of a group',
    testService({
      groups: [
        testGroup({
          balancing: { mode: 'CONNECTION', maxUtilization: undefined, maxConnections: 9, capacityScaler: 1 },
        }),
      ],
    }),
  ],
] as const) {
  test(`a service changes with ${what}, and no frontend does`, () => {
    const after = testSnapshot([testFrontend(), testFrontend({ port: 443 })], [service])
    const before = testSnapshot(after.frontends, [testService()])
    assert.deepEqual(diff(before, after), { ...EMPTY, services: { ...NO_SERVICES, changed: [service] } })
  })
}

test('a service that is renamed is another one', () => {
  const renamed = testService({ name: 'renamed', groups: [] })
  const before = testService({ groups: [] })
  assert.deepEqual(diff(testSnapshot([], [before]), testSnapshot([], [renamed])), {
    ...EMPTY,
    services: { added: [renamed], changed: [], removed: [before] },
  })
})

test('a backend that leaves its group names itself, with the time its connections may go on', () => {
  const service = testService({ drainingTimeoutMs: 60_000 })
  const second = testBackend({ name: 'second', address: '10.128.0.3' })
  const before = testSnapshot([], [{ ...service, groups: [testGroup({ backends: [testBackend(), second] })] }])
  const { left, joined } = diff(before, testSnapshot([], [{ ...service, groups: [testGroup()] }]))
  const key = 'my-tcp-lb/us-central1-b/my-instance-group/second'
  assert.deepEqual(left, [{ key, scope: 'backend', drainingTimeoutMs: 60_000 }])
  assert.deepEqual(joined, [])
})

test('a group that leaves its service names each of its backends', () => {
  const after = testSnapshot([], [testService({ groups: [] })])
  assert.deepEqual(diff(testSnapshot([], GUIDE.services), after).left, [
    { key: KEY, scope: 'group', drainingTimeoutMs: 0 },
  ])
})

test('a backend whose address changes leaves and joins under the same key', () => {
  const moved = testService({ groups: [testGroup({ backends: [testBackend({ address: '10.128.0.9' })] })] })
  const { left, joined } = diff(GUIDE, testSnapshot(GUIDE.frontends, [moved]))
  assert.deepEqual(left, [{ key: KEY, scope: 'backend', drainingTimeoutMs: 0 }])
  assert.deepEqual(joined, [{ key: KEY, address: '10.128.0.9', port: 110 }])
})

test('a backend drains for the longest time of the services that share its group, before or now', () => {
  const mine = testService({ drainingTimeoutMs: 10_000 })
  const gone = testService({ groups: [testGroup({ backends: [] })] })
  for (const [before, after, expectedMs] of [
    [[mine], [{ ...gone, drainingTimeoutMs: 20_000 }], 20_000],
    [[mine], [{ ...gone, drainingTimeoutMs: 5000 }], 10_000],
    [[mine, testService({ name: 'other', drainingTimeoutMs: 30_000 })], [gone], 30_000],
    [[mine], [gone, testService({ name: 'other', drainingTimeoutMs: 30_000, groups: gone.groups })], 30_000],
    [[mine, testService({ name: 'other', drainingTimeoutMs: 30_000, groups: [] })], [gone], 10_000],
  ] as const) {
    const [left] = diff(testSnapshot([], before), testSnapshot([], after)).left
    assert.deepEqual(left, { key: KEY, scope: 'backend', drainingTimeoutMs: expectedMs })
  }
})

test('two frontends are told apart when their texts would run together', () => {
  const [a, b] = [
    testFrontend({ address: '2001:db8::1', port: 10 }),
    testFrontend({ address: '2001:db8::', port: 110 }),
  ]
  assert.deepEqual(diff(testSnapshot([a], []), testSnapshot([b], [])), { ...EMPTY, opened: [b], closed: [a] })
})

test('a snapshot does not differ from itself, also after it was in a file', () => {
  const inAFile = (snapshot: Snapshot): Snapshot => JSON.parse(JSON.stringify(snapshot))
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      assert.deepEqual(diff(snapshot, snapshot), EMPTY)
      assert.deepEqual(diff(inAFile(snapshot), snapshot), EMPTY)
      assert.deepEqual(diff(snapshot, inAFile(snapshot)), EMPTY)
    }),
  )
  assert.deepEqual(diff(inAFile(GUIDE), GUIDE), EMPTY)
})

test('what differs, applied to the frontends and backends of the old snapshot, gives those of the new one', () => {
  fc.assert(
    fc.property(snapshots, snapshots, (before, after) => {
      const { opened, closed, changed, services, left, joined } = diff(before, after)
      const byName = new Map(before.services.map((service) => [service.name, service]))
      for (const { name } of services.removed) assert.ok(byName.delete(name))
      for (const service of services.changed) assert.ok(byName.has(service.name))
      for (const service of services.added) assert.ok(!byName.has(service.name))
      for (const service of [...services.changed, ...services.added]) byName.set(service.name, service)
      assert.deepEqual(sorted(byName), sorted(new Map(after.services.map((service) => [service.name, service]))))
      const frontends = frontendsOf(before)
      for (const frontend of closed) assert.ok(frontends.delete(`${frontend.address} ${frontend.port}`))
      for (const { before: old, after: now } of changed) {
        assert.deepEqual(frontends.get(`${now.address} ${now.port}`), old)
        frontends.set(`${now.address} ${now.port}`, now)
      }
      for (const frontend of opened) {
        assert.ok(!frontends.has(`${frontend.address} ${frontend.port}`))
        frontends.set(`${frontend.address} ${frontend.port}`, frontend)
      }
      assert.deepEqual(sorted(frontends), sorted(frontendsOf(after)))
      const backends = backendsOf(before)
      for (const { key } of left) assert.ok(backends.delete(key))
      for (const { key, address, port } of joined) {
        assert.ok(!backends.has(key))
        backends.set(key, `${address} ${port}`)
      }
      assert.deepEqual(sorted(backends), sorted(backendsOf(after)))
    }),
    { numRuns: 500 },
  )
})

function frontendsOf(snapshot: Snapshot) {
  return new Map(snapshot.frontends.map((frontend) => [`${frontend.address} ${frontend.port}`, frontend]))
}

function backendsOf(snapshot: Snapshot): Map<string, string> {
  const backends = new Map<string, string>()
  for (const service of snapshot.services) {
    for (const group of service.groups) {
      for (const { name, address, port } of group.backends) {
        backends.set(backendKey(service.name, group.name, name), `${address} ${port}`)
      }
    }
  }
  return backends
}

function sorted<T>(map: Map<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1))
}
