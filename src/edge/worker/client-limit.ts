import { type CidrSet, cidrSetOf } from '../../address/cidr-set.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import { type ClientCells, ClientCounts } from './client-counts.ts'

/**
 * A fair share is an eighth of the places that are free. One client alone gets a ninth of all: more than it has ports for,
 * where the limit of open files is what systemd gives. Twenty clients that take what they can leave a tenth free.
 */
export const FAIR_PART = 1 / 8

/** How many connections a client may have at once in all workers; plain data, so that it can be given to a worker. */
export type ClientLimitOptions = {
  readonly cells: ClientCells
  /** A number; `'fair'`: a part of the places that are free. null: as many as it likes. */
  readonly connectionsPerClientMax: number | 'fair' | null
  /** Connections of all clients and workers. */
  readonly connectionsMax: number
  /** Who may have as many as he likes, as CIDR texts. */
  readonly unlimitedClients: readonly string[]
}

/** Gives each client its share of the connections, on one worker. */
export class ClientLimit {
  readonly #counts: ClientCounts
  readonly #max: number | 'fair' | null
  readonly #connectionsMax: number
  readonly #unlimited: CidrSet
  readonly #openTotal: Int32Array

  /** @param openTotal one cell: connections open now in all workers, the one that is asked about included */
  constructor(options: ClientLimitOptions, openTotal: Int32Array) {
    const { cells, connectionsPerClientMax, connectionsMax, unlimitedClients } = options
    this.#counts = new ClientCounts(cells)
    this.#max = connectionsPerClientMax
    this.#connectionsMax = connectionsMax
    this.#unlimited = cidrSetOf(unlimitedClients)
    this.#openTotal = openTotal
  }

  /**
   * Counts one more connection of a client, to be given back with {@link leave}.
   *
   * A fair share follows what is free: the fewer places there are, the less any one client may hold to get another, and
   * who has none gets one as long as there is any.
   *
   * @returns `'free'`: it is not counted; `'refused'`: it is one too many, and is not counted either
   */
  enter(client: IpAddress): 'counted' | 'free' | 'refused' {
    const max = this.#max
    if (max === null || (this.#unlimited.size > 0 && this.#unlimited.has(client))) return 'free'
    const count = this.#counts.enter(client)
    const isWithin = count === 1 || count <= (max === 'fair' ? this.#freePlaces() * FAIR_PART : max)
    if (isWithin) return 'counted'
    this.#counts.leave(client)
    return 'refused'
  }

  /** Counts a connection that has taken the place of another of its client, whatever the share is by now. */
  enterInPlace(client: IpAddress): void {
    this.#counts.enter(client)
  }

  leave(client: IpAddress): void {
    this.#counts.leave(client)
  }

  #freePlaces(): number {
    return this.#connectionsMax - Atomics.load(this.#openTotal, 0)
  }
}
