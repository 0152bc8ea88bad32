import { failure, type ProbeResult, quote, SUCCESS } from '../conversation/probe-result.ts'

/** What an HTTP check of any version asks for and expects. */
export type HttpCheck = {
  /** The Host header; empty: the backend's address. */
  readonly host: string
  readonly requestPath: string
  /** Has to occur in the first 1,024 bytes of the body; empty: the body does not matter. */
  readonly response: string
}

/** By what a probe is known in the logs of apps. */
export const USER_AGENT = 'truepeer-health-check'

/** The part of a body that is looked at. */
const SEARCHED_BYTES_MAX = 1_024
const STATUS_OK = 200

/** The Host header (or `:authority`) for a backend whose check names none. */
export function hostOf(check: HttpCheck, address: string): string {
  return check.host === '' ? addressAsHost(address) : check.host
}

/** An address as it is in a URL. */
export function addressAsHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

/** Judges a response while it arrives; each method returns the result once there is one, otherwise undefined. */
export class HttpJudge {
  readonly #expected: Buffer
  #body = Buffer.alloc(0)
  #hasStatus = false

  constructor(check: HttpCheck) {
    this.#expected = Buffer.from(check.response)
  }

  /** Anything but 200 is a failure, redirects too: they are not followed. */
  onStatus(status: number | undefined): ProbeResult | undefined {
    this.#hasStatus = true
    if (status !== STATUS_OK) return failure(`status ${status}, expected ${STATUS_OK}`)
    return this.#expected.length === 0 ? SUCCESS : undefined
  }

  onBody(bytes: Buffer): ProbeResult | undefined {
    if (this.#body.length >= SEARCHED_BYTES_MAX) return undefined
    this.#body = Buffer.concat([this.#body, bytes.subarray(0, SEARCHED_BYTES_MAX - this.#body.length)])
    if (this.#body.includes(this.#expected)) return SUCCESS
    return this.#body.length === SEARCHED_BYTES_MAX ? this.onEnd() : undefined
  }

  onEnd(): ProbeResult | undefined {
    if (!this.#hasStatus) return undefined
    return failure(`${quote(this.#expected)} is not in the first ${SEARCHED_BYTES_MAX} bytes of the body`)
  }
}
