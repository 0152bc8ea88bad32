import fc from 'fast-check'
import type {
  Backend,
  BackendGroup,
  BackendService,
  Frontend,
  HealthCheck,
  OutlierDetection,
  Snapshot,
} from './snapshot.ts'
import { DEFAULT_SPREADING } from './spreading.ts'

/** A frontend that differs from the guide's in what is given. */
export function testFrontend(fields: Partial<Frontend> = {}): Frontend {
  return {
    name: 'my-tcp-lb-ipv4-forwarding-rule',
    protocol: 'TCP',
    address: '203.0.113.10',
    port: 110,
    proxy: 'my-tcp-lb-target-proxy',
    service: 'my-tcp-lb',
    proxyHeader: { kind: 'PROXY_V1' },
    tls: undefined,
    ...fields,
  }
}

/** A group that differs from the guide's in what is given. */
export function testGroup(fields: Partial<BackendGroup> = {}): BackendGroup {
  return {
    name: 'us-central1-b/my-instance-group',
    region: 'us-central1',
    zone: 'us-central1-b',
    isPreferred: false,
    balancing: { mode: 'UTILIZATION', maxUtilization: 0.8, maxConnections: undefined, capacityScaler: 1 },
    backends: [testBackend()],
    ...fields,
  }
}

/** A backend that differs from the guide's in what is given. */
export function testBackend(fields: Partial<Backend> = {}): Backend {
  return { name: 'my-backend', address: '10.128.0.2', port: 110, ...fields }
}

/** A service that differs from the guide's in what is given. */
export function testService(fields: Partial<BackendService> = {}): BackendService {
  return {
    name: 'my-tcp-lb',
    idleTimeoutMs: 300_000,
    flows: undefined,
    drainingTimeoutMs: 0,
    healthCheck: 'my-tcp-health-check',
    logSampleRate: 0,
    groups: [testGroup()],
    spreading: DEFAULT_SPREADING,
    locality: { kind: 'ROUND_ROBIN' },
    affinity: 'NONE',
    maxConnections: undefined,
    outlierDetection: undefined,
    closeOnFailureMs: undefined,
    tls: undefined,
    ...fields,
  }
}

/** What `outlierDetection: {}` asks for, but for what is given. */
export function testOutlierDetection(fields: Partial<OutlierDetection> = {}): OutlierDetection {
  return {
    intervalMs: 1_000,
    baseEjectionMs: 30_000,
    maxEjectedPart: 0.5,
    consecutiveErrors: 5,
    enforcedConsecutiveErrors: 0,
    consecutiveGatewayFailures: 3,
    enforcedConsecutiveGatewayFailures: 1,
    successRate: { minimumBackends: 5, minimumConnections: 100, deviations: 1.9, enforced: 1 },
    ...fields,
  }
}

/** A snapshot with these frontends and services, and no health checks. */
export function testSnapshot(frontends: readonly Frontend[], services: readonly BackendService[]): Snapshot {
  return { frontends, services, healthChecks: [] }
}

/** Snapshots of few names, addresses and ports, so that two of them have much in common. */
export const snapshots: fc.Arbitrary<Snapshot> = fc
  .tuple(
    fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('rule-a', 'rule-b', 'rule-c'),
        address: fc.constantFrom('203.0.113.10', '203.0.113.11', '2001:db8::10'),
        port: fc.constantFrom(110, 443),
        service: fc.constantFrom('service-a', 'service-b'),
        proxyHeader: fc.constantFrom({ kind: 'NONE' as const }, { kind: 'PROXY_V1' as const }),
      }),
      { maxLength: 4, selector: ({ address, port }) => `${address} ${port}` },
    ),
    fc.uniqueArray(services(), { maxLength: 2, selector: ({ name }) => name }),
  )
  .map(([frontends, present]) =>
    testSnapshot(
      frontends.map((frontend) => testFrontend(frontend)),
      present,
    ),
  )

function services(): fc.Arbitrary<BackendService> {
  const backends = fc.uniqueArray(
    fc.record(
      {
        name: fc.constantFrom('backend-a', 'backend-b', 'backend-c'),
        address: fc.constantFrom('10.128.0.2', '10.128.0.3'),
        port: fc.constantFrom(110, 111),
      },
      // As those of a snapshot: two that differ by this alone would be different to the test only.
      { noNullPrototype: true },
    ),
    { maxLength: 3, selector: ({ name }) => name },
  )
  const groups = fc.uniqueArray(
    fc
      .record({ name: fc.constantFrom('us-central1-b/group', 'europe-west1-c/group'), backends })
      .map((fields) => testGroup(fields)),
    { maxLength: 2, selector: ({ name }) => name },
  )
  return fc
    .record({
      name: fc.constantFrom('service-a', 'service-b'),
      drainingTimeoutMs: fc.constantFrom(0, 60_000, 300_000),
      groups,
    })
    .map((fields) => testService(fields))
}

/** A patient TCP check. */
export function testHealthCheck(fields: Partial<HealthCheck> = {}): HealthCheck {
  return {
    name: 'my-check',
    checkIntervalMs: 5_000,
    timeoutMs: 5_000,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
    port: undefined,
    sendsProxyHeader: false,
    logsTransitions: false,
    probe: { kind: 'TCP', request: '', response: '' },
    ...fields,
  }
}
