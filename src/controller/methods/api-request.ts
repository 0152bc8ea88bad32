import type { TokenRole } from '../store/store.ts'

/** A request whose sender is known. Whoever makes one has checked Host, Origin, token and size. */
export type ApiRequest = {
  readonly method: string
  /** Without the query, as it was sent: `/compute/v1/projects/p/global/healthChecks/hc`. */
  readonly path: string
  readonly query: URLSearchParams
  /** The parsed JSON; undefined: there is no body, or it is no JSON. */
  readonly body: unknown
  /** The body as it came; empty where there is none. */
  readonly rawBody: Uint8Array
  /** Empty where there is no body. */
  readonly contentType: string
  /** Where the sender found this server, which self links begin with: `http://127.0.0.1:8080`. */
  readonly baseUrl: string
  /** Who sent it, for operations and the audit log. */
  readonly user: string
  readonly role: Exclude<TokenRole, 'edge' | 'agent'>
  /** Whether nobody waits for the answer any more. */
  readonly isGone: () => boolean
}

/** An answer: JSON, for people or for programs, or bytes of another type; status 204 has neither. Errors are answers, too. */
export type ApiResponse =
  | { readonly status: number; readonly body: unknown; readonly isPretty?: boolean }
  | { readonly status: number; readonly contentType: string; readonly bytes: string }
