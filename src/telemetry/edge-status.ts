// What an edge says about itself: the answer of `/status`, and the source of its metrics.

import type { RegionStatus, WhyAnswer, WhyQuestion } from './edge-why.ts'

/** An edge at one moment. */
export type EdgeStatus = {
  readonly configuration: ConfigurationStatus
  readonly place: PlaceStatus
  readonly frontends: readonly FrontendStatus[]
  readonly services: readonly ServiceStatus[]
  /** Backends that have left and still have connections, or will have them ended. */
  readonly leaving: readonly LeavingBackend[]
}

/** Where an edge is, and what it knows of the world around. */
export type PlaceStatus = {
  readonly region: string | undefined
  readonly zone: string | undefined
  /** `distance` or `measured`: what makes a region near. */
  readonly proximity: string
  /** Edges that share the targets of services, this one included. */
  readonly edges: number
  /** Those of all groups, nearest first. */
  readonly regions: readonly RegionStatus[]
}

/** Which configuration is in use. */
export type ConfigurationStatus = {
  /** 1 for the one of the start, and one more with each that was applied. */
  readonly version: number
  /** RFC 3339. */
  readonly appliedAt: string
  /** Later configurations that were applied, and that were refused. */
  readonly reloads: { readonly ok: number; readonly failed: number }
  /** Why the last one was refused; empty when it was not. */
  readonly problems: readonly string[]
  /** Why frontends of this configuration are not served, a sentence each; they are tried again. */
  readonly unopened: readonly string[]
}

/** What is counted for a frontend and for a backend, since the edge has it. */
export type Traffic = {
  /** Connections now. */
  readonly open: number
  readonly connections: number
  readonly bytesFromClient: number
  readonly bytesFromBackend: number
  /** Attempts that failed, those that timed out included. */
  readonly connectFailures: number
  readonly connectTimeouts: number
  /** Attempts that came after another backend had failed. */
  readonly retries: number
}

export type FrontendStatus = Traffic & {
  /** The forwarding rule's name. */
  readonly name: string
  readonly protocol: string
  readonly address: string
  readonly port: number
  /** The target proxy's name; empty: there is none, because it is for UDP, whose connections are flows. */
  readonly proxy: string
  readonly service: string
  readonly proxyHeader: string
  /** Clients speak TLS; undefined: they do not, as far as this edge knows. */
  readonly tls: TlsStatus | undefined
  /** Connections for which no backend was healthy. */
  readonly noBackend: number
  /** Connections that were refused before a backend was looked for: `isRefused` in the table of end reasons. */
  readonly refused: number
}

/** What clients of a frontend can agree on. */
export type TlsStatus = {
  /** The SSL policy's name; empty: there is none. */
  readonly policy: string
  readonly profile: string
  /** The oldest version that is really offered, such as `TLSv1.2`. */
  readonly minVersion: string
  /** What is really offered, by the registered names; those of TLS 1.3 come first. */
  readonly cipherSuites: readonly string[]
  /** What the policy has and this OpenSSL has not. */
  readonly unavailable: readonly string[]
  readonly certificates: readonly CertificateStatus[]
}

export type CertificateStatus = {
  readonly name: string
  /** Host names of the leaf. */
  readonly names: readonly string[]
  /** `rsa`, `ecdsa-p256` or `ecdsa-p384`. */
  readonly keyKind: string
  /** SHA-256 of the leaf, in hexadecimal. */
  readonly fingerprint: string
  /** RFC 3339: when the first of the chain expires. It is served afterwards, too. */
  readonly expiresAt: string
  /** Negative once it has expired. */
  readonly expiresInSec: number
  /** What deserves a look, a sentence each. */
  readonly warnings: readonly string[]
}

export type ServiceStatus = {
  readonly name: string
  /** undefined: every backend counts as healthy. */
  readonly healthCheck: string | undefined
  readonly groups: readonly GroupStatus[]
}

export type GroupStatus = {
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly balancing: {
    readonly mode: string
    readonly maxUtilization: number | undefined
    readonly maxConnections: number | undefined
    readonly capacityScaler: number
  }
  /** Backends that get connections, of those that count: all but the ones that an operator has taken out. */
  readonly healthy: number
  readonly members: number
  /** What becomes of new connections. */
  readonly state: (typeof GROUP_STATES)[number]
  /** Connections of this edge at which it is full; undefined: no number. */
  readonly limit: number | undefined
  /** Of its healthy backends on average, as agents say; undefined: none is asked, or answers. */
  readonly utilization: number | undefined
  /** Connections of other edges, as agents say; undefined: not known. */
  readonly openElsewhere: number | undefined
  /** Connections that came to it, by why its region was chosen. */
  readonly chosen: Readonly<Record<string, number>>
  readonly open: number
  readonly backends: readonly BackendStatus[]
}

export const GROUP_STATES = [
  'serving',
  'overflowing',
  'full-connections',
  'full-utilization',
  'unhealthy',
  'drained',
  'off',
  'isolated',
] as const

export const HEALTHS = ['HEALTHY', 'UNHEALTHY', 'UNKNOWN'] as const
export const AVAILABILITIES = ['up', 'draining', 'down'] as const

export type BackendStatus = Traffic & {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly health: (typeof HEALTHS)[number]
  /** Whether it gets new connections. */
  readonly availability: (typeof AVAILABILITIES)[number]
  /** Outlier detection has taken it out for a while; with `up` it serves still, because no other backend does. */
  readonly isEjected: boolean
  /** Its agent says that the app does not listen. */
  readonly isAppDown: boolean
  /** An operator has taken it out by `POST /backends/NAME/drain`. */
  readonly isDrained: boolean
  /** Of its health check; undefined: it has none, or was not probed yet. */
  readonly probes:
    | {
        readonly total: number
        readonly failures: number
        readonly transitions: number
        readonly lastLatencyMs: number | undefined
        readonly lastError: string | undefined
      }
    | undefined
  /** Part of the processors of its host in use, as its agent says; undefined: it is not asked, or does not answer. */
  readonly utilization: number | undefined
}

/** A backend that is no longer in its service. */
export type LeavingBackend = {
  /** `service/group/backend`. */
  readonly key: string
  readonly address: string
  readonly port: number
  readonly open: number
  /** RFC 3339: when its connections will be ended; undefined: they go on. */
  readonly endsAt: string | undefined
}

/** What `POST /backends/NAME/drain` and `enable` say. */
export type SteerResult =
  | { readonly kind: 'done'; readonly backend: string; readonly availability: string; readonly open: number }
  /** Those that there are. */
  | { readonly kind: 'unknown'; readonly backends: readonly string[] }
  /** More than one backend has this name, or this address. */
  | { readonly kind: 'ambiguous'; readonly backends: readonly string[] }

/** An edge as its admin server sees it. */
export type EdgeControl = {
  status(): EdgeStatus
  /**
   * Takes a backend out, or in again; connections that are open go on.
   *
   * @param name `service/zone/group/name`, its own name, or its address and port
   */
  steer(name: string, action: 'drain' | 'enable'): SteerResult
  /** Why a client gets the backend that it gets. */
  why(question: WhyQuestion): WhyAnswer
}
