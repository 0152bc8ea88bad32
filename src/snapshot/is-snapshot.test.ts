import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSnapshot, readSnapshot } from './is-snapshot.ts'
import { EMPTY_SNAPSHOT, type Probe, type Snapshot } from './snapshot.ts'
import {
  testFrontend,
  testGroup,
  testHealthCheck,
  testOutlierDetection,
  testService,
  testSnapshot,
} from './test-snapshot.ts'

const PROBES: readonly Probe[] = [
  { kind: 'SSL', request: '', response: '' },
  { kind: 'HTTP2', host: '', requestPath: '/', response: '' },
  { kind: 'GRPC', serviceName: '' },
]
const CHECK = testHealthCheck({ name: 'my-tcp-health-check' })
const WHOLE: Snapshot = {
  frontends: [
    testFrontend({
      proxyHeader: { kind: 'PROXY_V2', crc32c: true, uniqueId: false },
      tls: {
        certificates: [{ name: 'c', chain: 'x', privateKey: 'y' }],
        policy: { name: '', profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [] },
        protocols: [],
      },
    }),
  ],
  services: [
    testService({
      tls: { serverName: '', names: { dnsNames: ['a'], uris: ['b:'] }, roots: '', headerPlace: 'inside-tls' },
      locality: { kind: 'RING_HASH', minimumRingSize: 1024 },
      maxConnections: 1_000,
      outlierDetection: testOutlierDetection(),
      closeOnFailureMs: 10_000,
    }),
  ],
  healthChecks: [CHECK],
}

test('a snapshot is one after a journey as JSON, too', () => {
  assert.ok(isSnapshot(WHOLE))
  assert.ok(isSnapshot(JSON.parse(JSON.stringify(WHOLE))))
  for (const probe of PROBES) assert.ok(isSnapshot({ ...WHOLE, healthChecks: [{ ...CHECK, probe }] }), probe.kind)
  assert.ok(isSnapshot(EMPTY_SNAPSHOT))
})

/** A frontend for UDP beside the one for TCP, on the same address and port. */
const BOTH: Snapshot = {
  ...WHOLE,
  frontends: [
    ...WHOLE.frontends,
    testFrontend({ name: 'u', protocol: 'UDP', proxy: '', service: 'u', proxyHeader: { kind: 'NONE' } }),
  ],
  services: [...WHOLE.services, testService({ name: 'u', flows: { persistsOnUnhealthy: false } })],
}

test('TCP and UDP may have one address and port; each leads to a service of its own protocol', () => {
  assert.ok(isSnapshot(BOTH))
  const others = {
    protocol: 'TCP',
    service: 'my-tcp-lb',
    proxyHeader: { kind: 'PROXY_V1' },
    tls: WHOLE.frontends[0]?.tls,
  }
  for (const [field, value] of Object.entries(others)) {
    assert.ok(!isSnapshot(replaced(BOTH, ['frontends', '1', field], value)), field)
  }
  assert.ok(!isSnapshot(replaced(BOTH, ['services', '1', 'flows'], undefined)))
  assert.ok(!isSnapshot(replaced(BOTH, ['services', '0', 'flows'], { persistsOnUnhealthy: true })))
})

test('a snapshot of before there was UDP is one of TCP', () => {
  const old = JSON.parse(JSON.stringify(replaced(WHOLE, ['frontends', '0', 'protocol'], undefined)))
  assert.ok(!isSnapshot(old))
  assert.deepEqual(readSnapshot(old), JSON.parse(JSON.stringify(WHOLE)))
})

test('no value that is deep inside can be replaced by something else', () => {
  const others = [null, {}, [null], -1, 1e99, 'x']
  const paths = pathsOf(WHOLE).filter((path) => path.length > 0)
  assert.ok(paths.length > 50)
  for (const path of paths) {
    const refused = others.filter((other) => !isSnapshot(replaced(WHOLE, path, other)))
    // A text may be any text.
    assert.ok(
      refused.length >= 3,
      `${path.join('.')} takes ${JSON.stringify(others.filter((one) => !refused.includes(one)))}`,
    )
  }
})

/** The bounds of setTimeout(3), of ports, and of parts; [a value that is taken, the next one, which is not]. */
const BOUNDS: readonly (readonly [path: string, taken: readonly number[], refused: readonly number[]])[] = [
  ['frontends.0.port', [1, 65_535], [0, 65_536, 80.5]],
  ['services.0.idleTimeoutMs', [0, Number.MAX_SAFE_INTEGER], [-1, Number.MAX_SAFE_INTEGER + 1]],
  ['services.0.drainingTimeoutMs', [0, 2_147_483_647], [-1, 2_147_483_648]],
  ['services.0.logSampleRate', [0, 1], [-0.01, 1.01]],
  ['services.0.groups.0.balancing.capacityScaler', [0, 0.1, 1], [-0.01, 0.09, 1.01]],
  ['services.0.groups.0.balancing.maxConnections', [0, Number.MAX_SAFE_INTEGER], [-5, 0.5, Number.POSITIVE_INFINITY]],
  ['services.0.groups.0.balancing.maxUtilization', [0, 1], [-0.01, 1.01]],
  ['services.0.groups.0.backends.0.port', [1, 65_535], [0, 65_536, 80.5]],
  ['services.0.spreading.failoverHealthThreshold', [0.01, 0.99], [0, 1]],
  ['services.0.locality.minimumRingSize', [1, 8_388_608], [0, 8_388_609, 1.5]],
  ['services.0.maxConnections', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['services.0.outlierDetection.intervalMs', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['services.0.outlierDetection.baseEjectionMs', [0, 315_576_000_000_000], [-1, 315_576_000_000_001, 0.5]],
  ['services.0.outlierDetection.maxEjectedPart', [0, 1], [-0.01, 1.01]],
  ['services.0.outlierDetection.consecutiveErrors', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['services.0.outlierDetection.enforcedConsecutiveErrors', [0, 1], [-0.01, 1.01]],
  ['services.0.outlierDetection.consecutiveGatewayFailures', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['services.0.outlierDetection.enforcedConsecutiveGatewayFailures', [0, 1], [-0.01, 1.01]],
  ['services.0.outlierDetection.successRate.minimumBackends', [1, 2_147_483_647], [0, 2_147_483_648]],
  ['services.0.outlierDetection.successRate.minimumConnections', [1, 2_147_483_647], [0, 2_147_483_648]],
  [
    'services.0.outlierDetection.successRate.deviations',
    [0, 2_147_483.647],
    [-0.1, 2_147_484, Number.POSITIVE_INFINITY],
  ],
  ['services.0.outlierDetection.successRate.enforced', [0, 1], [-0.01, 1.01]],
  ['services.0.closeOnFailureMs', [0, 3_600_000], [-1, 3_600_001]],
  ['healthChecks.0.checkIntervalMs', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['healthChecks.0.timeoutMs', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['healthChecks.0.healthyThreshold', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['healthChecks.0.unhealthyThreshold', [1, 2_147_483_647], [0, 2_147_483_648, 1.5]],
  ['healthChecks.0.port', [1, 65_535], [0, 65_536, 80.5]],
]

for (const [path, taken, refused] of BOUNDS) {
  test(`${path} may be ${taken.join(' and ')}, and not ${refused.join(', ')}`, () => {
    for (const value of taken) assert.ok(isSnapshot(replaced(WHOLE, path.split('.'), value)), `${value}`)
    for (const value of refused) assert.ok(!isSnapshot(replaced(WHOLE, path.split('.'), value)), `${value}`)
  })
}

test('no field may be missing but those that say nothing by that', () => {
  const optional =
    /\.(tls|flows|tls\.names|healthCheck|maxUtilization|maxConnections|outlierDetection|closeOnFailureMs)$/
  for (const path of pathsOf(WHOLE)) {
    const name = path.join('.')
    const isElement = /^\d+$/.test(path.at(-1) ?? '0')
    if (!isElement) assert.equal(isSnapshot(replaced(WHOLE, path, undefined)), optional.test(`.${name}`), name)
  }
})

test('a backend and a frontend are found by an address in its one form, and two frontends may differ by port', () => {
  const [frontend] = WHOLE.frontends
  for (const address of ['203.0.113.10', '2001:db8::1', '::ffff:203.0.113.10']) {
    assert.ok(isSnapshot(replaced(WHOLE, ['frontends', '0', 'address'], address)), address)
  }
  for (const address of ['203.0.113.010', '2001:DB8::1', '2001:db8:0::1', '203.0.113.10/32', '']) {
    assert.ok(!isSnapshot(replaced(WHOLE, ['frontends', '0', 'address'], address)), address)
    assert.ok(
      !isSnapshot(replaced(WHOLE, ['services', '0', 'groups', '0', 'backends', '0', 'address'], address)),
      address,
    )
  }
  const port = frontend.port + 1
  assert.ok(isSnapshot({ ...WHOLE, frontends: [frontend, { ...frontend, name: 'other', port }] }))
})

test('names are unique and lead to something', () => {
  const [frontend] = WHOLE.frontends
  const [service] = WHOLE.services
  for (const wrong of [
    { ...WHOLE, frontends: [frontend, { ...frontend, name: 'other' }] },
    { ...WHOLE, services: [service, service] },
    { ...WHOLE, services: [] },
    { ...WHOLE, healthChecks: [] },
    { ...WHOLE, healthChecks: [CHECK, CHECK] },
    { ...WHOLE, services: [{ ...service, groups: [testGroup(), testGroup()] }] },
    { ...WHOLE, frontends: [{ ...frontend, address: '203.0.113.010' }] },
    { ...WHOLE, frontends: [{ ...frontend, address: '2001:DB8::1' }] },
  ]) {
    assert.ok(!isSnapshot(wrong), JSON.stringify(wrong))
  }
})

test('a snapshot of a version without a choice is completed, and nothing that was said is changed', () => {
  const before = JSON.parse(JSON.stringify(testSnapshot([testFrontend()], [testService({ healthCheck: undefined })])))
  for (const service of before.services) {
    for (const field of ['spreading', 'locality', 'affinity']) delete service[field]
    for (const group of service.groups) delete group.isPreferred
  }
  assert.ok(!isSnapshot(before))
  const [service] = readSnapshot(before)?.services ?? []
  assert.deepEqual(service, JSON.parse(JSON.stringify(testService({ healthCheck: undefined }))))
  assert.deepEqual(readSnapshot(WHOLE), WHOLE)
  for (const other of [null, 7, [], {}, { services: [null] }, { services: [{ groups: [7] }] }]) {
    assert.equal(readSnapshot(other), undefined)
  }
})

type Path = readonly string[]

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [
    path,
    ...Object.entries(value).flatMap(([name, field]) => (field === undefined ? [] : pathsOf(field, [...path, name]))),
  ]
}

function replaced(value: unknown, [name, ...rest]: Path, other: unknown): unknown {
  if (name === undefined) return other
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
  const fields = copy as Record<string, unknown>
  fields[name] = replaced(fields[name], rest, other)
  return copy
}
