import type { Service } from '../connection/connection-state.ts'
import { Uses } from '../connection/uses.ts'

/** Where the service of one name is; entrances that lead to it find there what it is now. */
export type ServicePlace<S extends Service> = {
  readonly service: S
  /** Entrances that lead here: the service is kept for them, also after its name is gone. */
  readonly uses: Uses
}

class Place<S extends Service> implements ServicePlace<S> {
  service: S
  readonly uses = new Uses(() => this.service.uses.retire())

  constructor(service: S) {
    this.service = service
  }
}

/** The services of one worker, by name. */
export class Services<S extends Service> {
  readonly #places = new Map<string, Place<S>>()

  /** Gives a name to a service; the one that had it is for connections that have begun with it. */
  set(name: string, service: S): void {
    const place = this.#places.get(name)
    if (place === undefined) {
      this.#places.set(name, new Place(service))
    } else {
      place.service.uses.retire()
      place.service = service
    }
  }

  /** Nobody asks for this name any more. */
  remove(name: string): void {
    this.#places.get(name)?.uses.retire()
    this.#places.delete(name)
  }

  /** The place of a name that has a service. */
  place(name: string): ServicePlace<S> {
    const place = this.#places.get(name)
    // The main thread names a service only after it has sent it.
    if (place === undefined) throw new Error(`There is no service "${name}"`)
    return place
  }
}
