import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address } from '../../address/ip-address.ts'
import { affinityHash } from '../../balancing/affinity.ts'
import { GroupChooser, type GroupFilter, type SpreadCells } from '../../balancing/choose-group.ts'
import { makeMemberChoice } from '../../balancing/locality.ts'
import { MAGLEV_SIZE, maglevSlot } from '../../balancing/maglev.ts'
import { type MemberChoice, Members } from '../../balancing/members.ts'
import type { LocalityPolicy, SessionAffinity } from '../../balancing/policy.ts'
import { RoundRobin } from '../../balancing/round-robin.ts'
import { RegionCode } from '../../telemetry/region-reasons.ts'
import { Availability } from './availability.ts'
import type { BackendCells } from './backend-table.ts'
import type { Plan, PlannedBackends, PlannedGroup } from './plan.ts'
import { ServiceCell } from './service-cells.ts'

/** A backend as connections are given to it. Made when it is first chosen: everything about it never changes. */
export type Candidate = {
  readonly id: number
  readonly groupId: number
  readonly endpoint: Endpoint
  /** On this very host, at a loopback address. */
  readonly isLoopback: boolean
}

const NONE_TRIED: readonly number[] = []
const NO_HASH = 0

/**
 * Spreads the connections of one service, in one worker, over groups and their backends, as its plan and its cells say.
 *
 * Costs a few steps per group, whatever the number of backends, and allocates nothing but each candidate once; when the
 * availability of a backend has changed, the next choice looks at all of its group.
 */
export class BackendChooser {
  /** By place. */
  readonly #groups: readonly GroupState[]
  readonly #chooser: GroupChooser
  readonly #filter: Untried
  readonly #affinity: SessionAffinity
  readonly #spread: SpreadCells
  readonly #service: Int32Array
  /** Backends are looked up by a hash of the connection. */
  readonly #hashesBackends: boolean
  readonly #hasSlots: boolean
  /** Connections leave their region only when it has no backend at all. */
  readonly #isolates: boolean
  /** Why the backend that was chosen last is where it is, a code of `RegionCode`. */
  regionCode: number = RegionCode.nearest
  /** Where it is, and whether it may be one more than the limit of its group. */
  #place = -1
  #mayOverfill = false

  /** @param turn where the first round begins, so that several workers do not all begin with the same backend */
  constructor(plan: Plan, cells: BackendCells, turn: number) {
    const { name, affinity } = plan.locality
    this.#groups = plan.groups.map((group) => new GroupState(group, cells, plan.locality, turn))
    this.#filter = new Untried(this.#groups)
    this.#affinity = affinity
    this.#spread = plan.spread
    this.#service = plan.service
    this.#hashesBackends = name === 'MAGLEV' || name === 'RING_HASH'
    this.#hasSlots = name === 'MAGLEV'
    const names = plan.groups.map(({ name }) => name)
    const ids = Int32Array.from(plan.groups, ({ id }) => id)
    const levels = plan.levels.map(({ groups, domain }) => ({ groups, domain }))
    this.#isolates = new Set(levels.map(({ domain }) => domain)).size > 1
    this.#chooser = new GroupChooser({ levels, names, ids }, plan.spread, cells.groupOpen)
  }

  /** Who connects, and where to, decides about the backend. */
  get usesHash(): boolean {
    return this.#hashesBackends || this.#affinity !== 'NONE'
  }

  /**
   * The backend for the new connection of a client; undefined when none is healthy.
   *
   * @param destination where the client connected to; looked at only with {@link usesHash}
   */
  first(client: Endpoint, destination: Endpoint): Candidate | undefined {
    this.#look()
    return this.#choose(this.#hashOf(client, destination), NONE_TRIED) ?? this.#leaving(NONE_TRIED)
  }

  /** One that is not among those `tried`: of this group, if it has one and is not full. */
  another(tried: readonly number[], groupId: number, client: Endpoint, destination: Endpoint): Candidate | undefined {
    this.#look()
    const hash = this.#hashOf(client, destination)
    // The region stays, and why it is this one.
    return this.#same(tried, groupId, hash) ?? this.#choose(hash, tried) ?? this.#leaving(tried)
  }

  /**
   * As {@link another}, of another region than that of this group, if one has a backend: where several backends have
   * failed one after the other, all of their region may have.
   */
  elsewhere(tried: readonly number[], groupId: number, client: Endpoint, destination: Endpoint): Candidate | undefined {
    this.#look()
    this.#filter.withoutRegion = this.#isolates ? undefined : this.regionOf(groupId)
    const candidate = this.#choose(this.#hashOf(client, destination), tried)
    this.#filter.withoutRegion = undefined
    return candidate ?? this.another(tried, groupId, client, destination)
  }

  /**
   * Counts a connection to the backend that was chosen last for its group.
   *
   * @returns false: another worker has taken the last place of the group meanwhile; to be chosen again
   */
  enter(): boolean {
    return this.#chooser.enter(this.#place, this.#mayOverfill)
  }

  /** Reports whether {@link another} would find one. */
  hasAnother(tried: readonly number[]): boolean {
    this.#look()
    for (let place = 0; place < this.#groups.length; place++) {
      const group = this.#groups[place]
      if (group.hasLeaving(tried)) return true
      if (group.has(tried) && Atomics.load(this.#spread.weights, place) > 0) return true
    }
    return false
  }

  /** What a policy of hashes makes of a connection, for an explanation; undefined: hashes have no say. */
  explainHash(
    client: Endpoint,
    destination: Endpoint,
  ): { readonly hash: string; readonly slot: number | undefined } | undefined {
    if (!this.usesHash) return undefined
    const hash = this.#hashOf(client, destination)
    const text = (hash >>> 0).toString(16).padStart(8, '0')
    return { hash: text, slot: this.#hasSlots ? maglevSlot(hash, 0, MAGLEV_SIZE) : undefined }
  }

  /** What records call a backend of these groups: `us-central1-b/my-group/my-backend`. */
  nameOf(id: number, groupId: number): string | undefined {
    return this.#group(groupId)?.nameOf(id)
  }

  /** The region of a group; undefined: it is none of these. */
  regionOf(groupId: number): string | undefined {
    return this.#group(groupId)?.region
  }

  #group(id: number): GroupState | undefined {
    const place = this.#placeOf(id)
    return place < 0 ? undefined : this.#groups[place]
  }

  #placeOf(id: number): number {
    for (let place = 0; place < this.#groups.length; place++) if (this.#groups[place].id === id) return place
    return -1
  }

  #look(): void {
    for (let place = 0; place < this.#groups.length; place++) this.#groups[place].look()
  }

  /** Without affinity every connection is looked up by itself: all of it is hashed, which is different for each. */
  #hashOf(client: Endpoint, destination: Endpoint): number {
    if (this.#affinity !== 'NONE') return affinityHash(this.#affinity, client, destination)
    return this.#hashesBackends ? affinityHash('CLIENT_IP_PORT_PROTO', client, destination) : NO_HASH
  }

  #same(tried: readonly number[], groupId: number, hash: number): Candidate | undefined {
    const place = this.#placeOf(groupId)
    if (place < 0 || this.#chooser.isFull(place)) return undefined
    return this.#chosen(place, false, this.#groups[place].take(tried, hash))
  }

  #chosen(place: number, mayOverfill: boolean, candidate: Candidate | undefined): Candidate | undefined {
    this.#place = place
    this.#mayOverfill = mayOverfill
    return candidate
  }

  #choose(hash: number, tried: readonly number[]): Candidate | undefined {
    const filter = this.#filter
    filter.tried = tried
    const place = this.#affinity === 'NONE' ? this.#chooser.inTurn(filter) : this.#chooser.byHash(hash, filter)
    if (place < 0) return undefined
    this.regionCode = this.#regionCodeOf(place, tried)
    return this.#chosen(place, this.#chooser.isOverfilling, this.#groups[place].take(tried, hash))
  }

  #regionCodeOf(place: number, tried: readonly number[]): number {
    if (this.#groups[place].isNearest) return RegionCode.nearest
    if (tried.length > 0) return RegionCode.retry
    return this.#isNearestFull() ? RegionCode.full : Atomics.load(this.#service, ServiceCell.awayReason)
  }

  /** Reports whether the nearest region has groups to choose, all of them at their targets. */
  #isNearestFull(): boolean {
    let isFull = false
    for (let place = 0; place < this.#groups.length; place++) {
      const group = this.#groups[place]
      if (!group.isNearest || Atomics.load(this.#spread.weights, place) === 0 || !group.has(NONE_TRIED)) continue
      if (!this.#chooser.isFull(place)) return false
      isFull = true
    }
    return isFull
  }

  /** The last resort: this plan is an older one, and its backends still serve. */
  #leaving(tried: readonly number[]): Candidate | undefined {
    for (let place = 0; place < this.#groups.length; place++) {
      const candidate = this.#groups[place].takeLeaving(tried)
      if (candidate !== undefined) return this.#chosen(place, true, candidate)
    }
    return undefined
  }
}

/** Groups with a backend that was not tried, outside of a region if there is one to leave. */
class Untried implements GroupFilter {
  readonly #groups: readonly GroupState[]
  tried: readonly number[] = NONE_TRIED
  withoutRegion: string | undefined = undefined

  constructor(groups: readonly GroupState[]) {
    this.#groups = groups
  }

  has(place: number): boolean {
    const group = this.#groups[place]
    return group.region !== this.withoutRegion && group.has(this.tried)
  }
}

/** A group, and what a worker knows of it. */
class GroupState {
  // Not the plan itself: V8 has compiled for the hidden class of a warm-up's, and one from another thread has another.
  readonly id: number
  readonly region: string
  readonly isNearest: boolean
  readonly #name: string
  readonly #ids: Int32Array
  readonly #backends: PlannedBackends
  readonly #cells: BackendCells
  readonly #up: Members
  readonly #choice: MemberChoice
  readonly #leaving: Members
  readonly #leavingTurn: RoundRobin
  #seenVersion: number
  /** By the place in the group; made when it is first taken. */
  readonly #candidates: (Candidate | undefined)[]
  /** As they are in the plan, one by one; made for the first record. */
  #names: readonly string[] | undefined

  constructor(plan: PlannedGroup, cells: BackendCells, locality: LocalityPolicy, turn: number) {
    const { ids } = plan.backends
    this.id = plan.id
    this.region = plan.region
    this.isNearest = plan.isNearest
    this.#name = plan.name
    this.#ids = ids
    this.#backends = plan.backends
    this.#cells = cells
    this.#up = new Members(ids, cells.open)
    this.#choice = makeMemberChoice(locality, plan.table, turn)
    this.#leaving = new Members(ids, cells.open)
    this.#leavingTurn = new RoundRobin(turn)
    this.#candidates = new Array(ids.length).fill(undefined)
    // Not what it is now: the first choice looks.
    this.#seenVersion = Atomics.load(cells.groupVersion, plan.id) - 1
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
    this.#leaving.empty()
    for (let place = 0; place < ids.length; place++) {
      const state = Atomics.load(availability, ids[place])
      if (state === Availability.up) this.#up.add(place)
      else if (state === Availability.leaving) this.#leaving.add(place)
    }
  }

  /** Reports whether there is a backend that was not tried. */
  has(tried: readonly number[]): boolean {
    return this.#up.has(tried)
  }

  /** A backend that was not tried. */
  take(tried: readonly number[], hash: number): Candidate | undefined {
    return this.#candidate(this.#up.size === 0 ? -1 : this.#choice.pick(this.#up, hash, tried))
  }

  hasLeaving(tried: readonly number[]): boolean {
    return this.#leaving.has(tried)
  }

  /** The next backend in turn that has left the configuration and was not tried. */
  takeLeaving(tried: readonly number[]): Candidate | undefined {
    return this.#leaving.size === 0 ? undefined : this.#candidate(this.#leavingTurn.pick(this.#leaving, NO_HASH, tried))
  }

  #candidate(place: number): Candidate | undefined {
    if (place < 0) return undefined
    const known = this.#candidates[place]
    if (known !== undefined) return known
    const candidate = candidateAt(this.#backends, place, this.id)
    this.#candidates[place] = candidate
    return candidate
  }

  nameOf(id: number): string | undefined {
    const place = this.#ids.indexOf(id)
    if (place < 0) return undefined
    this.#names ??= this.#backends.names.split('\n')
    return `${this.#name}/${this.#names[place]}`
  }
}

function candidateAt(backends: PlannedBackends, place: number, groupId: number): Candidate {
  const endpoint = { address: addressAt(backends, place), port: backends.ports[place] }
  return { id: backends.ids[place], groupId, endpoint, isLoopback: classifyAddress(endpoint.address) === 'loopback' }
}

function addressAt({ families, words }: PlannedBackends, place: number): IpAddress {
  const at = 4 * place
  return families[place] === 4
    ? ipv4Address(words[at + 3])
    : ipv6Address(words[at], words[at + 1], words[at + 2], words[at + 3])
}
