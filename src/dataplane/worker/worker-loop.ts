import type { Endpoint } from '../../address/endpoint.ts'
import type { Connection, Entrance } from '../connection/connection-state.ts'
import type { AcceptingLoop } from '../connection/loop.ts'
import type { DatagramEntrance } from '../flow/datagram-entrance.ts'
import type { Flows } from '../flow/flows.ts'
import type { Port } from '../flow/port.ts'
import type { Listener } from './listener.ts'

/** How many connections there may be at once. */
export type ConnectionLimits = {
  /** Of one worker. */
  readonly connectionsPerWorkerMax: number
  /** Of all workers together. */
  readonly connectionsMax: number
  /** Flows of datagrams, of all workers together. */
  readonly flowsMax: number
}

/** What a worker does with its loop. */
export type WorkerLoop = AcceptingLoop & {
  readonly limits: ConnectionLimits
  /** Connections open now. */
  readonly openCount: number
  /** Takes over a listening socket that leads to `entrance`. */
  addListener(fd: number, entrance: Entrance): Listener
  /** Takes what is queued at a listener, then closes it. */
  closeListener(listener: Listener): void
  /** Takes over the socket of a UDP port that leads to `entrance`. */
  addPort(fd: number, endpoint: Endpoint, entrance: DatagramEntrance): Port
  /** Takes what is queued at a port, then closes it; peers of flows go on by sockets of their own. */
  closePort(port: Port): void
  /** The flows of datagrams; null: there has been no UDP port. */
  readonly flows: Flows | null
  /** Waits for events for at most `waitMs` (-1: as long as no timer is due), handles them, and says how many there were. */
  step(waitMs?: number): number
  /** Reports whether the main thread has woken this loop since the last call. */
  takeWakeup(): boolean
  /** The connections that are open now; valid until the next {@link step}. */
  openConnections(): Connection[]
  /** As many of them at most, from a place on, and the place from which on there may be more; -1: there are none. */
  openConnectionsFrom(place: number, countMax: number): { readonly connections: Connection[]; readonly next: number }
  /** Ends every connection and closes the loop. */
  close(): void
}
