import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { compareTexts } from '../../text/compare-texts.ts'

/** Any port will do: no packet is sent. */
export type Route = (towards: IpAddress) => IpAddress | undefined

/**
 * The addresses of this host from which it would connect to each backend. Routes change without a word, so each is asked
 * for again now and then, a few at a time: to ask for thousands at once would hold up everything else.
 */
export class OwnAddresses {
  readonly #route: Route
  /** By the address of a backend; undefined: there is no route. */
  #routes = new Map<string, string | undefined>()
  /** Backends that are due next, in this order. */
  #due: string[] = []
  #list: readonly string[] | undefined

  constructor(route: Route) {
    this.#route = route
  }

  /** Whom this host connects to from now on; what is known of those that stay is kept. */
  use(backends: Iterable<string>): void {
    const before = this.#routes
    this.#routes = new Map()
    for (const backend of backends) {
      if (!this.#routes.has(backend)) {
        this.#routes.set(backend, before.has(backend) ? before.get(backend) : this.#ask(backend))
      }
    }
    this.#list = undefined
  }

  /** Asks again for one part of so many; after as many calls all have been asked for. */
  askAgain(parts: number): void {
    if (this.#due.length === 0) this.#due = [...this.#routes.keys()]
    for (const backend of this.#due.splice(0, Math.ceil(this.#routes.size / parts))) {
      const own = this.#ask(backend)
      if (!this.#routes.has(backend) || own === this.#routes.get(backend)) continue
      this.#routes.set(backend, own)
      this.#list = undefined
    }
  }

  /** Each address once, in order. */
  list(): readonly string[] {
    this.#list ??= [...new Set(this.#routes.values())].filter((own) => own !== undefined).sort(compareTexts)
    return this.#list
  }

  #ask(backend: string): string | undefined {
    const address = parseIpAddress(backend)
    const own = address && this.#route(address)
    return own && formatIpAddress(own)
  }
}
