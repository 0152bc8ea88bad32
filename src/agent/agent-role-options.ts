// What the main thread of an agent tells its workers; plain data, so that it can be given to a thread.

import type { Endpoint } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/connection/connection-state.ts'
import type { Verbosity } from '../dataplane/connection/report.ts'
import type { ConnectFromOptions } from './connect-from.ts'

/** What becomes of connections whose header names no client. */
export type LocalMode = 'forward' | 'check'

/** What concerns one listener. */
export type AgentEntranceOptions = {
  /** The name of the service behind it. */
  readonly service: string
  /** From accept to the complete header, absolute. */
  readonly headerTimeoutMs: number
  /** Where clients are connected to, by their address family; null: they are refused. */
  readonly target4: Endpoint | null
  readonly target6: Endpoint | null
  /** Trusted edges as CIDR texts; null: everyone. */
  readonly allowedSubnets: readonly string[] | null
  readonly denyPrivateSources: boolean
  /** Every connection has to keep the port of its client. */
  readonly keepsPort: boolean
  /** What becomes of a connection without a client (LOCAL, UNKNOWN): `check` answers it without the app. */
  readonly local: LocalMode
  /** Longest version 2 header body in bytes. */
  readonly headerLengthMax: number
  /** 0: no records of single connections; 1: of those that failed; 2: of all. */
  readonly verbosity: Verbosity
  /** One cell for all workers: connections that came here and lead to an app. */
  readonly portOpen: Int32Array
}

/** How the app behind one listener is connected to. */
export type AgentServiceOptions = ConnectFromOptions &
  Pick<AgentEntranceOptions, 'target4' | 'target6'> & { readonly timeouts: Timeouts }

/** What an agent's workers are told. */
export type AgentRoleOptions = {
  /** The host's load, see `HostLoad`. */
  readonly worker: { readonly load: Float64Array }
  readonly entrance: AgentEntranceOptions
  readonly service: AgentServiceOptions
}
