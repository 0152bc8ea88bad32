import { exponentialOf, hashText, placeOf, rehash, SEED } from './hash.ts'
import type { Spread } from './spread.ts'

/** What a worker is told once of the groups of a service: it changes only with the configuration and the region order. */
export type GroupPlan = {
  readonly levels: readonly { readonly groups: readonly number[]; readonly domain: number }[]
  /** By place. The same on all edges. */
  readonly names: readonly string[]
  /** By place: where its connections are counted. */
  readonly ids: Int32Array
}

/** What changes with health and load, in memory that the main thread writes and workers read, word by word. */
export type SpreadCells = {
  /** By level: of {@link WHOLE}. */
  readonly shares: Int32Array
  /** By place: of {@link WHOLE}, which is the greatest weight. */
  readonly weights: Int32Array
  /** By place: connections of this edge; {@link NO_LIMIT}: infinite. */
  readonly limits: Int32Array
}

/** 1 as shares and weights have it. */
const WHOLE = 1 << 24
const NO_LIMIT = 0x7fff_ffff
const LEVEL = 0x1e7e1
/** No hash: those are whole numbers of 32 bits. */
const BY_TURN = Number.POSITIVE_INFINITY

/** Whether a group has a member for this connection. */
export type GroupFilter = { has(place: number): boolean }

/** Cells for so many levels and groups: nothing is given to any of them yet. */
export function makeSpreadCells(levels: number, groups: number): SpreadCells {
  const shared = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length))
  return { shares: shared(levels), weights: shared(groups), limits: shared(groups) }
}

/** Shows the workers a spread; its levels are those of the cells. */
export function writeSpread({ levels, groups }: Spread, cells: SpreadCells): void {
  const greatest = groups.reduce((max, { weight }) => Math.max(max, weight), 0)
  for (const [index, { weight, limit }] of groups.entries()) {
    // However little it is, it is not nothing.
    const part = weight === 0 ? 0 : Math.max(1, Math.round((weight / greatest) * WHOLE))
    Atomics.store(cells.weights, index, part)
    Atomics.store(cells.limits, index, Math.min(NO_LIMIT, limit))
  }
  for (const [index, { share }] of levels.entries()) Atomics.store(cells.shares, index, Math.round(share * WHOLE))
}

/**
 * Chooses the group of each connection of one service, in one worker. Costs a few steps for each group, allocates nothing.
 *
 * A connection begins at a level, by the levels' shares. There it goes to a group that is not full, by weight; else on to
 * the next level, and round to those before; with all of the domain full, to one of the domain by weight: target capacity
 * is no circuit breaker. It leaves a domain only where nobody of it can be chosen.
 */
export class GroupChooser {
  readonly #plan: GroupPlan
  readonly #cells: SpreadCells
  /** By id: connections now. */
  readonly #open: Int32Array
  /** Smooth weighted round robin: what a level, or a group, has not got yet of its part. */
  readonly #levelCredit: Float64Array
  readonly #groupCredit: Float64Array
  readonly #seeds: Int32Array
  readonly #exponential = new Float64Array(1)
  /** By domain, in order: the places of all its groups. */
  readonly #domains: readonly { readonly domain: number; readonly groups: readonly number[] }[]
  /** The group that was chosen last may be full, as all of its domain are. */
  isOverfilling = false

  constructor(plan: GroupPlan, cells: SpreadCells, open: Int32Array) {
    this.#plan = plan
    this.#cells = cells
    this.#open = open
    this.#levelCredit = new Float64Array(plan.levels.length)
    this.#groupCredit = new Float64Array(plan.names.length)
    this.#seeds = Int32Array.from(plan.names, (name) => hashText(name, SEED))
    const domains = [...new Set(plan.levels.map(({ domain }) => domain))]
    this.#domains = domains.map((domain) => ({
      domain,
      groups: plan.levels.filter((level) => level.domain === domain).flatMap(({ groups }) => groups),
    }))
  }

  /** The place of the next group in turn; -1: there is none. */
  inTurn(filter: GroupFilter): number {
    return this.#from(this.#levelInTurn(), BY_TURN, filter)
  }

  /**
   * The place of the group of a hash; -1: there is none.
   *
   * A change of another group moves nobody: each group has a number for each hash, and the least one, divided by its
   * weight, wins (weighted rendezvous).
   */
  byHash(hash: number, filter: GroupFilter): number {
    return this.#from(this.#levelByHash(hash), hash, filter)
  }

  /**
   * Counts one more connection of a group.
   *
   * @returns false: it is full, because another worker has taken its last place meanwhile, and nothing was counted
   */
  enter(place: number, mayOverfill: boolean): boolean {
    const id = this.#plan.ids[place]
    // Counted first, then compared: two workers cannot both take the last place.
    const before = Atomics.add(this.#open, id, 1)
    if (mayOverfill || before < Atomics.load(this.#cells.limits, place)) return true
    Atomics.sub(this.#open, id, 1)
    return false
  }

  /** Reports whether a group is at its limit. */
  isFull(place: number): boolean {
    const limit = Atomics.load(this.#cells.limits, place)
    return limit !== NO_LIMIT && Atomics.load(this.#open, this.#plan.ids[place]) >= limit
  }

  #from(start: number, hash: number, filter: GroupFilter): number {
    const { levels } = this.#plan
    if (levels.length === 0) return -1
    const { domain } = levels[start]
    const place = this.#inDomain(domain, start, hash, filter)
    if (place >= 0) return place
    for (let index = 0; index < this.#domains.length; index++) {
      if (this.#domains[index].domain === domain) continue
      const further = this.#inDomain(this.#domains[index].domain, 0, hash, filter)
      if (further >= 0) return further
    }
    return -1
  }

  #inDomain(domain: number, start: number, hash: number, filter: GroupFilter): number {
    const { levels } = this.#plan
    for (let step = 0; step < levels.length; step++) {
      const level = levels[(start + step) % levels.length]
      if (level.domain !== domain) continue
      const place = this.#among(level.groups, hash, filter, false)
      if (place >= 0) return place
    }
    for (let index = 0; index < this.#domains.length; index++) {
      const { domain: other, groups } = this.#domains[index]
      if (other === domain) return this.#among(groups, hash, filter, true)
    }
    return -1
  }

  #levelInTurn(): number {
    const { shares } = this.#cells
    const credit = this.#levelCredit
    let best = 0
    let total = 0
    for (let level = 0; level < credit.length; level++) {
      const share = Atomics.load(shares, level)
      credit[level] += share
      total += share
      // What it has left from before gives nothing to a level that has no share any more.
      if (share > 0 && (total === share || credit[level] > credit[best])) best = level
    }
    credit[best] -= total
    return best
  }

  #levelByHash(hash: number): number {
    const { shares } = this.#cells
    let left = placeOf(rehash(hash, LEVEL), WHOLE)
    let last = 0
    for (let level = 0; level < shares.length; level++) {
      const share = Atomics.load(shares, level)
      if (left < share) return level
      left -= share
      if (share > 0) last = level
    }
    return last
  }

  #among(groups: readonly number[], hash: number, filter: GroupFilter, isOverfilling: boolean): number {
    this.isOverfilling = isOverfilling
    return hash === BY_TURN
      ? this.#nextInTurn(groups, filter, isOverfilling)
      : this.#bestByHash(groups, hash, filter, isOverfilling)
  }

  #nextInTurn(groups: readonly number[], filter: GroupFilter, isOverfilling: boolean): number {
    const credit = this.#groupCredit
    let best = -1
    let total = 0
    for (let index = 0; index < groups.length; index++) {
      const place = groups[index]
      const weight = this.#weightOf(place, filter, isOverfilling)
      if (weight === 0) continue
      credit[place] += weight
      total += weight
      if (best < 0 || credit[place] > credit[best]) best = place
    }
    if (best >= 0) credit[best] -= total
    return best
  }

  #bestByHash(groups: readonly number[], hash: number, filter: GroupFilter, isOverfilling: boolean): number {
    let best = -1
    let bestScore = Number.POSITIVE_INFINITY
    for (let index = 0; index < groups.length; index++) {
      const place = groups[index]
      const weight = this.#weightOf(place, filter, isOverfilling)
      if (weight === 0) continue
      exponentialOf(rehash(this.#seeds[place], hash), this.#exponential)
      const score = this.#exponential[0] / weight
      if (score >= bestScore) continue
      best = place
      bestScore = score
    }
    return best
  }

  /** 0: this connection cannot go there. */
  #weightOf(place: number, filter: GroupFilter, isOverfilling: boolean): number {
    const weight = Atomics.load(this.#cells.weights, place)
    return weight === 0 || (!isOverfilling && this.isFull(place)) || !filter.has(place) ? 0 : weight
  }
}
