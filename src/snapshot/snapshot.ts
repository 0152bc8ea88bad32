// What a data plane reads: the resources of the Compute API, compiled, consistent, and plain. A snapshot can be given to
// a thread and written to disk as it is. Addresses are texts in their canonical form; times are in milliseconds.

import type { MinTlsVersion, Profile } from '../compute/ssl-features.ts'

/** A consistent configuration of an edge. Names are unique within each list. */
export type Snapshot = {
  readonly frontends: readonly Frontend[]
  readonly services: readonly BackendService[]
  readonly healthChecks: readonly HealthCheck[]
}

/** What an edge without a configuration serves. */
export const EMPTY_SNAPSHOT: Snapshot = { frontends: [], services: [], healthChecks: [] }

/** A forwarding rule with its target proxy, if it has one: one address and port that clients connect to. */
export type Frontend = {
  /** The forwarding rule's name. */
  readonly name: string
  /** TCP and UDP may have the same address and port. */
  readonly protocol: 'TCP' | 'UDP'
  readonly address: string
  readonly port: number
  /** The target proxy's name; empty: it has none, because it is for UDP. */
  readonly proxy: string
  /** The name of a {@link BackendService}, which has {@link BackendService.flows} if this is for UDP, and only then. */
  readonly service: string
  readonly proxyHeader: HeaderSetting
  /** Clients speak TLS, which ends here; undefined: their bytes go on as they are. */
  readonly tls: FrontendTls | undefined
}

/** What a target SSL proxy says of TLS. */
export type FrontendTls = {
  /** One to fifteen; the first is the default. */
  readonly certificates: readonly FrontendCertificate[]
  readonly policy: TlsPolicy
  /** Application protocols by preference (ALPN); empty: none is agreed on. */
  readonly protocols: readonly string[]
}

/** A certificate with its key as they are in the resource: whether they are any good, only OpenSSL knows. */
export type FrontendCertificate = {
  readonly name: string
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM. Never shown. */
  readonly privateKey: string
}

/** An SSL policy. */
export type TlsPolicy = {
  /** Empty: the default policy, which is no resource. */
  readonly name: string
  readonly profile: Profile
  readonly minTlsVersion: MinTlsVersion
  /** The suites of CUSTOM for TLS 1.2 and below, by their registered names. */
  readonly customFeatures: readonly string[]
}

/** What comes before the client's first byte on the way to a backend. */
export type HeaderSetting =
  | { readonly kind: 'NONE' }
  | { readonly kind: 'PROXY_V1' }
  | { readonly kind: 'PROXY_V2'; readonly crc32c: boolean; readonly uniqueId: boolean }

/** A backend service: how connections are spread over groups of backends. */
export type BackendService = {
  readonly name: string
  /** Silence in both directions after which a connection (`timeoutSec`) or a flow (`idleTimeoutSec`) is ended. */
  readonly idleTimeoutMs: number
  /** Clients and backends speak UDP; undefined: TCP. */
  readonly flows: FlowTracking | undefined
  /** How long connections go on when their backend has left (`connectionDraining.drainingTimeoutSec`). */
  readonly drainingTimeoutMs: number
  /** The name of a {@link HealthCheck}; undefined: every backend counts as healthy. */
  readonly healthCheck: string | undefined
  /** The part of connections that is logged, 0 to 1 (`logConfig`); 0: none. */
  readonly logSampleRate: number
  readonly groups: readonly BackendGroup[]
  readonly spreading: Spreading
  readonly locality: LocalityPolicy
  readonly affinity: Affinity
  /** Open connections above which there are no more (`circuitBreakers.maxConnections`); undefined: no limit. */
  readonly maxConnections: number | undefined
  /** Backends are ejected for failed connections; undefined: never. */
  readonly outlierDetection: OutlierDetection | undefined
  /** How long the health check of a backend has failed when its connections are ended; undefined: they go on. */
  readonly closeOnFailureMs: number | undefined
  /** Backends speak TLS (protocol SSL); undefined: they get the client's bytes as they are. */
  readonly tls: BackendTls | undefined
}

/** What holds for flows of UDP; see `connectionTrackingPolicy`. */
export type FlowTracking = {
  /** They stay with a backend that has become unhealthy, where there are others, too. */
  readonly persistsOnUnhealthy: boolean
}

/** How new connections are spread over groups: what a service LB policy says. */
export type Spreading = {
  /** The name of the policy; empty: the defaults, which are no resource. */
  readonly policy: string
  readonly algorithm: 'WATERFALL_BY_REGION' | 'WATERFALL_BY_ZONE' | 'SPRAY_TO_REGION' | 'SPRAY_TO_WORLD'
  /** The part of a group's backends, 0 to 1, below which some of its connections go to others. */
  readonly failoverHealthThreshold: number
  /** A group with too few healthy backends counts as one without capacity (`autoCapacityDrain`). */
  readonly drainsUnhealthy: boolean
  /** Whether connections leave the region: `NEAREST` only where it has no healthy backend, `STRICT` never. */
  readonly isolation: 'NONE' | 'NEAREST' | 'STRICT'
}

/** How a backend is chosen inside its group. */
export type LocalityPolicy =
  | { readonly kind: 'ROUND_ROBIN' | 'LEAST_REQUEST' | 'RANDOM' | 'MAGLEV' }
  | { readonly kind: 'RING_HASH'; readonly minimumRingSize: number }

/**
 * Which connections go to the same backend: those with the same source and destination address (`CLIENT_IP`), and the
 * same protocol (`CLIENT_IP_PROTO`), and the same ports (`CLIENT_IP_PORT_PROTO`).
 */
export type Affinity = 'NONE' | 'CLIENT_IP' | 'CLIENT_IP_PROTO' | 'CLIENT_IP_PORT_PROTO'

/** When a backend gets no new connections because those before have failed. Parts are 0 to 1. */
export type OutlierDetection = {
  readonly intervalMs: number
  /** Of the first ejection; times the number of ejections. */
  readonly baseEjectionMs: number
  readonly maxEjectedPart: number
  /** Failures in a row, resets included, that eject a backend, and the part of such cases in which they do. */
  readonly consecutiveErrors: number
  readonly enforcedConsecutiveErrors: number
  /** The same for failures to connect. */
  readonly consecutiveGatewayFailures: number
  readonly enforcedConsecutiveGatewayFailures: number
  /** Backends whose part of successes is this much below the mean of their service. */
  readonly successRate: {
    readonly minimumBackends: number
    /** Connections to a backend in one interval, below which it is left out. */
    readonly minimumConnections: number
    /** In standard deviations. */
    readonly deviations: number
    readonly enforced: number
  }
}

/** How backends are spoken to in TLS. */
export type BackendTls = {
  /** The name to ask for and, with roots and without `names`, to find in the certificate; empty: none. */
  readonly serverName: string
  /** The certificate has to carry at least one of them (`subjectAltNames`); undefined: that is not asked. */
  readonly names: { readonly dnsNames: readonly string[]; readonly uris: readonly string[] } | undefined
  /** PEM; empty: any certificate is accepted, as Google does. */
  readonly roots: string
  /** Where the PROXY header is: in the clear before the handshake, or as the first bytes inside. */
  readonly headerPlace: 'before-tls' | 'inside-tls'
}

/** An instance group or network endpoint group as a backend of one service. */
export type BackendGroup = {
  /** Unique within its service: `us-central1-b/my-instance-group`. */
  readonly name: string
  readonly region: string
  /** Empty for a regional group. */
  readonly zone: string
  /** It is filled before groups that are not (`preference`). */
  readonly isPreferred: boolean
  readonly balancing: Balancing
  readonly backends: readonly Backend[]
}

/** The target capacity of a group. A group is full above any of the bounds that are given. */
export type Balancing = {
  readonly mode: 'CONNECTION' | 'UTILIZATION'
  /** Part of the processors in use, 0 to 1, times the capacity scaler. */
  readonly maxUtilization: number | undefined
  /** Connections open to the whole group, of all edges together, times the capacity scaler. */
  readonly maxConnections: number | undefined
  /** 0: the group gets nothing. */
  readonly capacityScaler: number
}

/** One endpoint of a group. */
export type Backend = {
  /** Unique within its group: the instance's name, or `ADDRESS:PORT` of a network endpoint. */
  readonly name: string
  readonly address: string
  readonly port: number
}

/** A health check, whose probes go to every backend of the services that name it. */
export type HealthCheck = {
  readonly name: string
  readonly checkIntervalMs: number
  readonly timeoutMs: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
  /** The port that is probed; undefined: each backend's own. */
  readonly port: number | undefined
  /** `PROXY UNKNOWN` and CRLF come before everything else. */
  readonly sendsProxyHeader: boolean
  readonly logsTransitions: boolean
  readonly probe: Probe
}

/** What a probe says and expects. */
export type Probe =
  /** `response` empty: being accepted (for SSL: the handshake) is enough. */
  | { readonly kind: 'TCP' | 'SSL'; readonly request: string; readonly response: string }
  /** `response` empty: status 200 is enough; else it has to occur in the first 1024 bytes of the body. */
  | {
      readonly kind: 'HTTP' | 'HTTPS' | 'HTTP2'
      /** The Host header; empty: the backend's address. */
      readonly host: string
      readonly requestPath: string
      readonly response: string
    }
  | { readonly kind: 'GRPC' | 'GRPC_WITH_TLS'; readonly serviceName: string }
