// What a connection is, and what serves it: the entrance that it came through and the service that it is led to. What
// becomes of it is in connection.ts.

import type { Endpoint } from '../../address/endpoint.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import type { Tlv } from '../../proxy-protocol/tlv.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { TlsClient } from '../../tls/client.ts'
import type { TlsServer } from '../../tls/server.ts'
import { Side } from './side.ts'
import type { Timed } from './timer-wheel.ts'
import type { Uses } from './uses.ts'

/** Where a connection is in its life; see {@link drive}. */
export const Phase = {
  /** The slot is free. */
  None: 0,
  /** Accepted; the PROXY protocol header is not complete. */
  ReadingHeader: 1,
  /** The TLS handshake is not complete. */
  Handshaking: 2,
  /** The header was a question; the answer is on its way. */
  Answering: 3,
  /** About to open a socket to a backend. */
  Dialling: 4,
  /** The backend has not answered the SYN. */
  Connecting: 5,
  /** The backend is connected; the TLS handshake with it is not complete. */
  SecuringBackend: 6,
  /** An attempt failed; the next one is due at the deadline. */
  WaitingToDial: 7,
  /** Both sides are connected. */
  Relaying: 8,
  /** One side has broken: what it sent before is still being delivered, then the other side is reset. */
  Resetting: 9,
} as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** The name of a phase, such as "Relaying". */
export function phaseName(phase: Phase): string {
  return Object.entries(Phase).find(([, value]) => value === phase)?.[0] ?? 'None'
}

export const NO_BYTES = new Uint8Array(0)
export const NO_TLVS: readonly Tlv[] = []

/** Everything known about one connection. Made once per slot and used again. */
export class Connection implements Timed {
  /** Which slot this is, and how often it has been used: together they name a connection in epoll's events. */
  readonly index: number
  generation = 0
  phase: Phase = Phase.None
  readonly client = new Side()
  readonly backend = new Side()

  /** What its listener led to, held until the client is known; null while the slot is free. */
  entrance: Entrance | null = null
  /** Where its backend is looked for, held to the end; null until it is known who the client is. */
  service: Service | null = null
  /** Who connected to us, and where: the client for an edge, the edge for an agent. */
  peer: Endpoint | null = null
  /** The client's address as the backend is to see it; null until it is known. */
  source: Endpoint | null = null
  /** Where the service connects to; its own to use. */
  target: Endpoint | null = null
  /** It is in the loop's list of those that have more to do. */
  isReady = false
  /** Attempts to connect so far. */
  attempts = 0
  /** The header named no client: the app sees the peer itself. */
  showsPeer = false
  /** The attempt before was refused although its app listens; an agent's to use. */
  isAppListening = false
  /** Which of its like the entrance is, for counters; its own to use. */
  entranceId = -1
  /** The client of whose share of connections this is one, null: of nobody's; the entrance's to use. */
  sharedBy: IpAddress | null = null
  /** Which backend of which group the service has chosen, and those whose attempts failed; its own to use. */
  choice = -1
  choiceGroup = -1
  /** Why the service chose the place of the backend; its own to use. */
  choiceReason = 0
  readonly tried: number[] = []
  /** What the peer's header named beside the source; its own to use. */
  destination: Endpoint | null = null
  tlvs: readonly Tlv[] = NO_TLVS
  /** Why the source was refused, for the log. */
  refusal = ''

  startedMs = 0
  endedMs = 0
  lastActiveMs = 0
  dialSinceMs = 0
  /** When the other side of a broken one is reset, unless it takes bytes, and how soon its send queue is looked at. */
  resetAtMs = 0
  resetPollMs = 0
  headerBytes = 0
  /** What the backend gets first has been put together: sent, or in its queue. */
  hasFirstBytes = false

  /** The incomplete header, and how much of it is there. */
  header = NO_BYTES
  headerEnd = 0
  /** The first payload as a range of the loop's buffer; only valid between two stages of one {@link drive}. */
  firstStart = 0
  firstEnd = 0

  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  constructor(index: number) {
    this.index = index
  }
}

/** How long a connection may take to reach its backend, or be silent. In milliseconds; 0 means for ever where noted. */
export type Timeouts = {
  /** To reach a backend; see {@link Service.sharesConnectTimeout}. */
  readonly connectTimeoutMs: number
  /** Silence in both directions; 0: for ever. */
  readonly idleTimeoutMs: number
  /** Silence after one side's FIN; 0: for ever. */
  readonly halfClosedTimeoutMs: number
}

/** How an attempt to reach a backend began. */
export type Dial =
  /** The socket is connected or connecting. `isLoopback`: connect(2) may well have completed already. */
  | { readonly kind: 'connecting'; readonly fd: number; readonly isLoopback: boolean }
  /** The kernel said no (a negated errno); {@link Service.afterFailure} says what next. */
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

/**
 * What a listening port leads to: who is let in, what is read of clients and written to backends, and which service each
 * client gets. Methods never block.
 *
 * A connection holds its entrance until its client is known. It goes on to name it, but what {@link Entrance.uses} closes
 * may be gone then: only {@link Entrance.successor}, {@link Entrance.route}, {@link Entrance.writesHeader},
 * {@link Entrance.writeHeader} and {@link Entrance.onEnd} may still be used.
 */
export type Entrance = {
  /** Connections whose client is not known yet; later they hold their service. */
  readonly uses: Uses
  /** What its port has led to since: clients that are not known yet are led there. */
  successor: Entrance | null
  /** Clients speak TLS, by these certificates; null: they do not. */
  readonly tls: TlsServer | null
  /** Whether a PROXY protocol header comes before the client's first byte. */
  readonly expectsHeader: boolean
  /** From accept to the complete header, absolute, in milliseconds. */
  readonly headerTimeoutMs: number
  /** Some service behind it may speak TLS with backends: what follows a header that was read stays in the kernel. */
  readonly mayHaveBackendTls: boolean
  /** Whether {@link writeHeader} writes anything. */
  readonly writesHeader: boolean
  /** Called first, and once for each connection: admits who has connected, or says why not. */
  admit(connection: Connection, peer: IpAddress): EndReason | undefined
  /** Reads the header from `[0, end)`; sets the connection's source and destination when it is complete. */
  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead
  /** The service for a client that is known by now; asked then, and after a failed attempt. Changes nothing. */
  route(connection: Connection): Service
  /**
   * Writes what comes before the client's first byte at the front of `into`, which has 64 KiB; returns its length in
   * bytes. The header that was read is gone by then.
   */
  writeHeader(connection: Connection, into: Uint8Array): number
  /** Sees each connection once more, at its end: its phase and its sockets are still those in which it ended. */
  onEnd(connection: Connection, reason: EndReason): void
}

/** Where connections go, from one entrance or from many. A connection holds the service it was led to. Never blocks. */
export type Service = {
  /** Connections, and what may still lead some here. */
  readonly uses: Uses
  readonly timeouts: Timeouts
  /** Whether {@link Timeouts.connectTimeoutMs} holds for all attempts of a connection together, or for each. */
  readonly sharesConnectTimeout: boolean
  /** Backends speak TLS; undefined: they do not. */
  readonly backendTls: BackendTls | undefined
  /** Chooses a backend and starts to connect to it. */
  dial(connection: Connection): Dial
  /** Called after each failed attempt with its negated errno; `remainingMs` is what is left of the connect timeout. */
  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure
  /** Called once for each connection that reaches its backend. */
  onReach(connection: Connection): void
  /** Called at the end of each of its connections, after {@link Entrance.onEnd}. */
  onLeave(connection: Connection, reason: EndReason): void
}
