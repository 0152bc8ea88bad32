import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { parseIpAddress } from '../../address/ip-address.ts'
import type { Balancing } from '../../snapshot/snapshot.ts'
import { Availability } from './availability.ts'
import type { BackendCells } from './backend-table.ts'

/** A backend of a group: a snapshot's, with its id in the cells. */
export type EdgeBackend = {
  readonly id: number
  readonly name: string
  readonly address: string
  readonly port: number
}

/** A group of backends: a snapshot's, with its id in the cells. */
export type EdgeGroup = {
  readonly id: number
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly balancing: Balancing
  readonly backends: readonly EdgeBackend[]
}

/** A backend as connections are given to it: everything about it that never changes is made once. */
export type Candidate = {
  readonly id: number
  readonly groupId: number
  /** Group and backend: `us-central1-b/my-group/my-backend`. */
  readonly name: string
  readonly endpoint: Endpoint
  /** On this very host, at a loopback address. */
  readonly isLoopback: boolean
}

const NONE_TRIED: readonly number[] = []

/**
 * Spreads the connections of one frontend, in one worker, over groups and their backends.
 *
 * Groups of the own region first, then the others; among those that are not full in proportion to their target
 * capacity, inside a group in turn. Where every group is full, all get more in the same proportions: target capacity is
 * no circuit breaker. Costs a few steps per group, whatever the number of backends, and allocates nothing, except when
 * the availability of some backend has changed.
 */
export class BackendChooser {
  readonly #cells: BackendCells
  /** The nearest first, and in the end all. */
  readonly #ranks: readonly (readonly GroupState[])[]
  readonly #groups: readonly GroupState[]
  readonly #groupOf = new Map<number, GroupState>()
  #seenVersion: number

  /** @param turn where the first round begins, so that several workers do not all begin with the same backend */
  constructor(groups: readonly EdgeGroup[], cells: BackendCells, localRegion: string | undefined, turn: number) {
    this.#cells = cells
    const used = groups.filter(({ balancing }) => balancing.capacityScaler > 0)
    // Numbers of connections and of backends cannot be compared: where one group has no target, backends count.
    const hasTargets = used.every(({ balancing }) => balancing.maxConnections !== undefined)
    const states = used.map((group) => new GroupState(group, cells, turn, hasTargets))
    const isNear = (state: GroupState): boolean => localRegion === undefined || state.region === localRegion
    this.#ranks = [states.filter(isNear), states.filter((state) => !isNear(state))]
    this.#groups = states
    for (const state of states) for (const { id } of state.candidates) this.#groupOf.set(id, state)
    // Not what it is now: the first choice looks.
    this.#seenVersion = Atomics.load(cells.version, 0) - 1
  }

  /** The backend for a new connection; undefined when none is healthy. */
  first(): Candidate | undefined {
    this.#look()
    return this.#inTurn(NONE_TRIED)
  }

  /** One that is not among those `tried`, of the same group as the last of them if it has one. */
  another(tried: readonly number[]): Candidate | undefined {
    this.#look()
    const group = this.#groupOf.get(tried[tried.length - 1])
    return group?.take(tried, false) ?? this.#inTurn(tried)
  }

  /** Reports whether {@link another} would find one. */
  hasAnother(tried: readonly number[]): boolean {
    this.#look()
    return this.#groups.some((group) => group.has(tried, true))
  }

  /** The backend of this id, if it is one of these groups. */
  candidate(id: number): Candidate | undefined {
    return this.#groupOf.get(id)?.candidates.find((candidate) => candidate.id === id)
  }

  #look(): void {
    const version = Atomics.load(this.#cells.version, 0)
    if (version === this.#seenVersion) return
    this.#seenVersion = version
    for (const group of this.#groups) group.look()
  }

  #inTurn(tried: readonly number[]): Candidate | undefined {
    for (const groups of this.#ranks) {
      const group = nextInProportion(groups, tried, false)
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
  readonly region: string
  readonly candidates: readonly Candidate[]
  /** The part of the connections that it gets, relative to other groups. */
  weight = 0
  /** What it has not got yet of its part. */
  credit = 0
  readonly #id: number
  readonly #balancing: Balancing
  readonly #isWeightTarget: boolean
  /** Connections that it is to have at most. */
  readonly #connectionsMax: number
  readonly #cells: BackendCells
  readonly #up: Ring
  readonly #full: Ring

  /** @param isWeightTarget its part goes by its target of connections, not by its healthy backends */
  constructor(group: EdgeGroup, cells: BackendCells, turn: number, isWeightTarget: boolean) {
    const { maxConnections, capacityScaler } = group.balancing
    this.region = group.region
    this.candidates = group.backends.map((backend) => toCandidate(group, backend))
    this.#id = group.id
    this.#balancing = group.balancing
    this.#isWeightTarget = isWeightTarget
    this.#connectionsMax = maxConnections === undefined ? Number.POSITIVE_INFINITY : maxConnections * capacityScaler
    this.#cells = cells
    this.#up = new Ring(this.candidates, turn)
    this.#full = new Ring(this.candidates, turn)
  }

  get isAtCapacity(): boolean {
    const max = this.#connectionsMax
    return max !== Number.POSITIVE_INFINITY && Atomics.load(this.#cells.groupOpen, this.#id) >= max
  }

  /** Reads the availability of every backend. */
  look(): void {
    this.#up.fill(this.#cells, Availability.up)
    this.#full.fill(this.#cells, Availability.full)
    const { maxConnections = 0, capacityScaler } = this.#balancing
    this.weight = (this.#isWeightTarget ? maxConnections : this.#up.size + this.#full.size) * capacityScaler
  }

  /** Reports whether there is a backend that was not tried; a full one counts only when `isOverfilling`. */
  has(tried: readonly number[], isOverfilling: boolean): boolean {
    return this.#up.has(tried) || (isOverfilling && this.#full.has(tried))
  }

  /** The next backend in turn that was not tried; a full one only when `isOverfilling`, and only if all are. */
  take(tried: readonly number[], isOverfilling: boolean): Candidate | undefined {
    return this.#up.take(tried) ?? (isOverfilling ? this.#full.take(tried) : undefined)
  }
}

/** The backends of a group that are in one state, and whose turn it is. */
class Ring {
  readonly #all: readonly Candidate[]
  /** Indexes into `#all`, ascending; the first `size` count. */
  readonly #members: Int32Array
  size = 0
  #next = 0
  /** The index into `#all` of whoever had the last turn: the turn goes on behind it, whoever is in the ring then. */
  #last: number

  constructor(all: readonly Candidate[], turn: number) {
    this.#all = all
    this.#members = new Int32Array(all.length)
    this.#last = all.length === 0 ? -1 : (turn + all.length - 1) % all.length
  }

  fill(cells: BackendCells, availability: Availability): void {
    this.size = 0
    this.#next = -1
    for (let index = 0; index < this.#all.length; index++) {
      if (Atomics.load(cells.availability, this.#all[index].id) !== availability) continue
      if (this.#next < 0 && index > this.#last) this.#next = this.size
      this.#members[this.size++] = index
    }
    if (this.#next < 0) this.#next = 0
  }

  has(tried: readonly number[]): boolean {
    if (tried.length === 0) return this.size > 0
    for (let at = 0; at < this.size; at++) {
      if (!tried.includes(this.#all[this.#members[at]].id)) return true
    }
    return false
  }

  take(tried: readonly number[]): Candidate | undefined {
    for (let step = 0; step < this.size; step++) {
      const index = this.#members[this.#next]
      const candidate = this.#all[index]
      const next = this.#next + 1
      this.#next = next === this.size ? 0 : next
      if (tried.length > 0 && tried.includes(candidate.id)) continue
      this.#last = index
      return candidate
    }
    return undefined
  }
}

function toCandidate(group: EdgeGroup, backend: EdgeBackend): Candidate {
  const address = parseIpAddress(backend.address)
  // The snapshot's compiler has checked every address.
  if (address === undefined) throw new Error(`The address of backend "${backend.name}" is "${backend.address}"`)
  return {
    id: backend.id,
    groupId: group.id,
    name: `${group.name}/${backend.name}`,
    endpoint: { address, port: backend.port },
    isLoopback: classifyAddress(address) === 'loopback',
  }
}
