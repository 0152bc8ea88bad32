import type { Store } from '../store/store.ts'
import { type Identity, identify, looksLikeToken } from '../store/token.ts'
import { type Rate, RateLimit } from './rate-limit.ts'
import { refusalOfOrigin } from './request-origin.ts'

/** Requests of one user from one address. */
const REQUEST_RATE: Rate = { perSecond: 1_000, burst: 2_000 }
/** Requests with a wrong token, from one address; above it they are not even logged. */
const FAILURE_RATE: Rate = { perSecond: 1, burst: 20 }

/** How clients come to a port. */
export type Access = {
  readonly scheme: 'http' | 'https'
  /** Who reaches it needs no token: a UNIX socket of the owner, or loopback. */
  readonly isTrusted: boolean
  /** Every user of the host can ask here, and web pages can make a browser ask, by a name of their own. */
  readonly isLoopback: boolean
}

/** What is looked at of a request before its body is read. */
export type Arrival = {
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly authorization: string | undefined
  /** Empty on a UNIX socket. */
  readonly peerAddress: string
}

/** A request that is not let in, as an answer in Google's form needs it. */
export type Refusal = { readonly status: 401 | 403 | 429; readonly reason: string; readonly message: string }

/** Who comes by a socket that only the user of the controller can open. */
const OWNER: Identity = { user: 'local', role: 'admin' }
/**
 * Who comes by loopback without a token: any user of the host, and whoever has a program there ask for him. As gcloud has
 * to work, resources can be changed; what gives keys away, or trust, needs a token or the UNIX socket.
 */
export const ANYBODY_ON_HOST: Identity = { user: 'local', role: 'operator' }

/** Decides who is let in. */
export class Door {
  readonly #store: Pick<Store, 'token'>
  readonly #requests: RateLimit
  readonly #failures: RateLimit
  readonly #onFailure: (peerAddress: string) => void

  /**
   * @param clock milliseconds that never go back
   * @param onFailure is told of wrong tokens, not more often than it can bear
   */
  constructor(store: Pick<Store, 'token'>, clock: () => number, onFailure: (peerAddress: string) => void) {
    this.#store = store
    this.#requests = new RateLimit(REQUEST_RATE, clock)
    this.#failures = new RateLimit(FAILURE_RATE, clock)
    this.#onFailure = onFailure
  }

  /** Who sends this, or why it is not let in. */
  enter(arrival: Arrival, access: Access): Identity | Refusal {
    const origin = refusalOfOrigin(arrival, access.scheme, access.isLoopback && access.scheme === 'http')
    if (origin !== undefined) return { status: 403, reason: 'forbidden', message: origin }
    const identity = this.#identify(arrival, access)
    if ('status' in identity) return identity
    if (this.#requests.take(`${identity.user} ${arrival.peerAddress}`)) return identity
    return rateRefusal(`${REQUEST_RATE.perSecond} requests a second`)
  }

  #identify({ authorization, peerAddress }: Arrival, { isTrusted, isLoopback }: Access): Identity | Refusal {
    const token = /^bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1]
    const identity = token === undefined ? undefined : identify(token, this.#store)
    if (identity !== undefined) return identity
    // gcloud and Google's clients send a token in any case; one of ours that is wrong is a mistake to be told about.
    if (isTrusted && (token === undefined || !looksLikeToken(token))) return isLoopback ? ANYBODY_ON_HOST : OWNER
    if (!this.#failures.take(peerAddress)) return rateRefusal('wrong tokens')
    this.#onFailure(peerAddress)
    const message =
      token === undefined
        ? 'A bearer token is needed; make one with "truepeer controller token create"'
        : 'The bearer token is not valid; make one with "truepeer controller token create"'
    return { status: 401, reason: token === undefined ? 'required' : 'authError', message }
  }
}

function rateRefusal(what: string): Refusal {
  return { status: 429, reason: 'rateLimitExceeded', message: `Rate limit exceeded: too many ${what}; try again later` }
}
