import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address } from '../../address/ip-address.ts'
import { Availability } from './availability.ts'
import type { BackendCells } from './backend-table.ts'
import type { Plan, PlannedBackends, PlannedGroup } from './plan.ts'

/** A backend as connections are given to it. Made when it is first chosen: everything about it never changes. */
export type Candidate = {
  readonly id: number
  readonly groupId: number
  readonly endpoint: Endpoint
  /** On this very host, at a loopback address. */
  readonly isLoopback: boolean
}

const NONE_TRIED: readonly number[] = []

/**
 * Spreads the connections of one service, in one worker, over groups and their backends, as its plan says.
 *
 * Among the groups of the first rank that are not full in proportion to their weights, inside a group in turn; then the
 * next rank. Where every group is full, all get more in the same proportions: target capacity is no circuit breaker.
 * Costs a few steps per group, whatever the number of backends, and allocates nothing but each candidate once; when the
 * availability of a backend has changed, the next choice looks at all of its group.
 */
export class BackendChooser {
  readonly #ranks: readonly (readonly GroupState[])[]
  /** Of all ranks. */
  readonly #groups: readonly GroupState[]

  /** @param turn where the first round begins, so that several workers do not all begin with the same backend */
  constructor(plan: Plan, cells: BackendCells, turn: number) {
    this.#ranks = plan.ranks.map((rank) => rank.map((group) => new GroupState(group, cells, turn)))
    this.#groups = this.#ranks.flat()
  }

  /** The backend for the new connection of a client; undefined when none is healthy. */
  first(_client: Endpoint): Candidate | undefined {
    this.#look()
    return this.#inTurn(NONE_TRIED) ?? this.#leaving(NONE_TRIED)
  }

  /** One that is not among those `tried`: of this group, if it has one. */
  another(tried: readonly number[], groupId: number): Candidate | undefined {
    this.#look()
    return this.#group(groupId)?.take(tried, false) ?? this.#inTurn(tried) ?? this.#leaving(tried)
  }

  /** Reports whether {@link another} would find one. */
  hasAnother(tried: readonly number[]): boolean {
    this.#look()
    return this.#groups.some((group) => group.has(tried, true) || group.hasLeaving(tried))
  }

  /** What records call a backend of these groups: `us-central1-b/my-group/my-backend`. */
  nameOf(id: number, groupId: number): string | undefined {
    return this.#group(groupId)?.nameOf(id)
  }

  #group(id: number): GroupState | undefined {
    for (let index = 0; index < this.#groups.length; index++) {
      if (this.#groups[index].id === id) return this.#groups[index]
    }
    return undefined
  }

  #look(): void {
    for (let index = 0; index < this.#groups.length; index++) this.#groups[index].look()
  }

  /** The last resort: this plan is an older one, and its backends still serve. */
  #leaving(tried: readonly number[]): Candidate | undefined {
    for (let index = 0; index < this.#groups.length; index++) {
      const candidate = this.#groups[index].takeLeaving(tried)
      if (candidate !== undefined) return candidate
    }
    return undefined
  }

  #inTurn(tried: readonly number[]): Candidate | undefined {
    for (let rank = 0; rank < this.#ranks.length; rank++) {
      const group = nextInProportion(this.#ranks[rank], tried, false)
      if (group !== undefined) return group.take(tried, false)
    }
    return nextInProportion(this.#groups, tried, true)?.take(tried, true)
  }
}

/** Smooth weighted round robin: every group gets its part, as evenly spread as can be. */
function nextInProportion(
  groups: readonly GroupState[],
  tried: readonly number[],
  isOverfilling: boolean,
): GroupState | undefined {
  let best: GroupState | undefined
  let total = 0
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    if (!group.has(tried, isOverfilling) || (!isOverfilling && group.isAtCapacity)) continue
    group.credit += group.weight
    total += group.weight
    if (best === undefined || group.credit > best.credit) best = group
  }
  if (best !== undefined) best.credit -= total
  return best
}

/** A group, and what a worker knows of it. */
class GroupState {
  readonly id: number
  /** The part of the connections that it gets, relative to other groups of its rank. */
  weight = 0
  /** What it has not got yet of its part. */
  credit = 0
  // Not the plan itself: V8 has compiled for the hidden class of a warm-up's, and one from another thread has another.
  readonly #name: string
  readonly #connectionsMax: number
  readonly #ownWeight: number
  readonly #backendWeight: number
  readonly #ids: Int32Array
  readonly #backends: PlannedBackends
  readonly #cells: BackendCells
  readonly #up: Ring
  readonly #full: Ring
  readonly #leaving: Ring
  #seenVersion: number
  /** By the place in the group; made when it is first taken. */
  readonly #candidates: (Candidate | undefined)[]
  /** As they are in the plan, one by one; made for the first record. */
  #names: readonly string[] | undefined

  constructor(plan: PlannedGroup, cells: BackendCells, turn: number) {
    const { ids } = plan.backends
    this.id = plan.id
    this.#name = plan.name
    this.#connectionsMax = plan.connectionsMax
    this.#ownWeight = plan.ownWeight
    this.#backendWeight = plan.backendWeight
    this.#ids = ids
    this.#backends = plan.backends
    this.#cells = cells
    this.#up = new Ring(ids, turn)
    this.#full = new Ring(ids, turn)
    this.#leaving = new Ring(ids, turn)
    this.#candidates = new Array(ids.length).fill(undefined)
    // Not what it is now: the first choice looks.
    this.#seenVersion = Atomics.load(cells.groupVersion, plan.id) - 1
  }

  get isAtCapacity(): boolean {
    const max = this.#connectionsMax
    return max !== Number.POSITIVE_INFINITY && Atomics.load(this.#cells.groupOpen, this.id) >= max
  }

  /** Reads the availability of every backend again, if one of them may have another. */
  look(): void {
    const version = Atomics.load(this.#cells.groupVersion, this.id)
    if (version === this.#seenVersion) return
    // The version is written behind an availability, and read before it: what changes from here on is seen next time.
    this.#seenVersion = version
    this.#lookAtAll()
  }

  #lookAtAll(): void {
    const { availability } = this.#cells
    const ids = this.#ids
    this.#up.empty()
    this.#full.empty()
    this.#leaving.empty()
    for (let index = 0; index < ids.length; index++) {
      const state = Atomics.load(availability, ids[index])
      if (state === Availability.up) this.#up.add(index)
      else if (state === Availability.full) this.#full.add(index)
      else if (state === Availability.leaving) this.#leaving.add(index)
    }
    this.weight = this.#ownWeight + this.#backendWeight * (this.#up.size + this.#full.size)
  }

  /** Reports whether there is a backend that was not tried; a full one counts only when `isOverfilling`. */
  has(tried: readonly number[], isOverfilling: boolean): boolean {
    return this.#up.has(tried) || (isOverfilling && this.#full.has(tried))
  }

  /** The next backend in turn that was not tried; a full one only when `isOverfilling`, and only if all are. */
  take(tried: readonly number[], isOverfilling: boolean): Candidate | undefined {
    let index = this.#up.take(tried)
    if (index < 0 && isOverfilling) index = this.#full.take(tried)
    return this.#candidate(index)
  }

  hasLeaving(tried: readonly number[]): boolean {
    return this.#leaving.has(tried)
  }

  /** The next backend in turn that has left the configuration and was not tried. */
  takeLeaving(tried: readonly number[]): Candidate | undefined {
    return this.#candidate(this.#leaving.take(tried))
  }

  #candidate(index: number): Candidate | undefined {
    if (index < 0) return undefined
    const known = this.#candidates[index]
    if (known !== undefined) return known
    const candidate = candidateAt(this.#backends, index, this.id)
    this.#candidates[index] = candidate
    return candidate
  }

  nameOf(id: number): string | undefined {
    const index = this.#ids.indexOf(id)
    if (index < 0) return undefined
    this.#names ??= this.#backends.names.split('\n')
    return `${this.#name}/${this.#names[index]}`
  }
}

/** The backends of a group that are in one state, by their places in the group, and whose turn it is. */
class Ring {
  /** Of all backends of the group. */
  readonly #ids: Int32Array
  /** Places, ascending; the first `size` count. */
  readonly #members: Int32Array
  size = 0
  #next = 0
  #isNextFound = false
  /** The place of whoever had the last turn: the turn goes on behind it, whoever is in the ring then. */
  #last: number

  constructor(ids: Int32Array, turn: number) {
    this.#ids = ids
    this.#members = new Int32Array(ids.length)
    this.#last = ids.length === 0 ? -1 : (turn + ids.length - 1) % ids.length
  }

  /** Begins anew; {@link add} follows for each member, by ascending places. */
  empty(): void {
    this.size = 0
    this.#next = 0
    this.#isNextFound = false
  }

  add(place: number): void {
    if (!this.#isNextFound && place > this.#last) {
      this.#next = this.size
      this.#isNextFound = true
    }
    this.#members[this.size++] = place
  }

  has(tried: readonly number[]): boolean {
    if (tried.length === 0) return this.size > 0
    for (let at = 0; at < this.size; at++) {
      if (!tried.includes(this.#ids[this.#members[at]])) return true
    }
    return false
  }

  /** The place of the next member in turn that was not tried; -1: there is none. */
  take(tried: readonly number[]): number {
    for (let step = 0; step < this.size; step++) {
      const place = this.#members[this.#next]
      const next = this.#next + 1
      this.#next = next === this.size ? 0 : next
      if (tried.length > 0 && tried.includes(this.#ids[place])) continue
      this.#last = place
      return place
    }
    return -1
  }
}

function candidateAt(backends: PlannedBackends, index: number, groupId: number): Candidate {
  const endpoint = { address: addressAt(backends, index), port: backends.ports[index] }
  return { id: backends.ids[index], groupId, endpoint, isLoopback: classifyAddress(endpoint.address) === 'loopback' }
}

function addressAt({ families, words }: PlannedBackends, index: number): IpAddress {
  const at = 4 * index
  return families[index] === 4
    ? ipv4Address(words[at + 3])
    : ipv6Address(words[at], words[at + 1], words[at + 2], words[at + 3])
}
