import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../compute/problem.ts'
import { readResources } from '../compute/read-resources.ts'
import { compile } from './compile.ts'
import { isSnapshot } from './is-snapshot.ts'
import type { BackendService } from './snapshot.ts'
import { DEFAULT_SPREADING } from './spreading.ts'
import { type Fields, guideWith, readChecked, resourceOf } from './test-resources.ts'

const SERVICE = 'backendServices/my-tcp-lb'
const POLICY = 'serviceLbPolicies/my-policy'
const MANAGED = { loadBalancingScheme: 'EXTERNAL_MANAGED' }

function serviceOf(fields: Fields, ...more: readonly Fields[]): BackendService {
  const result = compile(readChecked(guideWith({ [SERVICE]: fields }, ...more)))
  if ('problems' in result) assert.fail(result.problems.map(formatProblem).join('\n'))
  assert.ok(isSnapshot(JSON.parse(JSON.stringify(result.snapshot))), 'what an edge takes from a controller')
  return result.snapshot.services[0]
}

function problemsOf(resources: readonly Fields[]): readonly string[] {
  const result = compile(readChecked(resources))
  return 'problems' in result ? result.problems.map(formatProblem) : []
}

test('a service LB policy says how connections are spread, and Google’s defaults what it leaves out', () => {
  const spreading = (fields: Fields) => {
    return serviceOf({ serviceLbPolicy: 'my-policy' }, resourceOf(POLICY, fields)).spreading
  }
  assert.deepEqual(serviceOf({}).spreading, DEFAULT_SPREADING)
  assert.deepEqual(spreading({}), { ...DEFAULT_SPREADING, policy: 'my-policy' })
  assert.deepEqual(
    spreading({
      loadBalancingAlgorithm: 'WATERFALL_BY_ZONE',
      failoverConfig: { failoverHealthThreshold: 60 },
      autoCapacityDrain: { enable: true },
      isolationConfig: { isolationGranularity: 'REGION', isolationMode: 'STRICT' },
    }),
    {
      policy: 'my-policy',
      algorithm: 'WATERFALL_BY_ZONE',
      failoverHealthThreshold: 0.6,
      drainsUnhealthy: true,
      isolation: 'STRICT',
    },
  )
  assert.deepEqual(
    spreading({
      loadBalancingAlgorithm: 'LOAD_BALANCING_ALGORITHM_UNSPECIFIED',
      isolationConfig: {
        isolationGranularity: 'ISOLATION_GRANULARITY_UNSPECIFIED',
        isolationMode: 'ISOLATION_MODE_UNSPECIFIED',
      },
    }),
    { ...DEFAULT_SPREADING, policy: 'my-policy' },
  )
})

test('a policy is found by every form of its name, and a missing one is a problem', () => {
  const path = 'projects/p/locations/global/serviceLbPolicies/my-policy'
  for (const start of [
    'https://networkservices.googleapis.com/v1/',
    'http://127.0.0.1:8080/ns/v1/',
    '//n.example/',
    '',
  ]) {
    const service = serviceOf({ serviceLbPolicy: `${start}${path}` }, resourceOf(POLICY, {}))
    assert.equal(service.spreading.policy, 'my-policy', start)
  }
  assert.deepEqual(problemsOf(guideWith({ [SERVICE]: { serviceLbPolicy: path } })), [
    'lb.yaml: backendServices/my-tcp-lb: serviceLbPolicy: "global/serviceLbPolicies/my-policy" is not among the resources; add it',
  ])
})

test('a file may have a policy as gcloud prints it', () => {
  const printed = `
autoCapacityDrain:
  enable: true
createTime: '2026-11-29T12:00:00.123456789Z'
name: projects/p/locations/global/serviceLbPolicies/my-policy
updateTime: '2026-11-29T12:00:01.123456789Z'
`
  const { resources, problems } = readResources(printed, 'policy.yaml')
  assert.deepEqual(problems, [])
  assert.deepEqual(
    resources.map(({ collection, scope, name }) => ({ collection, scope, name })),
    [{ collection: 'serviceLbPolicies', scope: { kind: 'global' }, name: 'my-policy' }],
  )
})

test('only a global service has a policy', () => {
  const resources = guideWith(
    { [SERVICE]: { region: 'us-central1', serviceLbPolicy: 'my-policy' } },
    resourceOf(POLICY, {}),
  )
  assert.deepEqual(problemsOf(resources), [
    'lb.yaml: backendServices/my-tcp-lb: serviceLbPolicy: A service LB policy can only be set if the scope of the backend service is global; remove it',
  ])
})

test('the choice inside a group is that of the service, or Google’s for its affinity', () => {
  const choice = ({ locality, affinity }: BackendService) => [locality, affinity]
  assert.deepEqual(choice(serviceOf({})), [{ kind: 'ROUND_ROBIN' }, 'NONE'])
  assert.deepEqual(choice(serviceOf({ sessionAffinity: 'CLIENT_IP' })), [{ kind: 'MAGLEV' }, 'CLIENT_IP'])
  // EXTERNAL has no policies: the affinity holds.
  const classic = { localityLbPolicy: 'ROUND_ROBIN', sessionAffinity: 'CLIENT_IP' }
  assert.deepEqual(choice(serviceOf(classic)), [{ kind: 'MAGLEV' }, 'CLIENT_IP'])
  assert.deepEqual(choice(serviceOf({ ...MANAGED, ...classic })), [{ kind: 'ROUND_ROBIN' }, 'CLIENT_IP'])
  assert.deepEqual(choice(serviceOf({ ...MANAGED, localityLbPolicy: 'LEAST_REQUEST', sessionAffinity: 'CLIENT_IP' })), [
    { kind: 'LEAST_REQUEST' },
    'CLIENT_IP',
  ])
  assert.deepEqual(choice(serviceOf({ ...MANAGED, localityLbPolicy: 'RING_HASH' })), [
    { kind: 'RING_HASH', minimumRingSize: 1024 },
    'NONE',
  ])
  const ring = { localityLbPolicy: 'RING_HASH', consistentHash: { minimumRingSize: '5000' } }
  assert.deepEqual(serviceOf({ ...MANAGED, ...ring }).locality, { kind: 'RING_HASH', minimumRingSize: 5000 })
})

test('limits, outliers and the end of connections are off unless given, with Google’s defaults inside', () => {
  const { maxConnections, outlierDetection, closeOnFailureMs } = serviceOf({})
  assert.deepEqual([maxConnections, outlierDetection, closeOnFailureMs], [undefined, undefined, undefined])
  const given = serviceOf({
    ...MANAGED,
    circuitBreakers: { maxConnections: 100 },
    outlierDetection: {},
    closeOnFailureSec: 10,
    backends: [{ group: 'my-instance-group', preference: 'PREFERRED' }],
  })
  assert.equal(given.maxConnections, 100)
  assert.equal(given.closeOnFailureMs, 10_000)
  assert.equal(given.groups[0].isPreferred, true)
  assert.deepEqual(given.outlierDetection, {
    intervalMs: 1_000,
    baseEjectionMs: 30_000,
    maxEjectedPart: 0.5,
    consecutiveErrors: 5,
    enforcedConsecutiveErrors: 0,
    consecutiveGatewayFailures: 3,
    enforcedConsecutiveGatewayFailures: 1,
    successRate: { minimumBackends: 5, minimumConnections: 100, deviations: 1.9, enforced: 1 },
  })
  const outliers = serviceOf({
    ...MANAGED,
    outlierDetection: {
      interval: { seconds: '2', nanos: 500_000_000 },
      baseEjectionTime: { seconds: '0' },
      maxEjectionPercent: 10,
      consecutiveErrors: 7,
      enforcingConsecutiveErrors: 50,
      successRateStdevFactor: 2_500,
    },
  }).outlierDetection
  assert.deepEqual(
    [outliers?.intervalMs, outliers?.baseEjectionMs, outliers?.maxEjectedPart, outliers?.successRate.deviations],
    [2_500, 0, 0.1, 2.5],
  )
  assert.deepEqual([outliers?.consecutiveErrors, outliers?.enforcedConsecutiveErrors], [7, 0.5])
})

test('the smallest and the largest that resources may say is what an edge takes', () => {
  const most = 2 ** 31 - 1
  for (const [count, percent, seconds, threshold] of [
    [1, 0, '0', 1],
    [most, 100, '315576000000', 99],
  ] as const) {
    const outlierDetection = {
      interval: { nanos: 1_000_000 },
      baseEjectionTime: { seconds },
      maxEjectionPercent: percent,
      consecutiveErrors: count,
      enforcingConsecutiveErrors: percent,
      consecutiveGatewayFailure: count,
      enforcingConsecutiveGatewayFailure: percent,
      successRateMinimumHosts: count,
      successRateRequestVolume: count,
      successRateStdevFactor: count === 1 ? 0 : most,
      enforcingSuccessRate: percent,
    }
    const group = 'my-instance-group'
    const backends = [{ group, balancingMode: 'CONNECTION', maxConnectionsPerInstance: count, capacityScaler: 0.1 }]
    const circuitBreakers = { maxConnections: count }
    const fields = { ...MANAGED, backends, circuitBreakers, outlierDetection, serviceLbPolicy: 'my-policy' }
    const policy = resourceOf(POLICY, { failoverConfig: { failoverHealthThreshold: threshold } })
    assert.equal(serviceOf(fields, policy).maxConnections, count)
  }
})

test('an instance group has one balancing mode in all services, and a group of endpoints is not asked', () => {
  const group = 'zones/us-central1-b/instanceGroups/my-instance-group'
  const other = (fields: Fields) => {
    return resourceOf('backendServices/other', { portName: 'tcp110', backends: [{ group, ...fields }] })
  }
  assert.deepEqual(problemsOf(guideWith({}, other({ balancingMode: 'UTILIZATION' }))), [])
  const rule = `Validation failed for instance group '${group}': backend services 'my-tcp-lb' and 'other' point to the same instance group but the backends have incompatible balancing_mode. Values should be the same`
  assert.deepEqual(problemsOf(guideWith({}, other({ balancingMode: 'CONNECTION', maxConnections: 1 }))), [
    `lb.yaml: backendServices/my-tcp-lb: backends[0].balancingMode: ${rule}; give both the same balancingMode`,
    `lb.yaml: backendServices/other: backends[0].balancingMode: ${rule}; give both the same balancingMode`,
  ])
})

test('a forwarding rule of the managed scheme has a service of it; a classic one may have either', () => {
  const rule = { IPAddress: '203.0.113.11', portRange: '110', target: 'my-tcp-lb-target-proxy' }
  const withSchemes = (ofRule: string, ofService: string) =>
    problemsOf(
      guideWith({
        'forwardingRules/other': { ...rule, loadBalancingScheme: ofRule },
        [SERVICE]: { loadBalancingScheme: ofService },
      }),
    )
  assert.deepEqual(withSchemes('EXTERNAL_MANAGED', 'EXTERNAL_MANAGED'), [])
  assert.deepEqual(withSchemes('EXTERNAL', 'EXTERNAL_MANAGED'), [])
  assert.deepEqual(withSchemes('EXTERNAL_MANAGED', 'EXTERNAL'), [
    'lb.yaml: forwardingRules/other: target: Load balancing scheme EXTERNAL_MANAGED does not match the backend service load balancing scheme EXTERNAL; give backendServices/my-tcp-lb EXTERNAL_MANAGED, or forwardingRules/other EXTERNAL',
  ])
})
