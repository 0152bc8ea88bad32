// What an operator says about choosing, in Google's words. Plain, so that it can be part of a snapshot.

/** In which order groups are filled (`loadBalancingAlgorithm` of a service LB policy). */
export const ALGORITHMS = ['WATERFALL_BY_REGION', 'WATERFALL_BY_ZONE', 'SPRAY_TO_REGION', 'SPRAY_TO_WORLD'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

/** Where connections may go that the nearest region does not take (`isolationConfig`, granularity REGION). */
export const ISOLATION_MODES = ['NEAREST', 'STRICT'] as const
export type IsolationMode = (typeof ISOLATION_MODES)[number]

/** Groups that are PREFERRED are filled before all others (`backends[].preference`). */
export const PREFERENCES = ['DEFAULT', 'PREFERRED'] as const
export type Preference = (typeof PREFERENCES)[number]

/** Which backend of a group gets a connection (`localityLbPolicy`). */
export const LOCALITY_POLICIES = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV'] as const
export type LocalityPolicyName = (typeof LOCALITY_POLICIES)[number]

/** What of a connection decides that it goes where the one before it went (`sessionAffinity`). */
export const SESSION_AFFINITIES = ['NONE', 'CLIENT_IP', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO'] as const
export type SessionAffinity = (typeof SESSION_AFFINITIES)[number]

/** How a service spreads connections over its groups: a service LB policy. */
export type SpreadPolicy = {
  readonly algorithm: Algorithm
  /** Below this part of healthy members, 1 to 99 %, connections begin to leave for the next groups. */
  readonly failoverHealthThreshold: number
  /** Groups with few healthy members get nothing (`autoCapacityDrain.enable`). */
  readonly drainsCapacity: boolean
  /** undefined: connections may go anywhere. */
  readonly isolation: IsolationMode | undefined
}

/** That of a service without a service LB policy. */
export const DEFAULT_SPREAD_POLICY: SpreadPolicy = {
  algorithm: 'WATERFALL_BY_REGION',
  failoverHealthThreshold: 70,
  drainsCapacity: false,
  isolation: undefined,
}

/** How the backends of each group share what the group gets. */
export type LocalityPolicy = {
  readonly name: LocalityPolicyName
  readonly affinity: SessionAffinity
  /** Points on the ring of RING_HASH, at least (`consistentHash.minimumRingSize`). */
  readonly minimumRingSize: number
}

/** Google's default of `consistentHash.minimumRingSize`. */
export const MINIMUM_RING_SIZE = 1024

/** Outlier detection, each time in milliseconds and each part in percent (`outlierDetection`). */
export type OutlierPolicy = {
  readonly intervalMs: number
  readonly baseEjectionTimeMs: number
  readonly maxEjectionPercent: number
  /** Failures to connect, in a row. */
  readonly consecutiveGatewayFailure: number
  readonly enforcingConsecutiveGatewayFailure: number
  /** The same, or connections that the backend broke at once. */
  readonly consecutiveErrors: number
  readonly enforcingConsecutiveErrors: number
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** In thousandths of a standard deviation. */
  readonly successRateStdevFactor: number
  readonly enforcingSuccessRate: number
}
/** Google's defaults of a policy that is given without fields. */
export const DEFAULT_OUTLIER_POLICY: OutlierPolicy = {
  intervalMs: 1_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionPercent: 50,
  consecutiveGatewayFailure: 3,
  enforcingConsecutiveGatewayFailure: 100,
  consecutiveErrors: 5,
  enforcingConsecutiveErrors: 0,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1_900,
  enforcingSuccessRate: 100,
}
