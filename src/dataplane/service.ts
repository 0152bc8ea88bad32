import type { TlsServer } from '../tls/server.ts'
import type { Role } from './role.ts'

/** How long a connection may take or be silent. All in milliseconds; 0 means for ever where noted. */
export type Timeouts = {
  /** From accept to the complete header, absolute. */
  readonly headerTimeoutMs: number
  /** To reach a backend; see {@link Role.sharesConnectTimeout}. */
  readonly connectTimeoutMs: number
  /** Silence in both directions; 0: for ever. */
  readonly idleTimeoutMs: number
  /** Silence after one side's FIN; 0: for ever. */
  readonly halfClosedTimeoutMs: number
}

/** What a listening socket leads to. A connection keeps the service that it began with. */
export type Service = {
  readonly role: Role
  readonly timeouts: Timeouts
  /** Clients speak TLS, by these certificates; null: they do not. */
  readonly tls: TlsServer | null
}
