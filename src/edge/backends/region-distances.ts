import type { Position } from '../../balancing/google-regions.ts'
import { Proximity } from '../../balancing/proximity.ts'
import { orderRegions } from '../../balancing/region-order.ts'
import type { RankedRegion } from '../../balancing/view.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'

/** What makes a region near: the great circle, or how soon its backends accept a connection. */
export type ProximityKind = 'distance' | 'measured'

/** Where an edge is, and by what it tells near regions from far ones. */
export type EdgePlace = {
  /** undefined: not known. */
  readonly region: string | undefined
  readonly zone: string | undefined
  /** As they are at the start. */
  readonly positions: ReadonlyMap<string, Position>
  readonly proximity: ProximityKind
}

/** Which regions are how near to this edge. */
export class RegionDistances {
  readonly #place: EdgePlace
  readonly #measured = new Proximity()
  #positions: ReadonlyMap<string, Position>
  /** Of the configuration in use, some more than once. */
  #regions: readonly string[] = []
  /** All regions of the configuration in use, as the great circle has them, and as they are near. */
  #byDistance: readonly RankedRegion[] = []
  #order: readonly RankedRegion[] = []
  /** By the regions that were asked for. */
  readonly #orders = new Map<string, readonly RankedRegion[]>()

  constructor(place: EdgePlace) {
    this.#place = place
    this.#positions = place.positions
  }

  get region(): string | undefined {
    return this.#place.region
  }

  get zone(): string | undefined {
    return this.#place.zone
  }

  get proximity(): ProximityKind {
    return this.#place.proximity
  }

  /** Has an order for the regions of this snapshot. */
  use({ services }: Pick<Snapshot, 'services'>): void {
    this.#regions = services.flatMap(({ groups }) => groups.map(({ region }) => region))
    this.#arrange()
  }

  /** Has an order by these positions from now on. */
  locate(positions: ReadonlyMap<string, Position>): void {
    this.#positions = positions
    this.#arrange()
  }

  /** A backend of this region has accepted the connection of a probe, within so many milliseconds. */
  observe(region: string, connectMs: number): void {
    this.#measured.observe(region, connectMs, performance.now())
  }

  /** Takes what was measured lately into account. */
  measure(): void {
    if (this.#place.proximity === 'distance') return
    this.#order = this.#ordered()
    this.#orders.clear()
  }

  /** Some of the regions of the configuration in use, nearest first; the nearest of these has the rank 0. */
  orderOf(regions: readonly string[]): readonly RankedRegion[] {
    const key = regions.join()
    const known = this.#orders.get(key)
    if (known !== undefined) return known
    const wanted = new Set(regions)
    const some = this.#order.filter(({ region }) => wanted.has(region))
    const ranks = [...new Set(some.map(({ rank }) => rank))]
    const order = some.map((one) => ({ ...one, rank: ranks.indexOf(one.rank) }))
    this.#orders.set(key, order)
    return order
  }

  /** All of them, as status shows them. */
  get order(): readonly RankedRegion[] {
    return this.#order
  }

  /** The shortest time to connect to a region lately; undefined: no probe has reached one of its backends. */
  connectMsTo(region: string): number | undefined {
    return this.#measured.smallestMs(region, performance.now())
  }

  #arrange(): void {
    this.#byDistance = orderRegions(this.#regions, this.#place.region, this.#positions)
    this.#order = this.#ordered()
    this.#orders.clear()
  }

  #ordered(): readonly RankedRegion[] {
    if (this.#place.proximity === 'distance') return this.#byDistance
    return this.#measured.order(this.#byDistance, performance.now())
  }
}
