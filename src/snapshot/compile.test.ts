import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../compute/problem.ts'
import { readResources } from '../compute/read-resources.ts'
import { CERTIFICATE, PRIVATE_KEY } from '../compute/test-pem.ts'
import { compile } from './compile.ts'
import { isSnapshot } from './is-snapshot.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts'
import { DEFAULT_SPREADING } from './spreading.ts'
import { type Fields, GUIDE, guideWith, readChecked, resourceOf } from './test-resources.ts'

const GUIDE_SNAPSHOT: Snapshot = {
  frontends: [
    {
      name: 'my-tcp-lb-ipv4-forwarding-rule',
      protocol: 'TCP',
      address: '203.0.113.10',
      port: 110,
      proxy: 'my-tcp-lb-target-proxy',
      service: 'my-tcp-lb',
      proxyHeader: { kind: 'PROXY_V1' },
      tls: undefined,
    },
  ],
  services: [
    {
      name: 'my-tcp-lb',
      idleTimeoutMs: 300_000,
      flows: undefined,
      drainingTimeoutMs: 0,
      healthCheck: 'my-tcp-health-check',
      logSampleRate: 0,
      tls: undefined,
      spreading: DEFAULT_SPREADING,
      locality: { kind: 'ROUND_ROBIN' },
      affinity: 'NONE',
      maxConnections: undefined,
      outlierDetection: undefined,
      closeOnFailureMs: undefined,
      groups: [
        {
          name: 'us-central1-b/my-instance-group',
          region: 'us-central1',
          zone: 'us-central1-b',
          isPreferred: false,
          balancing: { mode: 'UTILIZATION', maxUtilization: 0.8, maxConnections: undefined, capacityScaler: 1 },
          backends: [{ name: 'my-backend', address: '10.128.0.2', port: 110 }],
        },
      ],
    },
  ],
  healthChecks: [
    {
      name: 'my-tcp-health-check',
      checkIntervalMs: 5000,
      timeoutMs: 5000,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
      port: 110,
      sendsProxyHeader: false,
      logsTransitions: false,
      probe: { kind: 'TCP', request: '', response: '' },
    },
  ],
}

const RULE = 'forwardingRules/my-tcp-lb-ipv4-forwarding-rule'
const PROXY = 'targetTcpProxies/my-tcp-lb-target-proxy'
const SERVICE = 'backendServices/my-tcp-lb'
const GROUP = 'instanceGroups/my-instance-group'
const INSTANCE = 'instances/my-backend'
const SECOND_INSTANCE = resourceOf('instances/second', {
  zone: 'us-central1-b',
  networkInterfaces: [{ networkIP: '10.128.0.3' }],
})
const SELF_SIGNED = {
  certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  privateKey: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
}

function snapshotOf(resources: readonly Fields[]): Snapshot {
  const result = compile(readChecked(resources))
  if ('problems' in result) assert.fail(result.problems.map(formatProblem).join('\n'))
  assert.ok(isSnapshot(result.snapshot), 'what an edge takes from a controller')
  return result.snapshot
}

/** The guide's group of one service that differs as given. */
function groupOf(changes: Readonly<Record<string, Fields | undefined>>, ...more: readonly Fields[]) {
  const [service] = snapshotOf(guideWith(changes, ...more)).services
  return service.groups[0]
}

function negOf(fields: Fields = {}): Fields {
  const networkEndpoints = [{ ipAddress: '2001:DB8::8' }, { ipAddress: '10.128.0.8', port: 8080 }]
  return resourceOf('networkEndpointGroups/my-neg', {
    zone: 'us-central1-b',
    defaultPort: 80,
    networkEndpoints,
    ...fields,
  })
}

const NEG_BACKEND = { group: 'my-neg', balancingMode: 'CONNECTION', maxConnectionsPerEndpoint: 100 }

// As `gcloud … describe --format=yaml` and `export` print it, in two files' worth of documents.
const GUIDE_AS_PRINTED = `
IPAddress: https://www.googleapis.com/compute/v1/projects/my-project/global/addresses/lb-static-ipv4
IPProtocol: TCP
creationTimestamp: '2020-12-01T02:00:00.000-08:00'
fingerprint: 42WmSpB8rSM=
id: '1234567890123456789'
kind: compute#forwardingRule
labelFingerprint: 42WmSpB8rSM=
loadBalancingScheme: EXTERNAL
name: my-tcp-lb-ipv4-forwarding-rule
networkTier: PREMIUM
portRange: 110-110
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule
target: https://www.googleapis.com/compute/v1/projects/my-project/global/targetTcpProxies/my-tcp-lb-target-proxy
---
address: 203.0.113.10
addressType: EXTERNAL
ipVersion: IPV4
kind: compute#address
name: lb-static-ipv4
networkTier: PREMIUM
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/addresses/lb-static-ipv4
status: IN_USE
---
kind: compute#targetTcpProxy
name: my-tcp-lb-target-proxy
proxyBind: false
proxyHeader: PROXY_V1
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/targetTcpProxies/my-tcp-lb-target-proxy
service: https://www.googleapis.com/compute/v1/projects/another/global/backendServices/my-tcp-lb
---
affinityCookieTtlSec: 0
backends:
- balancingMode: UTILIZATION
  capacityScaler: 1.0
  group: https://www.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b/instanceGroups/my-instance-group
  maxUtilization: 0.8
connectionDraining:
  drainingTimeoutSec: 0
description: ''
enableCDN: false
fingerprint: 42WmSpB8rSM=
healthChecks:
- https://www.googleapis.com/compute/v1/projects/my-project/global/healthChecks/my-tcp-health-check
kind: compute#backendService
loadBalancingScheme: EXTERNAL
name: my-tcp-lb
port: 80
portName: tcp110
protocol: TCP
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/my-tcp-lb
sessionAffinity: NONE
timeoutSec: 300
---
checkIntervalSec: 5
healthyThreshold: 2
kind: compute#healthCheck
name: my-tcp-health-check
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/healthChecks/my-tcp-health-check
tcpHealthCheck:
  port: 110
  portSpecification: USE_FIXED_PORT
  proxyHeader: NONE
timeoutSec: 5
type: TCP
unhealthyThreshold: 2
---
kind: compute#instanceGroup
name: my-instance-group
namedPorts:
- name: tcp110
  port: 110
network: https://www.googleapis.com/compute/v1/projects/my-project/global/networks/default
instances:
- https://www.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b/instances/my-backend
size: 1
zone: https://www.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b
---
kind: compute#instance
name: my-backend
machineType: https://www.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b/machineTypes/n1-standard-1
networkInterfaces:
- accessConfigs:
  - kind: compute#accessConfig
    name: external-nat
    natIP: 192.0.2.7
  kind: compute#networkInterface
  name: nic0
  network: https://www.googleapis.com/compute/v1/projects/my-project/global/networks/default
  networkIP: 10.128.0.2
status: RUNNING
tags:
  items:
  - tcp-lb
zone: https://www.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b
---
allowed:
- IPProtocol: tcp
  ports:
  - '110'
direction: INGRESS
kind: compute#firewall
name: allow-lb-and-health
network: https://www.googleapis.com/compute/v1/projects/my-project/global/networks/default
sourceRanges:
- 130.211.0.0/22
- 35.191.0.0/16
targetTags:
- tcp-lb
`

test('the guide’s configuration is compiled, as short as it can be', () => {
  assert.deepEqual(snapshotOf(guideWith()), GUIDE_SNAPSHOT)
})

test('the guide’s configuration is compiled, as Google’s tools print it', () => {
  const { resources, problems } = readResources(GUIDE_AS_PRINTED, 'lb.yaml')
  assert.deepEqual(problems, [])
  assert.deepEqual(compile(resources), { snapshot: GUIDE_SNAPSHOT })
})

test('no resources make an empty snapshot', () => {
  assert.deepEqual(compile([]), { snapshot: EMPTY_SNAPSHOT })
})

test('what no forwarding rule leads to is not part of the snapshot', () => {
  const resources = guideWith({
    [RULE]: undefined,
    'instances/alone': SECOND_INSTANCE,
    'targetSslProxies/alone': { service: 'my-tcp-lb', sslCertificates: ['my-ssl-cert'], sslPolicy: 'my-ssl-policy' },
    'sslCertificates/my-ssl-cert': SELF_SIGNED,
    'sslPolicies/my-ssl-policy': { profile: 'MODERN', minTlsVersion: 'TLS_1_0' },
  })
  assert.deepEqual(snapshotOf(resources), EMPTY_SNAPSHOT)
})

test('two forwarding rules share a service, which then stands in the snapshot once', () => {
  const { frontends, services, healthChecks } = snapshotOf(
    guideWith({
      'forwardingRules/ipv6': { IPAddress: '2001:DB8:0::10', portRange: '443', target: 'my-tcp-lb-target-proxy' },
      'forwardingRules/any-address': {
        IPAddress: '0.0.0.0',
        ports: ['110'],
        target: 'my-tcp-lb-target-proxy',
      },
    }),
  )
  assert.deepEqual(
    frontends.map(({ name, address, port }) => [name, address, port]),
    [
      ['any-address', '0.0.0.0', 110],
      ['ipv6', '2001:db8::10', 443],
      ['my-tcp-lb-ipv4-forwarding-rule', '203.0.113.10', 110],
    ],
  )
  assert.deepEqual([services, healthChecks], [GUIDE_SNAPSHOT.services, GUIDE_SNAPSHOT.healthChecks])
})

test('an IPv4-mapped address is the IPv4 address', () => {
  const [frontend] = snapshotOf(guideWith({ [RULE]: { IPAddress: '::ffff:203.0.113.9' } })).frontends
  assert.equal(frontend.address, '203.0.113.9')
})

test('regional resources are told apart from global ones by their region', () => {
  const region = 'europe-west1'
  const { frontends, services, healthChecks } = snapshotOf(
    guideWith({
      'forwardingRules/regional': {
        region,
        IPAddress: '203.0.113.11',
        portRange: '110',
        target: 'my-tcp-lb-target-proxy',
      },
    }).concat(
      resourceOf(PROXY, { region, service: 'my-tcp-lb' }),
      resourceOf(SERVICE, { region, healthChecks: ['my-tcp-health-check'] }),
      resourceOf('healthChecks/my-tcp-health-check', { region, ...GUIDE['healthChecks/my-tcp-health-check'] }),
    ),
  )
  const regional = 'europe-west1/my-tcp-lb'
  assert.deepEqual(
    frontends.map(({ name, proxy, service }) => [name, proxy, service]),
    [
      ['europe-west1/regional', 'europe-west1/my-tcp-lb-target-proxy', regional],
      ['my-tcp-lb-ipv4-forwarding-rule', 'my-tcp-lb-target-proxy', 'my-tcp-lb'],
    ],
  )
  assert.deepEqual(
    services.map(({ name, healthCheck }) => [name, healthCheck]),
    [
      [regional, 'europe-west1/my-tcp-health-check'],
      ['my-tcp-lb', 'my-tcp-health-check'],
    ],
  )
  assert.deepEqual(
    healthChecks.map(({ name }) => name),
    ['europe-west1/my-tcp-health-check', 'my-tcp-health-check'],
  )
})

test('a header of version 2 has the options that are listed', () => {
  const headerOf = (fields: Fields) => snapshotOf(guideWith({ [PROXY]: fields })).frontends[0].proxyHeader
  assert.deepEqual(headerOf({ proxyHeader: undefined }), { kind: 'NONE' })
  const v2 = { proxyHeader: 'PROXY_V2' }
  assert.deepEqual(headerOf(v2), { kind: 'PROXY_V2', crc32c: false, uniqueId: false })
  const both = headerOf({ ...v2, proxyHeaderOptions: ['UNIQUE_ID', 'CRC32C'] })
  assert.deepEqual(both, { kind: 'PROXY_V2', crc32c: true, uniqueId: true })
})

test('a service without backends and health check is compiled: it refuses every connection', () => {
  const fields = { backends: undefined, healthChecks: undefined, portName: undefined, timeoutSec: undefined }
  const logged = { connectionDraining: { drainingTimeoutSec: 60 }, logConfig: { enable: true, sampleRate: 0.5 } }
  assert.deepEqual(snapshotOf(guideWith({ [SERVICE]: { ...fields, ...logged } })).services, [
    {
      name: 'my-tcp-lb',
      idleTimeoutMs: 30_000,
      flows: undefined,
      drainingTimeoutMs: 60_000,
      healthCheck: undefined,
      logSampleRate: 0.5,
      groups: [],
      spreading: DEFAULT_SPREADING,
      locality: { kind: 'ROUND_ROBIN' },
      affinity: 'NONE',
      maxConnections: undefined,
      outlierDetection: undefined,
      closeOnFailureMs: undefined,
      tls: undefined,
    },
  ])
})

test('a log that is not enabled has no sample rate', () => {
  const resources = guideWith({ [SERVICE]: { logConfig: { enable: false, sampleRate: 0.5 } } })
  assert.equal(snapshotOf(resources).services[0].logSampleRate, 0)
})

test('each instance of a group is a backend on the named port, by name', () => {
  const group = groupOf(
    { [GROUP]: { instances: ['second', 'zones/us-central1-b/instances/my-backend'] } },
    SECOND_INSTANCE,
  )
  assert.deepEqual(group.backends, [
    { name: 'my-backend', address: '10.128.0.2', port: 110 },
    { name: 'second', address: '10.128.0.3', port: 110 },
  ])
})

test('a name with several ports makes each instance a backend on each port', () => {
  const namedPorts = [110, 111, 110].map((port) => ({ name: 'tcp110', port }))
  const group = groupOf({ [GROUP]: { namedPorts: [...namedPorts, { name: 'another', port: 1 }] } })
  assert.deepEqual(group.backends, [
    { name: 'my-backend:110', address: '10.128.0.2', port: 110 },
    { name: 'my-backend:111', address: '10.128.0.2', port: 111 },
  ])
})

test('an instance with a status serves only while it is RUNNING', () => {
  for (const [status, count] of [
    ['RUNNING', 1],
    ['TERMINATED', 0],
    ['STAGING', 0],
  ] as const) {
    const resources = readChecked(guideWith()).map((checked) =>
      checked.collection === 'instances' ? { ...checked, resource: { ...checked.resource, status } } : checked,
    )
    // As if the schema kept the field, whose type says that it is never there.
    const result = compile(resources as Parameters<typeof compile>[0])
    assert.ok('snapshot' in result)
    assert.equal(result.snapshot.services[0].groups[0].backends.length, count)
  }
})

test('a regional group has instances of several zones, also of one name', () => {
  const elsewhere = { zone: 'us-central1-c', networkInterfaces: [{ networkIP: '10.128.0.4' }] }
  const group = groupOf(
    {
      [GROUP]: {
        zone: undefined,
        region: 'us-central1',
        instances: ['zones/us-central1-c/instances/my-backend', 'zones/us-central1-b/instances/my-backend'],
      },
    },
    resourceOf(INSTANCE, elsewhere),
  )
  assert.deepEqual([group.name, group.region, group.zone], ['us-central1/my-instance-group', 'us-central1', ''])
  assert.deepEqual(group.backends, [
    { name: 'us-central1-b/my-backend', address: '10.128.0.2', port: 110 },
    { name: 'us-central1-c/my-backend', address: '10.128.0.4', port: 110 },
  ])
})

test('a network endpoint group has its endpoints as backends, without any named port', () => {
  const group = groupOf({ [SERVICE]: { portName: undefined, backends: [NEG_BACKEND] } }, negOf())
  assert.deepEqual(group, {
    name: 'us-central1-b/my-neg',
    region: 'us-central1',
    zone: 'us-central1-b',
    isPreferred: false,
    balancing: { mode: 'CONNECTION', maxUtilization: undefined, maxConnections: 200, capacityScaler: 1 },
    backends: [
      { name: '10.128.0.8:8080', address: '10.128.0.8', port: 8080 },
      { name: '[2001:db8::8]:80', address: '2001:db8::8', port: 80 },
    ],
  })
})

test('a bound on the connections of each instance is multiplied by the number of instances', () => {
  for (const [bound, expected] of [
    [{ balancingMode: 'CONNECTION', maxConnectionsPerInstance: 100 }, 200],
    [{ balancingMode: 'CONNECTION', maxConnections: 100 }, 100],
    [{ balancingMode: 'UTILIZATION', maxConnectionsPerInstance: 7 }, 14],
  ] as const) {
    const group = groupOf(
      {
        [GROUP]: {
          instances: ['my-backend', 'second'],
          namedPorts: [110, 111].map((port) => ({ name: 'tcp110', port })),
        },
        [SERVICE]: { backends: [{ group: 'my-instance-group', capacityScaler: 0.5, ...bound }] },
      },
      SECOND_INSTANCE,
    )
    assert.deepEqual([group.balancing.maxConnections, group.balancing.capacityScaler], [expected, 0.5])
  }
})

test('groups stand in the order of their names', () => {
  const copy = resourceOf(GROUP, { ...GUIDE[GROUP], instances: [], zone: 'asia-east1-a' })
  const backends = ['us-central1-b', 'asia-east1-a'].map((zone) => ({ group: `zones/${zone}/${GROUP}` }))
  const { groups } = snapshotOf(guideWith({ [SERVICE]: { backends } }, copy)).services[0]
  assert.deepEqual(
    groups.map(({ name, region }) => [name, region]),
    [
      ['asia-east1-a/my-instance-group', 'asia-east1'],
      ['us-central1-b/my-instance-group', 'us-central1'],
    ],
  )
})

for (const [type, field, fields, expected] of [
  ['TCP', 'tcpHealthCheck', {}, { port: 80, probe: { kind: 'TCP', request: '', response: '' } }],
  [
    'SSL',
    'sslHealthCheck',
    { portSpecification: 'USE_SERVING_PORT', request: 'ping', response: 'pong', proxyHeader: 'PROXY_V1' },
    { port: undefined, sendsProxyHeader: true, probe: { kind: 'SSL', request: 'ping', response: 'pong' } },
  ],
  [
    'HTTP',
    'httpHealthCheck',
    { host: 'example.com', requestPath: '/healthz', response: 'ok', proxyHeader: 'PROXY_V1' },
    {
      port: 80,
      sendsProxyHeader: true,
      probe: { kind: 'HTTP', host: 'example.com', requestPath: '/healthz', response: 'ok' },
    },
  ],
  ['HTTPS', 'httpsHealthCheck', {}, { port: 443, probe: { kind: 'HTTPS', host: '', requestPath: '/', response: '' } }],
  [
    'HTTP2',
    'http2HealthCheck',
    { port: 8443 },
    { port: 8443, probe: { kind: 'HTTP2', host: '', requestPath: '/', response: '' } },
  ],
  [
    'GRPC',
    'grpcHealthCheck',
    { port: 50051, grpcServiceName: 'users' },
    { port: 50051, probe: { kind: 'GRPC', serviceName: 'users' } },
  ],
  [
    'GRPC_WITH_TLS',
    'grpcTlsHealthCheck',
    { portSpecification: 'USE_SERVING_PORT' },
    { port: undefined, probe: { kind: 'GRPC_WITH_TLS', serviceName: '' } },
  ],
] as const) {
  test(`a health check of type ${type} is compiled with all its fields`, () => {
    const times = { checkIntervalSec: 9, timeoutSec: 7, healthyThreshold: 3, unhealthyThreshold: 4 }
    const check = { type, tcpHealthCheck: undefined, [field]: fields, ...times, logConfig: { enable: true } }
    const { healthChecks } = snapshotOf(guideWith({ 'healthChecks/my-tcp-health-check': check }))
    assert.deepEqual(healthChecks, [
      {
        name: 'my-tcp-health-check',
        checkIntervalMs: 9000,
        timeoutMs: 7000,
        healthyThreshold: 3,
        unhealthyThreshold: 4,
        logsTransitions: true,
        sendsProxyHeader: false,
        ...expected,
      },
    ])
  })
}

test('a target SSL proxy gives its frontend certificates in their order, policy and protocols', () => {
  const certificate = { certificate: CERTIFICATE, privateKey: PRIVATE_KEY }
  const frontendOf = (proxy: Fields, policy?: Fields) =>
    snapshotOf(
      guideWith({
        [RULE]: { target: 'my-ssl-proxy' },
        [PROXY]: undefined,
        'targetSslProxies/my-ssl-proxy': { service: 'my-tcp-lb', sslCertificates: ['second', 'first'], ...proxy },
        'sslCertificates/first': certificate,
        'sslCertificates/second': certificate,
        'sslPolicies/my-ssl-policy': policy,
      }),
    ).frontends[0]
  const pem = { chain: CERTIFICATE, privateKey: PRIVATE_KEY }
  assert.deepEqual(frontendOf({}).tls, {
    certificates: [
      { name: 'second', ...pem },
      { name: 'first', ...pem },
    ],
    policy: { name: '', profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [] },
    protocols: [],
  })
  const customFeatures = ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_AES_128_GCM_SHA256']
  const policy = { profile: 'CUSTOM', minTlsVersion: 'TLS_1_1', customFeatures }
  const { tls } = frontendOf({ sslPolicy: 'my-ssl-policy', alpnProtocols: ['imap'] }, policy)
  assert.deepEqual(
    [tls?.policy, tls?.protocols],
    [{ name: 'my-ssl-policy', ...policy, customFeatures: ['TLS_RSA_WITH_AES_128_CBC_SHA'] }, ['imap']],
  )
})

test('a backend service with the protocol SSL says how its backends are spoken to', () => {
  const tlsOf = (fields: Fields) => snapshotOf(guideWith({ [SERVICE]: fields })).services[0].tls
  assert.equal(tlsOf({ protocol: 'TCP' }), undefined)
  assert.deepEqual(tlsOf({ protocol: 'SSL' }), {
    serverName: '',
    names: undefined,
    roots: '',
    headerPlace: 'before-tls',
  })
  const tlsSettings = {
    sni: 'app.example',
    subjectAltNames: [{ dnsName: 'a.example' }, { uniformResourceIdentifier: 'spiffe://example/a' }],
    certificateAuthorities: CERTIFICATE,
    proxyHeaderPlace: 'INSIDE_TLS',
  }
  assert.deepEqual(tlsOf({ protocol: 'SSL', tlsSettings }), {
    serverName: 'app.example',
    names: { dnsNames: ['a.example'], uris: ['spiffe://example/a'] },
    roots: CERTIFICATE,
    headerPlace: 'inside-tls',
  })
})
