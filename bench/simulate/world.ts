// A world of edges and groups on a virtual clock. Who gets a connection is decided by the code of an edge, src/balancing;
// this only keeps count. The same scenario gives the same result on every machine.

import { type LocalityPolicy, MINIMUM_RING_SIZE } from '../../src/balancing/policy.ts'
import { RandomNumbers } from '../../src/balancing/random.ts'
import { Edge } from './edge.ts'
import { Group } from './group.ts'
import { Result } from './result.ts'
import type { Scenario } from './scenario.ts'

/** Backends that one connection tries: the first, and three more. */
const ATTEMPTS = 4
/** So many numbers are kept of the connections of each edge to each group, step by step; those of a large world are not. */
const KEPT_MAX = 10_000_000
/** Longer than a limit takes to rise; see `settledLimit`. */
const LONG_STEP_SECONDS = 10
const SEED = 20_261_129

/** Lets a scenario happen. */
export function simulate(scenario: Scenario): Result {
  const { edges, groups, seconds, stepSeconds } = scenario
  const steps = Math.floor(seconds / stepSeconds)
  const result = new Result(scenario, steps * edges.length * groups.length <= KEPT_MAX)
  const world = new World(scenario, result)
  for (let step = 0; step < steps; step++) world.pass(step)
  return result
}

/** A connection until its end, by indexes. */
type Connection = { readonly edge: number; readonly group: number; readonly place: number }

class World {
  readonly #scenario: Scenario
  readonly #result: Result
  readonly #groups: readonly Group[]
  readonly #edges: readonly Edge[]
  /** By group: the index of its region. */
  readonly #regionOf: readonly number[]
  /** By member. */
  readonly #open: Int32Array
  readonly #random = new RandomNumbers(SEED)
  /** By step: who ends then. */
  readonly #ends = new Map<number, Connection[]>()
  #eventsPast = 0
  /** By edge: when it asks for the load again. */
  readonly #askDue: number[]

  constructor(scenario: Scenario, result: Result) {
    this.#scenario = scenario
    this.#result = result
    const locality: LocalityPolicy = {
      name: scenario.locality,
      affinity: 'NONE',
      minimumRingSize: MINIMUM_RING_SIZE,
    }
    this.#open = new Int32Array(scenario.groups.reduce((sum, { members }) => sum + members, 0))
    let firstId = 0
    this.#groups = scenario.groups.map((given) => {
      const group = new Group(given, locality, firstId, this.#open)
      firstId += given.members
      return group
    })
    this.#edges = scenario.edges.map((given, index) => new Edge(given, index, scenario, locality, this.#groups))
    this.#askDue = this.#edges.map(() => 0)
    this.#regionOf = scenario.groups.map(({ region }) => result.regions.indexOf(region))
  }

  pass(step: number): void {
    const { stepSeconds } = this.#scenario
    const second = step * stepSeconds
    for (const connection of this.#ends.get(step) ?? []) this.#count(connection, -1)
    this.#ends.delete(step)
    this.#happen(second)
    // Not some: each of them has to look.
    const changed = this.#groups.filter((group) => group.detect(second))
    if (changed.length > 0) this.#askDue.fill(second)
    for (const [index, edge] of this.#edges.entries()) {
      this.#ask(index, second)
      edge.spread(second)
      // A limit that is higher now holds some seconds later: in a long step, for all that come.
      if (stepSeconds > LONG_STEP_SECONDS) edge.spread(second + LONG_STEP_SECONDS)
    }
    for (const [index, edge] of this.#edges.entries()) {
      for (let count = edge.arrivals(second); count > 0; count--) this.#connect(index, step)
      this.#result.keepEdge(step, index, edge.open)
    }
    for (const [index, group] of this.#groups.entries()) {
      this.#result.keepGroup(step, index, group.connections, group.utilization)
    }
  }

  #happen(second: number): void {
    const { events, detectSeconds } = this.#scenario
    for (; this.#eventsPast < events.length && events[this.#eventsPast].atSeconds <= second; this.#eventsPast++) {
      const { region, workingPart, capacityScaler } = events[this.#eventsPast]
      for (const group of this.#groups) {
        if (group.given.region !== region) continue
        if (capacityScaler !== undefined) group.capacityScaler = capacityScaler
        if (workingPart === undefined) continue
        group.work(Math.round(workingPart * group.given.members), second + detectSeconds)
      }
      if (workingPart !== undefined) this.#loseConnections()
      this.#askDue.fill(second)
    }
  }

  /** Those of members that do not work are gone. */
  #loseConnections(): void {
    const works = ({ group, place }: Connection): boolean => place < this.#groups[group].working
    for (const [step, connections] of this.#ends) {
      for (const connection of connections) if (!works(connection)) this.#count(connection, -1)
      this.#ends.set(step, connections.filter(works))
    }
  }

  /** Not all edges ask at the same moments. */
  #ask(index: number, second: number): void {
    if (second < this.#askDue[index]) return
    const { reportSeconds, edges } = this.#scenario
    const isFirst = second === 0
    this.#askDue[index] = second + reportSeconds + (isFirst ? Math.floor((index * reportSeconds) / edges.length) : 0)
    this.#edges[index].ask(second)
  }

  #connect(edge: number, step: number): void {
    const tried: number[] = []
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const chosen = this.#edges[edge].choose(tried)
      if (chosen === undefined) break
      const { group, place } = chosen
      if (place < this.#groups[group].working) {
        this.#establish({ edge, group, place }, step)
        return
      }
      tried.push(this.#groups[group].members.ids[place])
    }
    this.#result.countServed(step, edge, this.#result.regions.length)
  }

  #establish(connection: Connection, step: number): void {
    const { stepSeconds, connectionSeconds } = this.#scenario
    // Above 0, so that the logarithm is a number.
    const fraction = (this.#random.below(0x4000_0000) + 1) / 0x4000_0000
    const end = step + Math.max(1, Math.round((-Math.log(fraction) * connectionSeconds) / stepSeconds))
    const ends = this.#ends.get(end)
    if (ends === undefined) this.#ends.set(end, [connection])
    else ends.push(connection)
    this.#count(connection, 1)
    this.#result.countServed(step, connection.edge, this.#regionOf[connection.group])
  }

  #count({ edge, group, place }: Connection, change: number): void {
    this.#edges[edge].open[group] += change
    this.#open[this.#groups[group].members.ids[place]] += change
  }
}
