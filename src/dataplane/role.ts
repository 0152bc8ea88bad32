import type { IpAddress } from '../address/ip-address.ts'
import type { EndReason } from '../telemetry/metrics.ts'
import type { TlsClient } from '../tls/client.ts'
import type { Connection } from './connection.ts'

/** How an attempt to reach a backend began. */
export type Dial =
  /** The socket is connected or connecting. `isLocal`: connect(2) may well have completed already. */
  | { readonly kind: 'connecting'; readonly fd: number; readonly isLocal: boolean }
  /** The kernel said no (a negated errno); {@link Role.afterFailure} says what next. */
  | { readonly kind: 'failed'; readonly error: number }
  /** This connection will not be made. */
  | { readonly kind: 'refused'; readonly reason: EndReason }

/** What to do after a failed attempt: try again after so many milliseconds, or `'give-up'`. */
export type AfterFailure = number | 'give-up'

/** What the bytes read so far are: `[payloadStart, end)` of the buffer is the client's first payload. */
export type HeaderRead =
  | { readonly kind: 'incomplete'; readonly bytesNeeded: number }
  | { readonly kind: 'complete'; readonly payloadStart: number }
  /** No client, but a question that is answered here: the bytes are sent and the connection ends. */
  | { readonly kind: 'answer'; readonly bytes: Uint8Array; readonly payloadStart: number }
  | { readonly kind: 'refused'; readonly reason: EndReason }

/** How backends are spoken to in TLS, and where the header goes: before the handshake, in the clear, or inside. */
export type BackendTls = { readonly client: TlsClient; readonly headerPlace: 'before-tls' | 'inside-tls' }

/** What makes the shared data path an edge or an agent. Methods are called on the worker's thread and never block. */
export type Role = {
  /** Whether a PROXY protocol header stands before the client's first byte. */
  readonly expectsHeader: boolean
  /** Whether {@link writeHeader} writes anything. */
  readonly writesHeader: boolean
  /** Called first, and once for each connection: admits who has connected, or says why not. */
  admit(peer: IpAddress): EndReason | undefined
  /** Reads the header from `[0, end)`; sets the connection's source and destination when it is complete. */
  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead
  /** Chooses a backend and starts to connect to it. */
  dial(connection: Connection): Dial
  /** Whether {@link Timeouts.connectTimeoutMs} holds for all attempts of a connection together, or for each. */
  readonly sharesConnectTimeout: boolean
  /** Called after each failed attempt with its negated errno; `remainingMs` is what is left of the connect timeout. */
  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure
  /** Backends speak TLS; undefined: they do not. */
  readonly backendTls?: BackendTls | undefined
  /**
   * Writes what stands before the client's first byte at the front of `target`, which has 64 KiB; returns its length in
   * bytes. The header that was read is gone by then.
   */
  writeHeader(connection: Connection, target: Uint8Array): number
  /** Another role has taken its place: no connection begins with it any more. Those that are open go on. */
  retire?(): void
  /** Sees each connection once more, at its end: its phase and its sockets are still those in which it ended. */
  onEnd(connection: Connection, reason: EndReason): void
}
