import type { Position } from '../../src/balancing/google-regions.ts'
import type { LocalityPolicyName, SpreadPolicy } from '../../src/balancing/policy.ts'
import type { Chart } from './chart.ts'
import type { Result } from './result.ts'

/** A world, what happens in it, and what is drawn of it. Times are seconds of a virtual clock, from 0 on. */
export type Scenario = {
  readonly name: string
  /** One sentence, for the list of scenarios. */
  readonly says: string
  readonly seconds: number
  /** Of the clock: what happens within one step happens at once. */
  readonly stepSeconds: number
  /** How often each edge hears of the load; it does at once when health changes. It spreads anew with every step. */
  readonly reportSeconds: number
  /** From a failure, or a recovery, until edges know: interval times threshold of the health check. */
  readonly detectSeconds: number
  readonly policy: SpreadPolicy
  readonly locality: LocalityPolicyName
  readonly positions: ReadonlyMap<string, Position>
  readonly groups: readonly SimulatedGroup[]
  readonly edges: readonly SimulatedEdge[]
  /** How long a connection lasts on average; the times are distributed exponentially. */
  readonly connectionSeconds: number
  /** In the order of their times. */
  readonly events: readonly SimulatedEvent[]
  chart(result: Result): Chart
}

export type SimulatedGroup = {
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly members: number
  /** CONNECTION: its target; undefined: it has none. */
  readonly maxConnections: number | undefined
  /** UTILIZATION: its target; undefined: it has none. */
  readonly maxUtilization: number | undefined
  /** The part of a member's processors that one connection takes. */
  readonly costOfConnection: number
}

/** An edge, with the clients whose nearest it is. */
export type SimulatedEdge = {
  readonly name: string
  readonly region: string
  readonly zone: string
  /** New connections per second. */
  rate(second: number): number
}

/** Something that an operator or fate does to all groups of a region. */
export type SimulatedEvent = {
  readonly atSeconds: number
  readonly says: string
  readonly region: string
  /** The part of the members that works from now on. */
  readonly workingPart?: number
  readonly capacityScaler?: number
}
