import type { LiveEdges, OtherConnections } from './view.ts'

/** How a backend of a service gives its target of connections; at most one of them. */
export type ConnectionTarget = {
  readonly maxConnections: number | undefined
  readonly maxConnectionsPerInstance: number | undefined
  readonly maxConnectionsPerEndpoint: number | undefined
}

/**
 * The connections of the whole load balancer at which a group is full; undefined: it has no such bound.
 *
 * That of each instance or endpoint counts for all members, not only for the healthy ones, as Google has it.
 */
export function targetConnections(
  target: ConnectionTarget,
  members: number,
  capacityScaler: number,
): number | undefined {
  const perMember = target.maxConnectionsPerInstance ?? target.maxConnectionsPerEndpoint
  const all = target.maxConnections ?? (perMember === undefined ? undefined : perMember * members)
  return all === undefined ? undefined : all * capacityScaler
}

/**
 * The connections of this edge at which a group is full, so that the whole load balancer keeps within `target`.
 *
 * Edges share the room that is left, each to the connections that it had then; what does not divide goes to the first of
 * them. So the limits of all edges that looked at the same moment come to the target exactly. Where nobody knows the
 * connections of others, each edge has its part of the target.
 */
export function connectionLimit(target: number, others: OtherConnections | undefined, edges: LiveEdges): number {
  const own = others?.ownThen ?? 0
  const room = Math.floor(target) - own - (others?.connections ?? 0)
  return Math.max(0, own + Math.floor((room + edges.count - 1 - edges.index) / edges.count))
}
