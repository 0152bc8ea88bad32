import type { RankedRegion } from './view.ts'

/** A region that is the nearer by less than both of these is not nearer: part of the other's time, and milliseconds. */
const MARGIN = 0.1
const MARGIN_MS = 1
/** So long one has to be nearer, without a break, before the order changes. */
const PACE_MS = 60_000
/** The smallest time of so many slices counts: of the last five minutes, or up to a slice less. */
const SLICES = 10
const SLICE_MS = 30_000

/**
 * The order of regions by the connect times that probes of their backends see (`--proximity measured`).
 *
 * A region is as near as its smallest time lately: what a busy network or host adds says nothing of distance. One takes
 * the place of the other only when it is clearly nearer, and has been so for a minute, so that the order never flaps.
 * Regions that no probe has reached lately stay behind those that one has, in the order that they had.
 */
export class Proximity {
  readonly #times = new Map<string, SmallestTime>()
  #order: readonly string[] = []
  /** Since when a region is clearly nearer than one that comes before it, by both names. */
  #nearerSince: ReadonlyMap<string, number> = new Map()

  /** A probe has connected to a backend of this region, within so many milliseconds. */
  observe(region: string, connectMs: number, nowMs: number): void {
    const known = this.#times.get(region)
    const times = known ?? new SmallestTime()
    if (known === undefined) this.#times.set(region, times)
    times.observe(connectMs, nowMs)
  }

  /** The smallest connect time lately; undefined: none was seen. */
  smallestMs(region: string, nowMs: number): number | undefined {
    return this.#times.get(region)?.smallest(nowMs)
  }

  /**
   * The regions in order; to be called at least every few seconds.
   *
   * @param byDistance all of them as the great circle has them: the order until something was measured
   */
  order(byDistance: readonly RankedRegion[], nowMs: number): RankedRegion[] {
    this.#follow(byDistance)
    this.#compare(nowMs)
    this.#order = this.#nearerFirst(nowMs)
    const kilometres = new Map(byDistance.map((entry) => [entry.region, entry.kilometres]))
    return this.#order.map((region, rank) => ({ region, rank, kilometres: kilometres.get(region) }))
  }

  /** Regions come behind those that are known, and go. */
  #follow(byDistance: readonly RankedRegion[]): void {
    const regions = byDistance.map(({ region }) => region)
    const known = this.#order.filter((region) => regions.includes(region))
    if (known.length === regions.length && known.length === this.#order.length) return
    this.#order = [...known, ...regions.filter((region) => !known.includes(region))]
    for (const region of this.#times.keys()) if (!regions.includes(region)) this.#times.delete(region)
  }

  #compare(nowMs: number): void {
    const times = this.#order.map((region) => this.smallestMs(region, nowMs) ?? Number.POSITIVE_INFINITY)
    const nearerSince = new Map<string, number>()
    for (const [behind, region] of this.#order.entries()) {
      for (let ahead = 0; ahead < behind; ahead++) {
        if (!isClearlyNearer(times[behind], times[ahead])) continue
        const pair = pairOf(region, this.#order[ahead])
        nearerSince.set(pair, this.#nearerSince.get(pair) ?? nowMs)
      }
    }
    this.#nearerSince = nearerSince
  }

  /** The order until now, with each region ahead of those that it has been nearer than for long enough. */
  #nearerFirst(nowMs: number): readonly string[] {
    const order: string[] = []
    for (const region of this.#order) {
      let at = order.length
      while (at > 0 && this.#isLongNearer(region, order[at - 1], nowMs)) at--
      order.splice(at, 0, region)
    }
    return order
  }

  #isLongNearer(region: string, than: string, nowMs: number): boolean {
    const sinceMs = this.#nearerSince.get(pairOf(region, than))
    return sinceMs !== undefined && nowMs - sinceMs >= PACE_MS
  }
}

function pairOf(region: string, than: string): string {
  return `${region} ${than}`
}

function isClearlyNearer(ms: number, thanMs: number): boolean {
  if (thanMs === Number.POSITIVE_INFINITY) return ms < thanMs
  return ms < thanMs - Math.max(MARGIN_MS, MARGIN * thanMs)
}

/** The smallest value of a window that slides by slices. */
class SmallestTime {
  readonly #slices = new Float64Array(SLICES).fill(Number.POSITIVE_INFINITY)
  /** The number of the slice that was written last, since the beginning of time. */
  #latest = Number.NEGATIVE_INFINITY

  observe(ms: number, nowMs: number): void {
    this.#slide(nowMs)
    const at = this.#latest % SLICES
    this.#slices[at] = Math.min(this.#slices[at], ms)
  }

  smallest(nowMs: number): number | undefined {
    this.#slide(nowMs)
    const smallest = Math.min(...this.#slices)
    return smallest === Number.POSITIVE_INFINITY ? undefined : smallest
  }

  #slide(nowMs: number): void {
    const slice = Math.floor(nowMs / SLICE_MS)
    const first = Math.max(this.#latest + 1, slice - SLICES + 1)
    for (let number = first; number <= slice; number++) this.#slices[number % SLICES] = Number.POSITIVE_INFINITY
    this.#latest = Math.max(this.#latest, slice)
  }
}
