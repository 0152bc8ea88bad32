import type { Endpoint } from '../../address/endpoint.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Counters } from '../../telemetry/metrics.ts'
import type { Connection, Entrance } from './connection-state.ts'
import type { PipePool } from './pipe-pool.ts'
import type { TimerWheel } from './timer-wheel.ts'

/** What a connection may use and ask of the loop that it lives in. */
export type Loop = {
  readonly counters: Counters
  readonly log: Log
  readonly timers: TimerWheel
  /** Shared by all connections: nothing in it outlives the handling of one event. */
  readonly buffer: Uint8Array
  readonly pipes: PipePool
  /** The clock as of this turn. */
  readonly nowMs: number
  /** Has the kernel report events of a connection's socket; reports whether it could. */
  watch(fd: number, connection: Connection, isClient: boolean): boolean
  /** Gives the connection another turn in the next step. */
  continueLater(connection: Connection): void
  /** Takes a connection's slot back. */
  release(connection: Connection): void
}

/** Something with a queue of connections that the loop gives turns. */
export type Acceptor = { accept(loop: AcceptingLoop): boolean }

/** What a listener asks of its loop besides. */
export type AcceptingLoop = Loop & {
  /** Takes a place for one more connection; reports whether the limits leave one. */
  takePlace(): boolean
  givePlaceBack(): void
  /** Begins a connection on an accepted socket, in a place that has been taken. */
  open(fd: number, peer: Endpoint, entrance: Entrance): void
  /** Gives the listener another turn in the next step. */
  acceptLater(acceptor: Acceptor): void
}
