import type { Snapshot } from '../snapshot/snapshot.ts'
import type { ApiRequest, ApiResponse } from './api-request.ts'
import type { Store } from './store.ts'

/** Health of a backend as edges see it. */
export type HealthState = 'HEALTHY' | 'UNHEALTHY' | 'DRAINING'

/** What connected edges report. */
export type HealthSource = {
  /** The health of a backend by its `backendKey`; undefined: no edge has probed it. */
  stateOf(key: string): HealthState | undefined
}

/** Whoever hands snapshots to edges. */
export type Hub = {
  /**
   * Says that the resources have a new version, which `Api.publication` holds.
   *
   * With `changesListeners` it waits, at most 2 s, until every connected edge has applied it. Resolves with the names of
   * the edges that have not; never rejects.
   */
  published(version: number, changesListeners: boolean): Promise<readonly string[]>
}

/** What edges follow: the snapshot of one version, and why parts of the resources are not in it. */
export type Publication = {
  readonly version: number
  readonly snapshot: Snapshot
  /** One line each: a forwarding rule that cannot be served is left out, and named here. */
  readonly leftOut: readonly string[]
}

/** What an {@link Api} works with. */
export type ApiOptions = {
  readonly store: Store
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Random bytes, for ids. */
  readonly random: (count: number) => Uint8Array
  readonly health: HealthSource
  readonly hub: Hub
  /** The projects that there are; the first one is the default of our own tools. */
  readonly projects: readonly string[]
  /** Ranges that addresses of load balancers are taken from, `203.0.113.0/24`; IPv4 and IPv6. */
  readonly addressPools: readonly string[]
  /** Single addresses to take, before those of the pools. */
  readonly addresses: readonly string[]
}

/** The Compute Engine API: from a request whose sender is known to an answer. Never throws. */
export class Api {
  readonly #options: ApiOptions

  constructor(options: ApiOptions) {
    this.#options = options
  }

  /** Answers a request. A change is durable in the store before its answer is there. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    return { status: 501, body: { path: request.path, projects: this.#options.projects } }
  }

  /** The latest version and its snapshot. */
  publication(): Publication {
    throw new Error('not yet')
  }
}
