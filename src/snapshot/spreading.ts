import { durationMs } from '../compute/outlier-detection.ts'
import type { ResourceOf } from '../compute/resources.ts'
import type { Compilation } from './compilation.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import type { BackendService, OutlierDetection, Spreading } from './snapshot.ts'

type Service = ResourceIn<'backendServices'>

/** What holds without a service LB policy, and of one what it leaves out: Google's defaults. */
export const DEFAULT_SPREADING: Spreading = {
  policy: '',
  algorithm: 'WATERFALL_BY_REGION',
  failoverHealthThreshold: 0.7,
  drainsUnhealthy: false,
  isolation: 'NONE',
}

/** Google's, of what `consistentHash` leaves out. */
const RING_SIZE = 1024

/** What the service LB policy of a service says. */
export function compileSpreading(compilation: Compilation, service: Service): Spreading {
  const { serviceLbPolicy: text } = service.resource
  if (text === undefined) return DEFAULT_SPREADING
  const path = 'serviceLbPolicy'
  if (service.scope.kind !== 'global') {
    const rule = 'A service LB policy can only be set if the scope of the backend service is global'
    compilation.report(service, path, 'conflict', rule, 'remove it')
    return DEFAULT_SPREADING
  }
  const policy = resolve(compilation, service, { path, text, collections: ['serviceLbPolicies'] })
  return policy === undefined ? DEFAULT_SPREADING : { ...spreadingOf(policy.resource), policy: scopedName(policy) }
}

function spreadingOf(policy: ResourceOf<'serviceLbPolicies'>): Spreading {
  const { loadBalancingAlgorithm: algorithm, autoCapacityDrain, failoverConfig, isolationConfig } = policy
  const { isolationMode: mode = 'ISOLATION_MODE_UNSPECIFIED' } = isolationConfig ?? {}
  const threshold = failoverConfig?.failoverHealthThreshold
  return {
    ...DEFAULT_SPREADING,
    ...(algorithm === undefined || algorithm === 'LOAD_BALANCING_ALGORITHM_UNSPECIFIED' ? {} : { algorithm }),
    ...(threshold === undefined ? {} : { failoverHealthThreshold: threshold / 100 }),
    drainsUnhealthy: autoCapacityDrain?.enable ?? false,
    isolation: mode === 'ISOLATION_MODE_UNSPECIFIED' ? 'NONE' : mode,
  }
}

/** How a service chooses a backend, and which it leaves out. */
export function compileChoice({
  protocol,
  localityLbPolicy,
  consistentHash,
  sessionAffinity,
  loadBalancingScheme,
  circuitBreakers,
  outlierDetection,
  closeOnFailureSec,
}: ResourceOf<'backendServices'>): Pick<
  BackendService,
  'locality' | 'affinity' | 'maxConnections' | 'outlierDetection' | 'closeOnFailureMs'
> {
  // As with Google, affinity without a policy is that of Maglev; so it is always with EXTERNAL, which has no policies.
  const isChosen = localityLbPolicy !== undefined && loadBalancingScheme !== 'EXTERNAL'
  const isHashed = sessionAffinity !== 'NONE' || protocol === 'UDP'
  const kind = isChosen ? localityLbPolicy : isHashed ? 'MAGLEV' : 'ROUND_ROBIN'
  // A flow has no end that another edge, or the next process, would hear of: all choose the same backend for it.
  const isSameForAll = protocol === 'UDP' && (kind === 'MAGLEV' || kind === 'RING_HASH')
  const affinity = isSameForAll && sessionAffinity === 'NONE' ? 'CLIENT_IP_PORT_PROTO' : sessionAffinity
  const minimumRingSize = Number(consistentHash?.minimumRingSize ?? RING_SIZE)
  return {
    locality: kind === 'RING_HASH' ? { kind, minimumRingSize } : { kind },
    affinity,
    maxConnections: circuitBreakers?.maxConnections,
    outlierDetection: outlierDetection && compileOutlierDetection(outlierDetection),
    closeOnFailureMs: closeOnFailureSec === undefined ? undefined : closeOnFailureSec * 1_000,
  }
}

/** Google's defaults for what is left out. */
function compileOutlierDetection({
  interval = { seconds: '1' },
  baseEjectionTime = { seconds: '30' },
  maxEjectionPercent = 50,
  consecutiveErrors = 5,
  enforcingConsecutiveErrors = 0,
  consecutiveGatewayFailure = 3,
  enforcingConsecutiveGatewayFailure = 100,
  successRateMinimumHosts = 5,
  successRateRequestVolume = 100,
  successRateStdevFactor = 1_900,
  enforcingSuccessRate = 100,
}: NonNullable<ResourceOf<'backendServices'>['outlierDetection']>): OutlierDetection {
  return {
    intervalMs: durationMs(interval),
    baseEjectionMs: durationMs(baseEjectionTime),
    maxEjectedPart: maxEjectionPercent / 100,
    consecutiveErrors,
    enforcedConsecutiveErrors: enforcingConsecutiveErrors / 100,
    consecutiveGatewayFailures: consecutiveGatewayFailure,
    enforcedConsecutiveGatewayFailures: enforcingConsecutiveGatewayFailure / 100,
    successRate: {
      minimumBackends: successRateMinimumHosts,
      minimumConnections: successRateRequestVolume,
      deviations: successRateStdevFactor / 1_000,
      enforced: enforcingSuccessRate / 100,
    },
  }
}
