import { buildLocalityTable, type LocalityTable } from '../../src/balancing/locality.ts'
import { Members } from '../../src/balancing/members.ts'
import type { LocalityPolicy } from '../../src/balancing/policy.ts'
import type { Utilization } from '../../src/balancing/view.ts'
import type { SimulatedGroup } from './scenario.ts'

/** What a group says of its load. */
export type GroupReport = { readonly utilization: Utilization | undefined; readonly connections: number }

/** A group of a simulated world: what is so, and what edges know of it. */
export class Group {
  readonly given: SimulatedGroup
  /** As edges see them. */
  readonly members: Members
  readonly table: LocalityTable
  capacityScaler = 1
  /** So many members work: the first ones. */
  working: number
  #detectedAt = Number.NEGATIVE_INFINITY

  /** @param firstId its members have the ids from here on, in `open` */
  constructor(given: SimulatedGroup, locality: LocalityPolicy, firstId: number, open: Int32Array) {
    this.given = given
    const ids = Int32Array.from({ length: given.members }, (_, place) => firstId + place)
    this.members = new Members(ids, open)
    this.table = buildLocalityTable(
      locality,
      Array.from(ids, (_, place) => `${given.name}/${place}`),
    )
    this.working = given.members
    this.#seeAll()
  }

  /** From now on so many members work; edges know it when they have found out. */
  work(members: number, detectedAt: number): void {
    this.working = members
    this.#detectedAt = detectedAt
  }

  /** Reports whether edges have found out that other members work. */
  detect(second: number): boolean {
    if (second < this.#detectedAt || this.members.size === this.working) return false
    this.#seeAll()
    return true
  }

  get connections(): number {
    let sum = 0
    for (let place = 0; place < this.given.members; place++) sum += this.members.openOf(place)
    return sum
  }

  /** The average of those that work; they have processors for no more than all of it. */
  get utilization(): number {
    if (this.working === 0) return 0
    return Math.min(1, (this.connections * this.given.costOfConnection) / this.working)
  }

  /** What an edge hears that asks now. */
  report(second: number): GroupReport {
    const utilization = this.working === 0 ? undefined : { average: this.utilization, atMs: 1000 * second }
    return { utilization, connections: this.connections }
  }

  #seeAll(): void {
    this.members.empty()
    for (let place = 0; place < this.working; place++) this.members.add(place)
  }
}
