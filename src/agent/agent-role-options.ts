// What the main thread of an agent tells its workers; plain data, so that it can be given to a thread.

import type { Endpoint, Protocol } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/connection/connection-state.ts'
import type { Verbosity } from '../dataplane/connection/report.ts'
import type { ConnectFromOptions } from './connect-from.ts'

/** What becomes of connections, and of datagrams, whose header names no client. */
export type LocalMode = 'forward' | 'check'

/**
 * Where edges put the client of a datagram: a version 2 header in front of every datagram, in front of the first of each
 * socket of an edge, or alone before those; or a header of the Simple Proxy Protocol in front of every datagram.
 */
export type UdpHeader = 'every' | 'first' | 'alone' | 'spp'

/** What concerns one port, whatever its protocol. */
export type AdmissionOptions = {
  readonly protocol: Protocol
  /** Where clients are connected to, by their address family; null: they are refused. */
  readonly target4: Endpoint | null
  readonly target6: Endpoint | null
  /** Trusted edges as CIDR texts; null: everyone. */
  readonly allowedSubnets: readonly string[] | null
  readonly denyPrivateSources: boolean
  /** Every client has to keep its port. */
  readonly keepsPort: boolean
  /** One cell for all workers: connections or flows that came here and lead to an app. */
  readonly portOpen: Int32Array
}

/** What headers and records of both protocols have in common. */
type HeaderOptions = {
  /** What becomes of what has no client (LOCAL, UNKNOWN): `check` deals with it without the app. */
  readonly local: LocalMode
  /** Longest version 2 header body in bytes. */
  readonly headerLengthMax: number
  /** 0: no records of single connections and flows; 1: of those that failed; 2: of all. */
  readonly verbosity: Verbosity
}

/** What concerns a TCP port. */
export type AgentEntranceOptions = AdmissionOptions &
  HeaderOptions & {
    /** The name of the service behind it. */
    readonly service: string
    /** From accept to the complete header, absolute. */
    readonly headerTimeoutMs: number
  }

/** What concerns a UDP port. */
export type AgentDatagramEntranceOptions = AdmissionOptions &
  HeaderOptions & {
    readonly connect: ConnectFromOptions
    readonly udpHeader: UdpHeader
    /** For how long a flow may be silent in both directions. */
    readonly idleMs: number
    /** How many flows one edge may have on each worker; 0: as many as there is room for. */
    readonly flowsPerEdgeMax: number
  }

/** How the app behind one listener is connected to. */
export type AgentServiceOptions = ConnectFromOptions &
  Pick<AgentEntranceOptions, 'target4' | 'target6'> & { readonly timeouts: Timeouts }

/** What an agent's workers are told. */
export type AgentRoleOptions = {
  /** The host's load, see `HostLoad`, and the cells of `NewestSockets`. */
  readonly worker: { readonly load: Float64Array; readonly newestSockets: Uint16Array | null }
  readonly entrance: AgentEntranceOptions
  readonly datagramEntrance: AgentDatagramEntranceOptions
  readonly service: AgentServiceOptions
}
