// Why a client gets the backend that it gets: the answer of `/why`, of an edge and of a controller that asks one.

import { isListOf, isNumber, isObjectOf, isOneOf, isOptional, isText } from '../snapshot/shape.ts'

/** Which connection is asked about. */
export type WhyQuestion = {
  /** The address of a client, or its address and port. */
  readonly client: string
  /** A forwarding rule; undefined: each. */
  readonly frontend: string | undefined
}

export type WhyAnswer =
  | { readonly kind: 'explained'; readonly explanations: readonly Explanation[] }
  /** The question cannot be answered; `problem` says what to ask instead. */
  | { readonly kind: 'refused'; readonly problem: string }

/** A region as an edge sees it. */
export type RegionStatus = {
  readonly region: string
  /** 0: the nearest. Regions of the same rank are equally near. */
  readonly rank: number
  /** By great circle; undefined: a position is not known. */
  readonly kilometres: number | undefined
  /** The shortest time to connect that health checks have seen lately; undefined: none has. */
  readonly connectMs: number | undefined
}

/** One client at one frontend, now. */
export type Explanation = {
  readonly client: string
  readonly frontend: string
  /** With the port, and `/udp` behind it where it is for UDP. */
  readonly address: string
  readonly service: string
  readonly edge: { readonly region: string | undefined; readonly zone: string | undefined; readonly edges: number }
  readonly policy: {
    readonly algorithm: string
    readonly failoverHealthThreshold: number
    readonly isolation: string
    readonly locality: string
    readonly affinity: string
  }
  /** Nearest first. */
  readonly regions: readonly RegionStatus[]
  /** In the order in which connections come to their groups. */
  readonly groups: readonly ExplainedGroup[]
  /** What a policy of hashes makes of the client; undefined: nothing, or it takes more than was asked about. */
  readonly affinity: { readonly hash: string; readonly slot: number | undefined } | undefined
  /** Connections open to the service, and those at which nobody is let in any more; undefined: no limit. */
  readonly open: number
  readonly openMax: number | undefined
  /** undefined: there is no backend, or the service has as many connections as it may, and the client is reset. */
  readonly choice:
    | {
        readonly group: string
        readonly backend: string
        readonly endpoint: string
        readonly region: string
        readonly reason: string
        readonly decidedBy: ChoiceDecider
      }
    | undefined
}

/**
 * - `client`: what was asked about decides, so that this client gets it
 * - `connection`: so does more than was asked about, its port or the address that it connects to
 * - `turns`: groups and backends have their turns, and this is one of those that may be next
 */
export const CHOICE_DECIDERS = ['client', 'connection', 'turns'] as const
export type ChoiceDecider = (typeof CHOICE_DECIDERS)[number]

/** Why a backend gets no connections; the first that holds. `unknown`: no health check has asked it yet. */
export const OUT_REASONS = ['drained', 'unhealthy', 'unknown', 'ejected', 'appDown'] as const
export type OutReason = (typeof OUT_REASONS)[number]

export type ExplainedGroup = {
  readonly name: string
  readonly region: string
  readonly zone: string
  /** From 0 on; undefined: it is in none, and gets nothing. */
  readonly level: number | undefined
  /** The part of connections that begin at its level. */
  readonly share: number
  /** The part of those of its level that it gets while it has room. */
  readonly part: number
  readonly state: string
  /** Backends that count: all but those that an operator has taken out; and those that get connections. */
  readonly members: number
  readonly healthy: number
  /** The others, by why they get none. */
  readonly out: Readonly<Record<OutReason, number>>
  /** Connections of all edges; undefined: there is no such target. */
  readonly target: number | undefined
  readonly maxUtilization: number | undefined
  readonly utilization: number | undefined
  readonly open: number
  readonly openElsewhere: number | undefined
  /** Connections of this edge at which it is full; undefined: no number. */
  readonly limit: number | undefined
}

const isRegion = isObjectOf({
  region: isText,
  rank: isNumber,
  kilometres: isOptional(isNumber),
  connectMs: isOptional(isNumber),
})
const isGroup = isObjectOf({
  name: isText,
  region: isText,
  zone: isText,
  level: isOptional(isNumber),
  share: isNumber,
  part: isNumber,
  state: isText,
  members: isNumber,
  healthy: isNumber,
  out: isObjectOf(Object.fromEntries(OUT_REASONS.map((reason) => [reason, isNumber]))),
  target: isOptional(isNumber),
  maxUtilization: isOptional(isNumber),
  utilization: isOptional(isNumber),
  open: isNumber,
  openElsewhere: isOptional(isNumber),
  limit: isOptional(isNumber),
})
const isExplanation = isObjectOf({
  client: isText,
  frontend: isText,
  address: isText,
  service: isText,
  edge: isObjectOf({ region: isOptional(isText), zone: isOptional(isText), edges: isNumber }),
  policy: isObjectOf({
    algorithm: isText,
    failoverHealthThreshold: isNumber,
    isolation: isText,
    locality: isText,
    affinity: isText,
  }),
  regions: isListOf(isRegion),
  groups: isListOf(isGroup),
  affinity: isOptional(isObjectOf({ hash: isText, slot: isOptional(isNumber) })),
  open: isNumber,
  openMax: isOptional(isNumber),
  choice: isOptional(
    isObjectOf({
      group: isText,
      backend: isText,
      endpoint: isText,
      region: isText,
      reason: isText,
      decidedBy: isOneOf(...CHOICE_DECIDERS),
    }),
  ),
})
const isExplained = isObjectOf({ kind: isOneOf('explained'), explanations: isListOf(isExplanation) })
const isRefused = isObjectOf({ kind: isOneOf('refused'), problem: isText })

/** Says whether a value from outside is an answer of this version. */
export function isWhyAnswer(value: unknown): value is WhyAnswer {
  return isExplained(value) || isRefused(value)
}
