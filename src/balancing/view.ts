import type { Preference, SpreadPolicy } from './policy.ts'

/** One service as one edge sees it at one moment: all that `spread` knows. */
export type ServiceView = {
  readonly policy: SpreadPolicy
  /** Where the edge runs; undefined: not known, and all groups are equally near. */
  readonly region: string | undefined
  readonly zone: string | undefined
  /** The regions of the groups, nearest first: `region-order.ts`, or by what is measured `proximity.ts`. */
  readonly regionOrder: readonly RankedRegion[]
  readonly edges: LiveEdges
  readonly groups: readonly GroupView[]
}

/** A region and how near it is. */
export type RankedRegion = {
  readonly region: string
  /** 0: the nearest. Regions of the same rank are equally near. */
  readonly rank: number
  /** By great circle, to be shown; undefined: a position is not known. */
  readonly kilometres: number | undefined
}

/** The edges that share the targets of a service: how many, and which of them this one is, in the order of their names. */
export type LiveEdges = { readonly count: number; readonly index: number }

/** A group of a service. */
export type GroupView = {
  /** Unique within its service, and the same on all edges. */
  readonly name: string
  readonly region: string
  readonly zone: string
  readonly preference: Preference
  /** 0: the group gets nothing. Already in {@link GroupView.targetConnections}; not in `maxUtilization`. */
  readonly capacityScaler: number
  readonly members: number
  readonly healthy: number
  /** Those that an operator has taken out, beside its members. */
  readonly drained: number
  /** Connections of the whole load balancer at which the group is full; undefined: no such bound. See `capacity.ts`. */
  readonly targetConnections: number | undefined
  /** Part of the processors in use at which the group is full, 0 to 1; undefined: no such bound. */
  readonly maxUtilization: number | undefined
  /** What its healthy members reported last; undefined: nothing that is known counts. */
  readonly utilization: Utilization | undefined
  /** Connections of this edge, now. */
  readonly connections: number
  /** Those of all other edges, where agents report them; undefined: unknown. */
  readonly others: OtherConnections | undefined
}

/** The average over the healthy members that report. */
export type Utilization = {
  /** Part of the processors in use, 0 to 1. */
  readonly average: number
  /** When it became known: an average with the same time as the one before it is the same, and says nothing new. */
  readonly atMs: number
}

/**
 * Connections of all other edges at one moment, and those of this edge at the same moment.
 *
 * Targets hold exactly when all edges look at the same moments, such as whole multiples of five seconds; see `connectionLimit` of capacity.ts.
 */
export type OtherConnections = { readonly connections: number; readonly ownThen: number; readonly atMs: number }
