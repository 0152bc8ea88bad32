import { targetConnections } from '../../src/balancing/capacity.ts'
import { GroupChooser, makeSpreadCells, type SpreadCells, writeSpread } from '../../src/balancing/choose-group.ts'
import { arrangeLevels } from '../../src/balancing/levels.ts'
import { makeMemberChoice } from '../../src/balancing/locality.ts'
import type { MemberChoice } from '../../src/balancing/members.ts'
import type { LocalityPolicy } from '../../src/balancing/policy.ts'
import { orderRegions } from '../../src/balancing/region-order.ts'
import { type SpreadMemory, spread } from '../../src/balancing/spread.ts'
import type { RankedRegion, ServiceView } from '../../src/balancing/view.ts'
import type { Group, GroupReport } from './group.ts'
import type { Scenario, SimulatedEdge } from './scenario.ts'

/** An edge of a simulated world: a main thread and its one worker. */
export class Edge {
  readonly given: SimulatedEdge
  /** By group: connections of this edge. */
  readonly open: Int32Array
  readonly #index: number
  readonly #scenario: Scenario
  readonly #groups: readonly Group[]
  readonly #regionOrder: readonly RankedRegion[]
  readonly #memory: SpreadMemory = new Map()
  readonly #cells: SpreadCells
  readonly #chooser: GroupChooser
  readonly #locality: LocalityPolicy
  readonly #choices: (MemberChoice | undefined)[]
  /** `open` when the load was reported. */
  readonly #openThen: Int32Array
  #reports: readonly GroupReport[] = []
  #reportedAtMs = 0
  /** What of the next connection has come already. */
  #arriving = 0

  constructor(
    given: SimulatedEdge,
    index: number,
    scenario: Scenario,
    locality: LocalityPolicy,
    groups: readonly Group[],
  ) {
    this.given = given
    this.#index = index
    this.#scenario = scenario
    this.#groups = groups
    this.#locality = locality
    this.#regionOrder = orderRegions(
      groups.map((group) => group.given.region),
      given.region,
      scenario.positions,
    )
    this.open = new Int32Array(groups.length)
    this.#openThen = new Int32Array(groups.length)
    this.#choices = new Array(groups.length).fill(undefined)
    const levels = arrangeLevels(this.#view())
    this.#cells = makeSpreadCells(levels.length, groups.length)
    const names = groups.map((group) => group.given.name)
    this.#chooser = new GroupChooser({ levels, names, ids: Int32Array.from(groups.keys()) }, this.#cells, this.open)
  }

  /** Connections that come within one step that begins now; what is left of a whole one comes later. */
  arrivals(second: number): number {
    this.#arriving += this.given.rate(second) * this.#scenario.stepSeconds
    const whole = Math.floor(this.#arriving)
    this.#arriving -= whole
    return whole
  }

  /** All groups are asked for their load. */
  ask(second: number): void {
    this.#reports = this.#groups.map((group) => group.report(second))
    this.#reportedAtMs = 1000 * second
    this.#openThen.set(this.open)
  }

  spread(second: number): void {
    writeSpread(spread(this.#view(), this.#memory, 1000 * second), this.#cells)
  }

  /** Chooses a group and a member of it that was not tried; undefined: there is none. */
  choose(tried: readonly number[]): { readonly group: number; readonly place: number } | undefined {
    const group = this.#chooser.inTurn({ has: (place) => this.#groups[place].members.has(tried) })
    if (group < 0) return undefined
    const { members, table } = this.#groups[group]
    const choice = this.#choices[group] ?? makeMemberChoice(this.#locality, table, this.#index)
    this.#choices[group] = choice
    return { group, place: choice.pick(members, 0, tried) }
  }

  #view(): ServiceView {
    const { policy, edges } = this.#scenario
    return {
      policy,
      region: this.given.region,
      zone: this.given.zone,
      regionOrder: this.#regionOrder,
      edges: { count: edges.length, index: this.#index },
      groups: this.#groups.map(({ given, capacityScaler, members }, index) => ({
        name: given.name,
        region: given.region,
        zone: given.zone,
        preference: 'DEFAULT',
        capacityScaler,
        members: given.members,
        healthy: members.size,
        drained: 0,
        targetConnections: targetConnections(given.maxConnections, capacityScaler),
        maxUtilization: given.maxUtilization,
        utilization: this.#reports[index]?.utilization,
        connections: this.open[index],
        others: {
          connections: (this.#reports[index]?.connections ?? 0) - this.#openThen[index],
          ownThen: this.#openThen[index],
          atMs: this.#reportedAtMs,
        },
      })),
    }
  }
}
