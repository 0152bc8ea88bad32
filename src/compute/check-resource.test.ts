import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { checkResource } from './check-resource.ts'
import { formatProblem, type Problem, type ProblemCode } from './problem.ts'
import type { CollectionName } from './resources.ts'
import { CERTIFICATE, PRIVATE_KEY } from './test-pem.ts'

type Fields = Readonly<Record<string, unknown>>

/** The least that is sound of each collection. */
const least: Record<CollectionName, Fields> = {
  addresses: { name: 'a' },
  forwardingRules: { name: 'f', portRange: '110', target: 'global/targetTcpProxies/t' },
  targetTcpProxies: { name: 't', service: 'b' },
  targetSslProxies: { name: 't', service: 'b', sslCertificates: ['c'] },
  sslCertificates: { name: 'c', certificate: CERTIFICATE, privateKey: PRIVATE_KEY },
  sslPolicies: { name: 'p' },
  backendServices: { name: 'b' },
  serviceLbPolicies: { name: 'p' },
  healthChecks: { name: 'h', type: 'TCP', tcpHealthCheck: {} },
  instanceGroups: { name: 'g', zone: 'us-central1-b' },
  instances: { name: 'i', zone: 'us-central1-b' },
  networkEndpointGroups: { name: 'n', zone: 'us-central1-b' },
  firewalls: { name: 'f', allowed: [{ IPProtocol: 'tcp' }] },
}

function problemsOf(collection: CollectionName, fields: Fields): readonly Problem[] {
  const result = checkResource(collection, { ...least[collection], ...fields }, 'lb.yaml')
  return 'problems' in result ? result.problems : []
}

function assertSound(collection: CollectionName, ...variants: readonly Fields[]): void {
  for (const fields of variants) {
    assert.deepEqual(problemsOf(collection, fields).map(formatProblem), [], JSON.stringify(fields))
  }
}

/** Each: the fields that make it wrong, where the only problem stands, and its code. */
function assertWrong(collection: CollectionName, ...cases: readonly [Fields, string, ProblemCode?][]): void {
  for (const [fields, path, code = 'invalid'] of cases) {
    const problems = problemsOf(collection, fields)
    assert.deepEqual(
      problems.map((problem) => [problem.path, problem.code]),
      [[path, code]],
      `${collection} ${inspect(fields)}: ${problems.map(formatProblem).join('\n')}`,
    )
  }
}

function checkedResource<Collection extends CollectionName>(collection: Collection, fields: Fields) {
  const result = checkResource(collection, { ...least[collection], ...fields }, '')
  assert.ok('checked' in result, JSON.stringify(result))
  return result.checked
}

test('the least of every collection is sound, and nothing of it can be left out', () => {
  for (const [collection, fields] of Object.entries(least) as [CollectionName, Fields][]) {
    assertSound(collection, {})
    for (const name of Object.keys(fields)) {
      const problems = problemsOf(collection, { [name]: undefined })
      assert.deepEqual(
        problems.map(({ path, code }) => [path, code]),
        [[name, 'required']],
        `${collection}.${name}`,
      )
    }
  }
})

test('defaults are those of the Compute Engine API', () => {
  const { resource: service } = checkedResource('backendServices', { backends: [{ group: 'g' }] })
  assert.equal(service.timeoutSec, 30)
  assert.equal(service.connectionDraining.drainingTimeoutSec, 0)
  assert.equal(service.logConfig, undefined)
  assert.equal(service.loadBalancingScheme, 'EXTERNAL')
  assert.deepEqual(service.backends, [{ group: 'g', balancingMode: 'UTILIZATION', capacityScaler: 1 }])
  const { resource: check } = checkedResource('healthChecks', {})
  const { checkIntervalSec, timeoutSec, healthyThreshold, unhealthyThreshold } = check
  assert.deepEqual([checkIntervalSec, timeoutSec, healthyThreshold, unhealthyThreshold], [5, 5, 2, 2])
  const { resource: policy } = checkedResource('sslPolicies', {})
  assert.deepEqual([policy.profile, policy.minTlsVersion], ['COMPATIBLE', 'TLS_1_0'])
  const { resource: firewall } = checkedResource('firewalls', {})
  assert.deepEqual([firewall.direction, firewall.priority, firewall.disabled], ['INGRESS', 1000, false])
  assert.equal(checkedResource('targetTcpProxies', {}).resource.proxyHeader, 'NONE')
})

test('the port of a health check is 80, with TLS 443, and with gRPC it has to be given', () => {
  const { resource: tcp } = checkedResource('healthChecks', {})
  assert.equal(tcp.tcpHealthCheck?.port, 80)
  for (const [type, field, port] of [
    ['SSL', 'sslHealthCheck', 443],
    ['HTTP', 'httpHealthCheck', 80],
    ['HTTPS', 'httpsHealthCheck', 443],
    ['HTTP2', 'http2HealthCheck', 443],
  ] as const) {
    const { resource } = checkedResource('healthChecks', { type, tcpHealthCheck: undefined, [field]: {} })
    assert.equal(resource[field]?.port, port, type)
  }
  const grpc = { type: 'GRPC', tcpHealthCheck: undefined }
  assertWrong('healthChecks', [{ ...grpc, grpcHealthCheck: {} }, 'grpcHealthCheck.port', 'required'])
  assertSound('healthChecks', { ...grpc, grpcHealthCheck: { portSpecification: 'USE_SERVING_PORT' } })
  const { resource: serving } = checkedResource('healthChecks', {
    tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' },
  })
  assert.equal(serving.tcpHealthCheck?.port, undefined)
})

test('no text that goes into a protocol holds a line break, a space or a control character', () => {
  const ofType = (type: string, object: string, fields: Fields): Fields => ({
    type,
    tcpHealthCheck: undefined,
    [object]: fields,
  })
  for (const bad of ['a\r\nx-evil: 1', 'a\n', 'a b', 'a\tb', '\u0000', 'a\u007f', 'ä']) {
    for (const [type, object] of [
      ['HTTP', 'httpHealthCheck'],
      ['HTTPS', 'httpsHealthCheck'],
      ['HTTP2', 'http2HealthCheck'],
    ] as const) {
      assertWrong('healthChecks', [ofType(type, object, { host: bad }), `${object}.host`])
      assertWrong('healthChecks', [ofType(type, object, { requestPath: `/${bad}` }), `${object}.requestPath`])
    }
    const grpc = ofType('GRPC', 'grpcHealthCheck', { port: 1, grpcServiceName: bad })
    assertWrong('healthChecks', [grpc, 'grpcHealthCheck.grpcServiceName'])
  }
  for (const host of ['a/b', 'user@a', 'a?b', 'a#b', 'a"b', 'a\\b']) {
    assertWrong('healthChecks', [ofType('HTTP', 'httpHealthCheck', { host }), 'httpHealthCheck.host'])
  }
  for (const host of ['', 'app.example', 'app.example:8080', '192.0.2.1', '[2001:db8::1]:80', 'my_app']) {
    assertSound('healthChecks', ofType('HTTP', 'httpHealthCheck', { host }))
  }
})

test('health checks: bounds, and rules between fields', () => {
  const tcp = (fields: Fields): Fields => ({ tcpHealthCheck: fields })
  assertWrong(
    'healthChecks',
    [{ checkIntervalSec: 5, timeoutSec: 6 }, 'timeoutSec'],
    [{ checkIntervalSec: 0 }, 'checkIntervalSec'],
    [{ checkIntervalSec: 301 }, 'checkIntervalSec'],
    [{ checkIntervalSec: 5.5 }, 'checkIntervalSec'],
    [{ healthyThreshold: 0 }, 'healthyThreshold'],
    [{ unhealthyThreshold: 11 }, 'unhealthyThreshold'],
    [{ unhealthyThreshold: '2a' }, 'unhealthyThreshold'],
    [{ type: 'UDP', tcpHealthCheck: undefined }, 'type', 'unsupported'],
    [{ type: 'tcp' }, 'type'],
    [{ type: 3 }, 'type'],
    [{ httpHealthCheck: {} }, 'httpHealthCheck', 'conflict'],
    [{ sourceRegions: ['us-central1'] }, 'sourceRegions', 'unsupported'],
    [tcp({ port: 0 }), 'tcpHealthCheck.port'],
    [tcp({ port: 65_536 }), 'tcpHealthCheck.port'],
    [tcp({ portSpecification: 'USE_NAMED_PORT' }), 'tcpHealthCheck.portSpecification', 'unsupported'],
    [tcp({ portName: 'tcp110' }), 'tcpHealthCheck.portName', 'unsupported'],
    [tcp({ port: 110, portSpecification: 'USE_SERVING_PORT' }), 'tcpHealthCheck.port', 'conflict'],
    [tcp({ request: 'x'.repeat(1025) }), 'tcpHealthCheck.request'],
    [tcp({ response: 'pöng' }), 'tcpHealthCheck.response'],
    [tcp({ proxyHeader: 'PROXY_V2' }), 'tcpHealthCheck.proxyHeader'],
    [tcp({ requestPath: '/' }), 'tcpHealthCheck.requestPath', 'unknownField'],
    [{ tcpHealthCheck: [] }, 'tcpHealthCheck'],
  )
  assertSound(
    'healthChecks',
    { checkIntervalSec: 300, timeoutSec: 300, healthyThreshold: 10, unhealthyThreshold: 1 },
    tcp({ port: '110', request: 'x'.repeat(1024), response: '\0\r\n', proxyHeader: 'PROXY_V1', portName: '' }),
    { sourceRegions: [], logConfig: { enable: true } },
  )
  const http = { type: 'HTTP', tcpHealthCheck: undefined }
  assertWrong('healthChecks', [{ ...http, httpHealthCheck: { requestPath: 'healthz' } }, 'httpHealthCheck.requestPath'])
  assertWrong('healthChecks', [
    { ...http, httpHealthCheck: { requestPath: '/ HTTP/1.1' } },
    'httpHealthCheck.requestPath',
  ])
})

test('backend services: bounds, balancing modes and what goes with them', () => {
  const backend = (fields: Fields): Fields => ({ backends: [{ group: 'g', ...fields }] })
  const connection = (fields: Fields): Fields => backend({ balancingMode: 'CONNECTION', ...fields })
  assertSound(
    'backendServices',
    { timeoutSec: 2 ** 31 - 1, connectionDraining: { drainingTimeoutSec: 3600 }, logConfig: { sampleRate: '0.5' } },
    backend({ maxUtilization: 0.8, maxConnections: 10, capacityScaler: 0.1 }),
    // Google takes it, and does not look at it.
    connection({ maxConnections: 1, maxUtilization: 0.8 }),
    connection({ maxConnections: 1 }),
    connection({ maxConnectionsPerInstance: '100', capacityScaler: 1.0 }),
    connection({ maxConnectionsPerEndpoint: 100 }),
    { backends: [{ group: 'g', capacityScaler: 0 }, { group: 'h' }] },
    { loadBalancingScheme: 'EXTERNAL_MANAGED', sessionAffinity: 'NONE', localityLbPolicy: 'ROUND_ROBIN' },
    {
      iap: { enabled: false, oauth2ClientId: '' },
      enableCDN: false,
      affinityCookieTtlSec: 0,
      customRequestHeaders: [],
    },
    { strongSessionAffinityCookie: null, subsetting: { policy: 'NONE' }, compressionMode: 'DISABLED', port: 80 },
  )
  assertWrong(
    'backendServices',
    [{ timeoutSec: 0 }, 'timeoutSec'],
    [{ timeoutSec: 2 ** 31 }, 'timeoutSec'],
    [{ timeoutSec: '5m' }, 'timeoutSec'],
    [{ connectionDraining: { drainingTimeoutSec: 3601 } }, 'connectionDraining.drainingTimeoutSec'],
    [{ logConfig: { sampleRate: 1.1 } }, 'logConfig.sampleRate'],
    [{ logConfig: { sampleRate: Number.NaN } }, 'logConfig.sampleRate'],
    [{ logConfig: { enable: 'yes' } }, 'logConfig.enable'],
    [{ protocol: 'HTTP' }, 'protocol', 'unsupported'],
    [{ protocol: 'tcp' }, 'protocol'],
    [{ sessionAffinity: 'CLIENT_IP_NO_DESTINATION' }, 'sessionAffinity', 'unsupported'],
    [{ sessionAffinity: 'HTTP_COOKIE' }, 'sessionAffinity', 'unsupported'],
    [{ localityLbPolicy: 'WEIGHTED_MAGLEV' }, 'localityLbPolicy', 'unsupported'],
    [{ serviceLbPolicy: 'global/healthChecks/h' }, 'serviceLbPolicy', 'wrongKind'],
    [{ closeOnFailureSec: 3601 }, 'closeOnFailureSec'],
    [{ loadBalancingScheme: 'INTERNAL' }, 'loadBalancingScheme', 'unsupported'],
    [{ securityPolicy: 'global/securityPolicies/p' }, 'securityPolicy', 'unsupported'],
    [{ iap: { enabled: true } }, 'iap', 'unsupported'],
    [{ healthChecks: ['a', 'b'] }, 'healthChecks'],
    [{ healthChecks: ['global/httpHealthChecks/a'] }, 'healthChecks[0]', 'wrongKind'],
    [{ portName: 'TCP' }, 'portName'],
    [backend({ group: undefined }), 'backends[0].group', 'required'],
    [backend({ group: 'zones/z/instances/i' }), 'backends[0].group', 'wrongKind'],
    [backend({ group: 'a group' }), 'backends[0].group'],
    [backend({ maxUtilization: 1.8 }), 'backends[0].maxUtilization'],
    [backend({ maxUtilization: -0.1 }), 'backends[0].maxUtilization'],
    [backend({ capacityScaler: 0.05 }), 'backends[0].capacityScaler'],
    [backend({ capacityScaler: 1.1 }), 'backends[0].capacityScaler'],
    [backend({ capacityScaler: 0 }), 'backends[0].capacityScaler'],
    [{ backends: ['g', 'h'].map((group) => ({ group, capacityScaler: 0 })) }, 'backends'],
    [backend({ maxConnections: 0 }), 'backends[0].maxConnections'],
    [backend({ maxConnectionsPerEndpoint: 1 }), 'backends[0].maxConnectionsPerEndpoint'],
    [backend({ balancingMode: 'RATE' }), 'backends[0].balancingMode', 'unsupported'],
    [backend({ maxRate: 5 }), 'backends[0].maxRate', 'unsupported'],
    [backend({ failover: true }), 'backends[0].failover', 'unsupported'],
    [backend({ preference: 'PREFERRED' }), 'backends[0].preference', 'conflict'],
    [backend({ preference: 'FIRST' }), 'backends[0].preference'],
    [connection({}), 'backends[0].balancingMode'],
    [
      connection({ maxConnections: 1, maxConnectionsPerInstance: 1 }),
      'backends[0].maxConnectionsPerInstance',
      'conflict',
    ],
    [{ backends: [{ group: 'g' }, { group: 'g' }] }, 'backends[1].group', 'conflict'],
    [{ backends: {} }, 'backends'],
    [{ backends: [null] }, 'backends[0]'],
  )
})

const MANAGED = { loadBalancingScheme: 'EXTERNAL_MANAGED' }

test('backend services: what only the managed proxy has is refused for the classic one', () => {
  const fields: readonly (readonly [Fields, string])[] = [
    [{ localityLbPolicy: 'MAGLEV' }, 'localityLbPolicy'],
    [{ localityLbPolicy: 'LEAST_REQUEST' }, 'localityLbPolicy'],
    [{ circuitBreakers: { maxConnections: 10 } }, 'circuitBreakers'],
    [{ outlierDetection: {} }, 'outlierDetection'],
    [{ sessionAffinity: 'CLIENT_IP', consistentHash: { minimumRingSize: '10' } }, 'consistentHash'],
    [{ backends: [{ group: 'g', preference: 'PREFERRED' }] }, 'backends[0].preference'],
  ]
  for (const [given, path] of fields) {
    assertWrong(
      'backendServices',
      [given, path, 'conflict'],
      [{ ...given, loadBalancingScheme: 'EXTERNAL' }, path, 'conflict'],
    )
    assertSound('backendServices', { ...given, ...MANAGED })
    const [{ rule, remedy }] = problemsOf('backendServices', given)
    assert.match(rule, / is not supported with the load balancing scheme EXTERNAL$/)
    assert.match(remedy, /EXTERNAL_MANAGED/)
  }
  for (const scheme of ['EXTERNAL', 'EXTERNAL_MANAGED']) {
    assertSound(
      'backendServices',
      ...['NONE', 'CLIENT_IP', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO'].map((sessionAffinity) => {
        return { loadBalancingScheme: scheme, sessionAffinity }
      }),
      // As without it.
      { loadBalancingScheme: scheme, localityLbPolicy: 'ROUND_ROBIN' },
      { loadBalancingScheme: scheme, serviceLbPolicy: 'p', closeOnFailureSec: 0 },
      { loadBalancingScheme: scheme, backends: [{ group: 'g', preference: 'DEFAULT' }] },
      { loadBalancingScheme: scheme, circuitBreakers: {}, consistentHash: {}, outlierDetection: null },
    )
  }
})

test('backend services: hash, limits and outliers have the bounds of Google', () => {
  const outliers = (given: Fields): Fields => ({ ...MANAGED, outlierDetection: given })
  const ring = (minimumRingSize: unknown, given: Fields = {}): Fields => {
    return { ...MANAGED, localityLbPolicy: 'RING_HASH', consistentHash: { minimumRingSize }, ...given }
  }
  assertSound(
    'backendServices',
    ring('1024'),
    ring(1),
    ring(8_388_608, { localityLbPolicy: 'MAGLEV' }),
    ring('9', { localityLbPolicy: undefined, sessionAffinity: 'CLIENT_IP' }),
    outliers({ interval: { seconds: '2', nanos: 500_000_000 }, baseEjectionTime: { seconds: 315_576_000_000 } }),
    outliers({ interval: { nanos: 1_000_000 }, maxEjectionPercent: 0, successRateStdevFactor: 0 }),
  )
  assertWrong(
    'backendServices',
    [ring('0'), 'consistentHash.minimumRingSize'],
    [ring(8_388_609), 'consistentHash.minimumRingSize'],
    [ring('-1'), 'consistentHash.minimumRingSize'],
    [ring('9', { localityLbPolicy: 'RANDOM' }), 'consistentHash', 'conflict'],
    [ring('9', { localityLbPolicy: undefined }), 'consistentHash', 'conflict'],
    [{ ...MANAGED, circuitBreakers: { maxConnections: 0 } }, 'circuitBreakers.maxConnections'],
    [
      { ...MANAGED, circuitBreakers: { maxRequestsPerConnection: 1 } },
      'circuitBreakers.maxRequestsPerConnection',
      'unsupported',
    ],
    [outliers({ maxEjectionPercent: 101 }), 'outlierDetection.maxEjectionPercent'],
    [outliers({ consecutiveErrors: 0 }), 'outlierDetection.consecutiveErrors'],
    [outliers({ interval: { seconds: '0' } }), 'outlierDetection.interval.seconds'],
    [outliers({ interval: { nanos: 999_999 } }), 'outlierDetection.interval.nanos'],
    [outliers({ interval: {} }), 'outlierDetection.interval'],
    [outliers({ interval: { seconds: '2147484' } }), 'outlierDetection.interval.seconds'],
    [outliers({ baseEjectionTime: { seconds: '315576000001' } }), 'outlierDetection.baseEjectionTime.seconds'],
    [outliers({ baseEjectionTime: { seconds: 'x' } }), 'outlierDetection.baseEjectionTime.seconds'],
    [outliers({ baseEjectionTime: '30s' }), 'outlierDetection.baseEjectionTime'],
  )
  const { resource } = checkedResource('backendServices', ring(1024))
  // As JSON of Google's APIs has numbers of 64 bits.
  assert.equal(resource.consistentHash?.minimumRingSize, '1024')
})

test('a group without a target is refused in Google’s words for its kind', () => {
  const rule = (group: string) => {
    return problemsOf('backendServices', { backends: [{ group, balancingMode: 'CONNECTION' }] })[0]?.rule
  }
  const either = 'Either maxConnections or'
  assert.equal(
    rule('zones/z/instanceGroups/g'),
    `${either} maxConnectionsPerInstance should be set with CONNECTION mode`,
  )
  assert.equal(
    rule('zones/z/networkEndpointGroups/g'),
    `${either} maxConnectionsPerEndpoint should be set with CONNECTION mode`,
  )
  assert.equal(
    rule('g'),
    'Either maxConnections, maxConnectionsPerInstance or maxConnectionsPerEndpoint should be set with CONNECTION mode',
  )
})

test('service LB policies: a part of percent, and isolation by both of its fields', () => {
  const threshold = (failoverHealthThreshold: unknown): Fields => ({ failoverConfig: { failoverHealthThreshold } })
  const isolation = (isolationGranularity?: string, isolationMode?: string): Fields => {
    return { isolationConfig: { isolationGranularity, isolationMode } }
  }
  assertSound(
    'serviceLbPolicies',
    { loadBalancingAlgorithm: 'SPRAY_TO_WORLD', autoCapacityDrain: { enable: true }, labels: { a: 'b' } },
    { loadBalancingAlgorithm: 'LOAD_BALANCING_ALGORITHM_UNSPECIFIED', description: 'd'.repeat(1024) },
    threshold(1),
    threshold(99),
    isolation('REGION', 'STRICT'),
    isolation('REGION', 'NEAREST'),
    isolation(),
    isolation('ISOLATION_GRANULARITY_UNSPECIFIED', 'ISOLATION_MODE_UNSPECIFIED'),
  )
  assertWrong(
    'serviceLbPolicies',
    [{ loadBalancingAlgorithm: 'NEAREST' }, 'loadBalancingAlgorithm'],
    [{ description: 'd'.repeat(1025) }, 'description'],
    [threshold(0), 'failoverConfig.failoverHealthThreshold'],
    [threshold(100), 'failoverConfig.failoverHealthThreshold'],
    [isolation('REGION'), 'isolationConfig.isolationMode', 'required'],
    [isolation(undefined, 'STRICT'), 'isolationConfig.isolationGranularity', 'required'],
    [isolation('REGION', 'ISOLATION_MODE_UNSPECIFIED'), 'isolationConfig.isolationMode', 'required'],
    [isolation('ZONE', 'STRICT'), 'isolationConfig.isolationGranularity'],
    [{ failover: {} }, 'failover', 'unknownField'],
  )
})

test('forwarding rules: exactly one port, and an address or the name of one', () => {
  const ports = (...list: unknown[]): Fields => ({ portRange: undefined, ports: list })
  for (const fields of [
    {},
    { portRange: 110 },
    { portRange: '110-110' },
    ports('110'),
    ports(110),
    { ports: ['110'] },
  ]) {
    const { resource } = checkedResource('forwardingRules', fields)
    assert.equal(resource.portRange, '110-110')
    assert.equal(resource.ports, undefined)
  }
  assertWrong(
    'forwardingRules',
    [{ portRange: '110-111' }, 'portRange'],
    [{ portRange: '0' }, 'portRange'],
    [{ portRange: 65_536 }, 'portRange'],
    [{ portRange: '' }, 'portRange', 'required'],
    [ports('110', '111'), 'ports'],
    [ports(), 'portRange', 'required'],
    [{ portRange: '110', ports: ['111'] }, 'ports', 'conflict'],
    [{ allPorts: true }, 'allPorts', 'unsupported'],
    [{ IPAddress: '203.0.113.256' }, 'IPAddress'],
    [{ IPAddress: 'global/instances/i' }, 'IPAddress'],
    [{ IPProtocol: 'SCTP' }, 'IPProtocol', 'unsupported'],
    [{ IPProtocol: 'UDP' }, 'target', 'conflict'],
    [{ target: undefined }, 'target', 'required'],
    [{ proxyHeader: 'NONE' }, 'proxyHeader', 'conflict'],
    [{ proxyHeaderOptions: [] }, 'proxyHeaderOptions', 'conflict'],
    [{ target: 'global/targetHttpProxies/t' }, 'target', 'wrongKind'],
    [{ backendService: 'global/backendServices/b' }, 'backendService', 'conflict'],
    [{ sourceIpRanges: ['10.0.0.0/8'] }, 'sourceIpRanges', 'unsupported'],
  )
  assertSound('forwardingRules', { IPAddress: '::1' }, { IPAddress: 'lb-ip' }, { IPAddress: '', allPorts: false })
})

test('forwarding rules for UDP: a backend service in place of a target proxy, and version 2 of the header', () => {
  const udp = (fields: Fields): Fields => {
    return { IPProtocol: 'UDP', target: undefined, backendService: 'global/backendServices/b', ...fields }
  }
  assertSound(
    'forwardingRules',
    udp({}),
    udp({ proxyHeader: 'NONE', proxyHeaderOptions: [] }),
    udp({ proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['CRC32C', 'UNIQUE_ID'] }),
    udp({ target: null, loadBalancingScheme: 'EXTERNAL_MANAGED' }),
  )
  assertWrong(
    'forwardingRules',
    [udp({ target: 'global/targetTcpProxies/t' }), 'target', 'conflict'],
    [udp({ backendService: undefined }), 'backendService', 'required'],
    [udp({ backendService: 'global/targetTcpProxies/t' }), 'backendService', 'wrongKind'],
    [udp({ proxyHeader: 'PROXY_V1' }), 'proxyHeader', 'unsupported'],
    [udp({ proxyHeaderOptions: ['CRC32C'] }), 'proxyHeaderOptions'],
    [udp({ portRange: '110-111' }), 'portRange'],
  )
})

test('backend services: tracking of connections goes with UDP, with the words and bounds of Google', () => {
  const tracking = (connectionTrackingPolicy: Fields, fields: Fields = {}): Fields => {
    return { protocol: 'UDP', connectionTrackingPolicy, ...fields }
  }
  const persistence = (word: string): Fields => ({ connectionPersistenceOnUnhealthyBackends: word })
  const perSession = { trackingMode: 'PER_SESSION' }
  const affinity = (sessionAffinity: string): Fields => ({ sessionAffinity })
  assertSound(
    'backendServices',
    { protocol: 'UDP', connectionTrackingPolicy: null },
    tracking({}),
    tracking({ trackingMode: 'PER_CONNECTION', idleTimeoutSec: 1, ...persistence('ALWAYS_PERSIST') }),
    tracking({ idleTimeoutSec: 57_600, enableStrongAffinity: false, ...persistence('NEVER_PERSIST') }),
    tracking(perSession),
    tracking(perSession, affinity('CLIENT_IP_PORT_PROTO')),
    tracking({ trackingMode: 'PER_CONNECTION', ...persistence('DEFAULT_FOR_PROTOCOL') }, { protocol: 'TCP' }),
    { protocol: 'UDP', consistentHash: { minimumRingSize: '7' }, loadBalancingScheme: 'EXTERNAL_MANAGED' },
  )
  const field = (name: string): string => `connectionTrackingPolicy.${name}`
  assertWrong(
    'backendServices',
    [tracking({ idleTimeoutSec: 0 }), field('idleTimeoutSec')],
    [tracking({ idleTimeoutSec: 57_601 }), field('idleTimeoutSec')],
    [tracking({ enableStrongAffinity: true }), field('enableStrongAffinity'), 'unsupported'],
    [tracking(perSession, affinity('CLIENT_IP')), field('trackingMode'), 'unsupported'],
    [
      tracking({ ...perSession, ...persistence('ALWAYS_PERSIST') }),
      field('connectionPersistenceOnUnhealthyBackends'),
      'conflict',
    ],
    [tracking(perSession, { protocol: 'TCP' }), field('trackingMode'), 'conflict'],
    [tracking({ idleTimeoutSec: 60 }, { protocol: 'SSL' }), field('idleTimeoutSec'), 'conflict'],
    [
      tracking(persistence('NEVER_PERSIST'), { protocol: 'TCP' }),
      field('connectionPersistenceOnUnhealthyBackends'),
      'conflict',
    ],
    [{ protocol: 'UDP', tlsSettings: {} }, 'tlsSettings', 'conflict'],
  )
})

test('target proxies: headers, their options, and the number of certificates', () => {
  for (const collection of ['targetTcpProxies', 'targetSslProxies'] as const) {
    assertSound(collection, { proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['CRC32C', 'UNIQUE_ID'] })
    assertWrong(
      collection,
      [{ proxyHeader: 'PROXY_V3' }, 'proxyHeader'],
      [{ proxyHeader: 'PROXY_V1', proxyHeaderOptions: ['CRC32C'] }, 'proxyHeaderOptions'],
      [{ proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['crc'] }, 'proxyHeaderOptions[0]'],
      [{ service: 'https://host/compute/v1/projects/p/global/urlMaps/u' }, 'service', 'wrongKind'],
    )
  }
  const certificates = Array.from({ length: 16 }, (_, i) => `c${i}`)
  assertSound('targetSslProxies', { sslCertificates: certificates.slice(0, 15), sslPolicy: 'global/sslPolicies/p' })
  assertWrong(
    'targetSslProxies',
    [{ sslCertificates: certificates }, 'sslCertificates'],
    [{ sslCertificates: [] }, 'sslCertificates', 'required'],
    [{ certificateMap: '//certificatemanager.googleapis.com/x' }, 'certificateMap', 'unsupported'],
    [{ region: 'us-central1' }, '', 'unsupported'],
  )
  assertWrong('targetTcpProxies', [{ proxyBind: true }, 'proxyBind', 'unsupported'])
})

test('SSL policies: which versions and cipher suites go with which profile', () => {
  const suite = 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'
  assertSound(
    'sslPolicies',
    { profile: 'MODERN', minTlsVersion: 'TLS_1_0' },
    { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' },
    { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' },
    { profile: 'CUSTOM', minTlsVersion: 'TLS_1_2', customFeatures: [suite, 'TLS_AES_128_GCM_SHA256'] },
    { postQuantumKeyExchange: 'DEFAULT' },
  )
  assertWrong(
    'sslPolicies',
    [{ profile: 'MODERN', minTlsVersion: 'TLS_1_3' }, 'minTlsVersion'],
    [{ profile: 'FIPS_202205', minTlsVersion: 'TLS_1_3' }, 'minTlsVersion'],
    [{ profile: 'FIPS_202205' }, 'minTlsVersion'],
    [{ profile: 'FIPS_202205', minTlsVersion: 'TLS_1_1' }, 'minTlsVersion'],
    [{ profile: 'CUSTOM' }, 'customFeatures', 'required'],
    [{ profile: 'CUSTOM', customFeatures: ['TLS_AES_128_GCM_SHA256'] }, 'customFeatures', 'required'],
    [{ profile: 'MODERN', customFeatures: [suite] }, 'customFeatures'],
    [{ profile: 'CUSTOM', customFeatures: ['TLS_NULL'] }, 'customFeatures[0]'],
    [{ minTlsVersion: '1.2' }, 'minTlsVersion'],
    [{ postQuantumKeyExchange: 'ENABLED' }, 'postQuantumKeyExchange', 'unsupported'],
  )
})

test('backend services: TLS towards the backends goes with the protocol SSL', () => {
  const tlsSettings = { sni: 'app.example', certificateAuthorities: CERTIFICATE, proxyHeaderPlace: 'INSIDE_TLS' }
  assertSound('backendServices', { protocol: 'SSL' }, { protocol: 'SSL', tlsSettings })
  const ssl = (fields: Fields): Fields => ({ protocol: 'SSL', tlsSettings: fields })
  const both = { dnsName: 'a.example', uniformResourceIdentifier: 'spiffe://example/a' }
  const names = [{ dnsName: 'a.example' }, { uniformResourceIdentifier: 'spiffe://example/a' }]
  assertSound('backendServices', ssl({ subjectAltNames: names, certificateAuthorities: CERTIFICATE }))
  assertWrong(
    'backendServices',
    [{ protocol: 'TCP', tlsSettings }, 'tlsSettings', 'conflict'],
    [ssl({ ...tlsSettings, sni: undefined }), 'tlsSettings.sni', 'required'],
    [ssl({ sni: 'not a name' }), 'tlsSettings.sni'],
    [ssl({ certificateAuthorities: PRIVATE_KEY }), 'tlsSettings.certificateAuthorities'],
    [ssl({ ...tlsSettings, certificateAuthorities: '' }), 'tlsSettings.certificateAuthorities'],
    [ssl({ ...tlsSettings, certificateAuthorities: null }), 'tlsSettings.certificateAuthorities'],
    [ssl({ proxyHeaderPlace: 'BEHIND_TLS' }), 'tlsSettings.proxyHeaderPlace'],
    [ssl({ subjectAltNames: [{ dnsName: 'a.example' }] }), 'tlsSettings.certificateAuthorities', 'required'],
    [ssl({ ...tlsSettings, subjectAltNames: [{}] }), 'tlsSettings.subjectAltNames[0]', 'required'],
    [ssl({ ...tlsSettings, subjectAltNames: [both] }), 'tlsSettings.subjectAltNames[0]', 'conflict'],
    [ssl({ ...tlsSettings, subjectAltNames: [{ dnsName: '*.example' }] }), 'tlsSettings.subjectAltNames[0].dnsName'],
    [
      ssl({ ...tlsSettings, subjectAltNames: [{ uniformResourceIdentifier: 'no scheme' }] }),
      'tlsSettings.subjectAltNames[0].uniformResourceIdentifier',
    ],
    [ssl({ ...tlsSettings, subjectAltNames: Array(6).fill({ dnsName: 'a.example' }) }), 'tlsSettings.subjectAltNames'],
  )
})

test('target SSL proxies: application protocols', () => {
  assertSound('targetSslProxies', { alpnProtocols: ['imap', 'h2'] })
  assertWrong(
    'targetSslProxies',
    [{ alpnProtocols: [''] }, 'alpnProtocols[0]'],
    [{ alpnProtocols: ['with space'] }, 'alpnProtocols[0]'],
  )
})

test('certificates: chain and key stand at the top, wherever they were given', () => {
  const moved = { certificate: undefined, privateKey: undefined }
  const inside = { selfManaged: { certificate: CERTIFICATE, privateKey: PRIVATE_KEY } }
  const expected = checkedResource('sslCertificates', {}).resource
  assert.deepEqual(checkedResource('sslCertificates', { ...moved, ...inside }).resource, expected)
  // What describe prints has the chain twice and no key; the key is all that has to be added.
  assert.deepEqual(checkedResource('sslCertificates', { selfManaged: { certificate: CERTIFICATE } }).resource, expected)
  assertWrong(
    'sslCertificates',
    [{ privateKey: undefined, selfManaged: { certificate: CERTIFICATE } }, 'privateKey', 'required'],
    [
      { certificate: `${CERTIFICATE}\n${CERTIFICATE}`, selfManaged: { certificate: CERTIFICATE } },
      'certificate',
      'conflict',
    ],
    [{ certificate: `${CERTIFICATE}\n${PRIVATE_KEY}` }, 'certificate'],
    [{ privateKey: CERTIFICATE }, 'privateKey'],
    [{ type: 'MANAGED' }, 'type', 'unsupported'],
    [{ managed: { domains: ['a.example'] } }, 'managed', 'unsupported'],
  )
})

test('addresses: a valid one, of the version that is given', () => {
  assertSound(
    'addresses',
    { address: '203.0.113.10', ipVersion: 'IPV4' },
    { address: '2001:db8::1', ipVersion: 'IPV6' },
  )
  assertWrong(
    'addresses',
    [{ address: '203.0.113' }, 'address'],
    [{ address: '203.0.113.10', ipVersion: 'IPV6' }, 'ipVersion'],
    [{ addressType: 'INTERNAL' }, 'addressType', 'unsupported'],
    [{ labels: { a: 1 } }, 'labels.a'],
  )
})

test('groups and instances: ports, members, addresses', () => {
  assertSound('instanceGroups', {
    namedPorts: [
      { name: 'a', port: 1 },
      { name: 'a', port: 2 },
    ],
    instances: ['i', 'j'],
  })
  assertWrong(
    'instanceGroups',
    [{ namedPorts: [{ name: 'tcp110', port: 0 }] }, 'namedPorts[0].port'],
    [{ namedPorts: [{ port: 1 }] }, 'namedPorts[0].name', 'required'],
    [{ instances: ['i', 'i'] }, 'instances[1]', 'conflict'],
    [{ instances: ['global/backendServices/b'] }, 'instances[0]', 'wrongKind'],
  )
  assertWrong(
    'instances',
    [{ networkInterfaces: [{ networkIP: '10.128.0' }] }, 'networkInterfaces[0].networkIP'],
    [{ tags: { items: ['A'] } }, 'tags.items[0]'],
    [{ metadata: { items: [{ key: 'a b' }] } }, 'metadata.items[0].key'],
  )
  const endpoint = { ipAddress: '10.128.0.2', port: 110 }
  assertSound('networkEndpointGroups', { defaultPort: 110, networkEndpoints: [{ ipAddress: '::1' }, endpoint] })
  assertWrong(
    'networkEndpointGroups',
    [{ networkEndpoints: [{ ipAddress: '10.128.0.2' }] }, 'networkEndpoints[0].port', 'required'],
    [{ networkEndpoints: [endpoint, endpoint] }, 'networkEndpoints[1]', 'conflict'],
    [{ networkEndpoints: [{ port: 110 }] }, 'networkEndpoints[0].ipAddress', 'required'],
    [{ networkEndpoints: [{ ...endpoint, fqdn: 'a.example' }] }, 'networkEndpoints[0].fqdn', 'unsupported'],
    [{ networkEndpointType: 'SERVERLESS' }, 'networkEndpointType', 'unsupported'],
  )
})

test('firewalls: protocols, ports, ranges, and either allowed or denied', () => {
  const allowed = (IPProtocol: unknown, ...ports: unknown[]): Fields => ({ allowed: [{ IPProtocol, ports }] })
  assertSound('firewalls', allowed('TCP', '110', '8000-8999', 443), allowed('icmp'), allowed(50), allowed('all'))
  assertSound('firewalls', {
    allowed: [],
    denied: [{ IPProtocol: 'udp' }],
    priority: 65_535,
    logConfig: { enable: false },
  })
  assertSound('firewalls', { sourceServiceAccounts: ['a@b'], targetServiceAccounts: ['c@d'] })
  assertSound('firewalls', { sourceRanges: ['::/0', '2001:db8::1'], destinationRanges: ['2001:db8::/32'] })
  assertWrong(
    'firewalls',
    [allowed('quic'), 'allowed[0].IPProtocol'],
    [allowed('tcp', '9-8'), 'allowed[0].ports[0]'],
    [allowed('icmp', '1'), 'allowed[0].ports'],
    [{ denied: [{ IPProtocol: 'tcp' }] }, 'denied', 'conflict'],
    [{ sourceRanges: ['10.0.0.0/33'] }, 'sourceRanges[0]'],
    [{ sourceRanges: ['10.0.0.0/8', '10.1.2.3/8'] }, 'sourceRanges[1]'],
    [{ sourceRanges: ['10.0.0.0/8', '::/0'] }, 'sourceRanges[1]', 'conflict'],
    [{ sourceRanges: ['::/0'], destinationRanges: ['10.0.0.0/8'] }, 'destinationRanges[0]', 'conflict'],
    [{ priority: 65_536 }, 'priority'],
    [{ direction: 'EGRESS', sourceRanges: ['10.0.0.0/8'] }, 'sourceRanges', 'conflict'],
    [{ direction: 'EGRESS', sourceServiceAccounts: ['a@b'] }, 'sourceServiceAccounts', 'conflict'],
    [{ targetTags: ['web'], sourceServiceAccounts: ['a@b'] }, 'sourceServiceAccounts', 'conflict'],
    [{ sourceTags: ['web'], targetServiceAccounts: ['a@b'] }, 'targetServiceAccounts', 'conflict'],
  )
})

test('a name is what the API takes for one', () => {
  for (const name of ['', 'A', '1a', 'a_b', 'a-', '-a', 'a'.repeat(64), 'a\n', 'ä', 1, null, {}, true, '__proto__']) {
    const [problem, ...others] = problemsOf('addresses', { name })
    assert.equal(problem?.path, 'name', JSON.stringify(name))
    assert.equal(problem.resource, 'addresses')
    assert.deepEqual(others, [])
  }
  assertSound('addresses', { name: 'a' }, { name: 'a'.repeat(63) }, { name: 'constructor' }, { name: 'a-1' })
})

test('where a resource lives is said by its zone, its region, its selfLink, or by the caller', () => {
  const base = 'https://www.googleapis.com/compute/v1/projects/p'
  const zone = { kind: 'zone', zone: 'us-central1-b' }
  const scopeOf = (collection: CollectionName, fields: Fields) => checkedResource(collection, fields).scope
  assert.deepEqual(scopeOf('addresses', {}), { kind: 'global' })
  assert.deepEqual(scopeOf('addresses', { region: `${base}/regions/r` }), { kind: 'region', region: 'r' })
  assert.deepEqual(scopeOf('instances', { zone: `${base}/zones/us-central1-b` }), zone)
  const selfLink = `${base}/zones/us-central1-b/instances/i`
  assert.deepEqual(scopeOf('instances', { zone: undefined, selfLink }), zone)
  assert.deepEqual(scopeOf('instances', { selfLink }), zone)
  const given = checkResource('instances', { name: 'i' }, '', { kind: 'zone', zone: 'z' })
  assert.ok('checked' in given)
  assert.deepEqual(given.checked.scope, { kind: 'zone', zone: 'z' })
  assertWrong(
    'instances',
    [{ zone: 'us-central1-a', selfLink }, 'zone', 'conflict'],
    [{ zone: 'Zone 1' }, 'zone'],
    [{ zone: `${base}/regions/r` }, 'zone'],
    [{ zone: 7 }, 'zone'],
    [{ zone: undefined, region: 'us-central1' }, '', 'unsupported'],
    [{ zone: undefined }, 'zone', 'required'],
  )
})

test('all problems of a resource are found at once, each with its rule and remedy', () => {
  const problems = problemsOf('backendServices', {
    timeoutSec: 0,
    logConfig: { sampleRate: 2 },
    protocl: 'TCP',
    backends: [
      { group: 'g', balancingMode: 'CONNECTION' },
      { group: 'h', maxUtilisation: 0.8 },
    ],
  })
  assert.deepEqual(problems.map(formatProblem), [
    'lb.yaml: backendServices/b: backends[0].balancingMode: Either maxConnections, maxConnectionsPerInstance or ' +
      'maxConnectionsPerEndpoint should be set with CONNECTION mode; give one of them',
    'lb.yaml: backendServices/b: backends[1].maxUtilisation: there is no field of this name; ' +
      'give maxUtilization, if you meant that, or remove it',
    'lb.yaml: backendServices/b: timeoutSec: 0 is not between 1 and 2147483647; ' +
      'give a whole number from 1 to 2147483647, such as 300',
    'lb.yaml: backendServices/b: logConfig.sampleRate: 2 is not between 0 and 1; give a number from 0 to 1, such as 0.5',
    'lb.yaml: backendServices/b: protocl: there is no field of this name; give protocol, if you meant that, or remove it',
  ])
})

test('a private key is in no problem, wherever it was put by mistake', () => {
  const key = PRIVATE_KEY.split('\n')[1]
  const wrong: readonly Fields[] = [
    { privateKey: PRIVATE_KEY.replace('END', 'FIN') },
    { privateKey: [PRIVATE_KEY] },
    { privateKey: { pem: PRIVATE_KEY } },
    { certificate: PRIVATE_KEY },
    { name: PRIVATE_KEY },
    { type: PRIVATE_KEY },
    { zone: key, region: key },
    { key: PRIVATE_KEY },
    { [PRIVATE_KEY]: true },
    { [key]: true },
    { labels: { [key]: PRIVATE_KEY } },
    { selfManaged: PRIVATE_KEY },
    { selfManaged: { certificate: CERTIFICATE, privateKey: key } },
    { managed: PRIVATE_KEY },
    { privateKey: key.slice(0, 30) },
  ]
  for (const fields of wrong) {
    const problems = problemsOf('sslCertificates', fields)
    assert.ok(problems.length > 0, JSON.stringify(Object.keys(fields)))
    for (const text of [JSON.stringify(problems), ...problems.map(formatProblem)]) {
      for (let at = 0; at + 16 <= key.length; at += 8) assert.ok(!text.includes(key.slice(at, at + 16)), text)
    }
  }
})

test('unknown fields by the thousand are one problem each up to twenty, then one for the rest', () => {
  const fields = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`x${i}`, i]))
  const problems = problemsOf('addresses', fields)
  assert.equal(problems.length, 21)
  assert.equal(problems[20].rule, 'there are 49980 more unknown fields')
})

test('fields named like those of every JavaScript object are unknown fields and change nothing', () => {
  const value: unknown = JSON.parse(
    '{"name":"a","__proto__":{"address":"::1"},"constructor":1,"toString":2,"hasOwnProperty":3}',
  )
  const result = checkResource('addresses', value, '')
  assert.ok('problems' in result)
  assert.deepEqual(
    result.problems.map(({ path, code }) => [path, code]),
    ['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((path) => [path, 'unknownField']),
  )
  const labelled: unknown = JSON.parse('{"name":"a","labels":{"__proto__":"x"}}')
  const { resource } = checkedResource('addresses', labelled as Fields)
  assert.equal(JSON.stringify(resource.labels), '{"__proto__":"x"}')
})

test('a value that holds itself is a problem where it is kept, and where it is not supported', () => {
  const endless: Record<string, unknown> = {}
  endless.itself = endless
  assertWrong('backendServices', [{ iap: endless }, 'iap', 'unsupported'], [{ params: endless }, 'params'])
  assertWrong('backendServices', [
    { backends: [{ group: 'g', itself: endless }] },
    'backends[0].itself',
    'unknownField',
  ])
})

test('a negative zero is a zero', () => {
  const { resource } = checkedResource('backendServices', { logConfig: { sampleRate: -0 } })
  assert.ok(Object.is(resource.logConfig?.sampleRate, 0))
})
