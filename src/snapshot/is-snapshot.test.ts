import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSnapshot } from './is-snapshot.ts'
import type { Probe, Snapshot } from './snapshot.ts'
import { testFrontend, testGroup, testService } from './test-snapshot.ts'

const PROBES: readonly Probe[] = [
  { kind: 'SSL', request: '', response: '' },
  { kind: 'HTTP2', host: '', requestPath: '/', response: '' },
  { kind: 'GRPC', serviceName: '' },
]
const CHECK: Snapshot['healthChecks'][number] = {
  name: 'my-tcp-health-check',
  checkIntervalMs: 5_000,
  timeoutMs: 5_000,
  healthyThreshold: 2,
  unhealthyThreshold: 2,
  port: undefined,
  sendsProxyHeader: false,
  logsTransitions: false,
  probe: { kind: 'TCP', request: '', response: '' },
}
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
    }),
  ],
  healthChecks: [CHECK],
}

test('a snapshot is one after a journey as JSON, too', () => {
  assert.ok(isSnapshot(WHOLE))
  assert.ok(isSnapshot(JSON.parse(JSON.stringify(WHOLE))))
  for (const probe of PROBES) assert.ok(isSnapshot({ ...WHOLE, healthChecks: [{ ...CHECK, probe }] }), probe.kind)
  assert.ok(isSnapshot({ frontends: [], services: [], healthChecks: [] }))
})

test('no value that is deep inside can be replaced by something else', () => {
  const others = [null, {}, [null], -1, 1e99, 'x']
  const paths = pathsOf(WHOLE).filter((path) => path.length > 0)
  assert.ok(paths.length > 50)
  for (const path of paths) {
    const refused = others.filter((other) => !isSnapshot(replaced(WHOLE, path, other)))
    // A text may be any text, a number of connections any number.
    assert.ok(
      refused.length >= 3,
      `${path.join('.')} takes ${JSON.stringify(others.filter((one) => !refused.includes(one)))}`,
    )
  }
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
