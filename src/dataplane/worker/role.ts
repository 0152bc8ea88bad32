import type { Endpoint } from '../../address/endpoint.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Counters } from '../../telemetry/metrics.ts'
import type { Entrance, Service } from '../connection/connection-state.ts'
import type { DatagramEntrance } from '../flow/datagram-entrance.ts'
import type { Services } from './services.ts'

/** What the main thread tells a worker of its role. All of it is plain data, so that it can be given to a thread. */
export type RoleOptions = {
  /** At the start, and for good. */
  readonly worker: unknown
  readonly entrance: unknown
  /** Of a UDP port. */
  readonly datagramEntrance?: unknown
  readonly service: unknown
}

/** What a role may use of its worker. */
export type RoleContext = {
  /** Which of the workers this is, from 0 on. */
  readonly workerIndex: number
  readonly log: Log
  readonly counters: Counters
  /** One cell: connections open now in all workers. */
  readonly openTotal: Int32Array
  /** One cell: flows of datagrams open now in all workers. */
  readonly flowTotal: Int32Array
}

/** What makes a worker one of an edge or of an agent: its entrances and its services. */
export type Role<Options extends RoleOptions, S extends Service> = {
  makeService(options: Options['service']): S
  /** An entrance that leads to some of these services; it holds their places until it is closed. */
  makeEntrance(options: Options['entrance'], services: Services<S>): Entrance
  /** The same for a UDP port. */
  makeDatagramEntrance?(options: Options['datagramEntrance'], services: Services<S>): DatagramEntrance
  /** What a warm-up plays in place of an entrance and its service. Nothing that is counted or logged there is seen. */
  warmUp(
    options: { readonly entrance: Options['entrance']; readonly service: Options['service'] },
    app: Endpoint,
    context: RoleContext,
  ): WarmUpEntrances
}

/** Entrances for clients on loopback that are trusted; they lead to the app of the warm-up. Retired when it is over. */
export type WarmUpEntrances = {
  readonly plain: Entrance
  /** The same, and clients speak TLS; null: there are none. */
  readonly tls: Entrance | null
  /** What clients send first, in turn: PROXY protocol headers where they are expected; else one without bytes. */
  readonly openings: readonly Uint8Array[]
}
