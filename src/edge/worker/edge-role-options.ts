// What the main thread of an edge tells its workers; plain data, so that it can be given to a thread.

import type { Timeouts } from '../../dataplane/connection/connection-state.ts'
import type { Verbosity } from '../../dataplane/connection/report.ts'
import type { Liveness } from '../../linux/liveness.ts'
import type { BackendTls, FlowTracking, HeaderSetting } from '../../snapshot/snapshot.ts'
import type { TlsServerOptions } from '../../tls/server.ts'
import type { BackendCells } from '../balance/backend-table.ts'
import type { Plan } from '../balance/plan.ts'
import type { ClientLimitOptions } from './client-limit.ts'

/** What holds for all frontends and services of an edge. */
export type EdgeWorkerOptions = {
  readonly cells: BackendCells
  /** From accept to the complete header, absolute. */
  readonly headerTimeoutMs: number
  /** But for the idle timeout, which is the service's. */
  readonly timeouts: Omit<Timeouts, 'idleTimeoutMs'>
  /** Further attempts after a failed one, each with another backend. */
  readonly retriesMax: number
  /** Addresses of this host from which backends are connected to, in turn; empty: the kernel chooses. */
  readonly sourceAddresses: readonly string[]
  /** Who has to send a PROXY header, as CIDR texts; nobody else is served then. null: clients connect directly. */
  readonly acceptProxyFrom: readonly string[] | null
  /** Longest version 2 header that is taken, in bytes behind its first 16. */
  readonly headerLengthMax: number
  readonly clientLimit: ClientLimitOptions
  /** The same for flows of UDP, which make place for one another. */
  readonly flowLimit: ClientLimitOptions
  readonly liveness: Liveness
  readonly verbosity: Verbosity
}

/** What concerns one frontend. */
export type EdgeEntranceOptions = {
  readonly id: number
  readonly name: string
  /** Where the listener listens; an unspecified address stands for all of this host. */
  readonly address: string
  readonly port: number
  readonly proxyHeader: HeaderSetting
  /** Clients speak TLS; null: they do not. */
  readonly tls: TlsServerOptions | null
  /** The name of the service that it leads to. */
  readonly service: string
}

/** What concerns one backend service, for all frontends that lead to it. */
export type EdgeServiceOptions = {
  readonly name: string
  readonly idleTimeoutMs: number
  /** Clients and backends speak UDP; undefined: TCP. */
  readonly flows: FlowTracking | undefined
  readonly logSampleRate: number
  /** Backends speak TLS; undefined: they do not. */
  readonly tls: BackendTls | undefined
  readonly plan: Plan
}

/** What an edge's workers are told. */
export type EdgeRoleOptions = {
  readonly worker: EdgeWorkerOptions
  readonly entrance: EdgeEntranceOptions
  readonly datagramEntrance: EdgeEntranceOptions
  readonly service: EdgeServiceOptions
}
