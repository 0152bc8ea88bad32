import type { LiveEdges, OtherConnections } from './view.ts'

/**
 * The connections of the whole load balancer at which a group is full; undefined: it has no such bound.
 *
 * @param maxConnections of the group: what is given for each instance or endpoint, times all members, not only the
 * healthy ones, as Google has it; scaled down, at least one of them is left
 */
export function targetConnections(maxConnections: number | undefined, capacityScaler: number): number | undefined {
  if (maxConnections === undefined) return undefined
  const target = maxConnections * capacityScaler
  return target === 0 ? 0 : Math.max(1, target)
}

/** The part of the room that is shared by what each edge has already; the rest is shared equally. */
const PART_BY_USE = 0.75

/**
 * The connections of this edge at which a group is full, so that the whole load balancer keeps within `target`.
 *
 * Edges share the room that is left. Most of it goes to those that use the group, in proportion, because they are the near
 * ones and would fill it; the rest is shared equally, so that every edge can begin to. Above the target all of them go
 * down in proportion. So the limits of edges that looked at the same moment never come to more than the target, and those
 * of edges that looked at different ones do not after {@link settledLimit}. Where nobody knows the connections of others,
 * each edge has its part of the target.
 *
 * @param turn equal on all edges; what does not divide goes to other edges with another turn
 */
export function connectionLimit(
  target: number,
  others: Pick<OtherConnections, 'connections' | 'ownThen'> | undefined,
  { count, index }: LiveEdges,
  turn: number,
): number {
  const equalPart = (room: number): number => Math.floor((room + ((index + turn) % count)) / count)
  if (others === undefined) return equalPart(Math.floor(target))
  const own = others.ownThen
  // Below 0: the agents have not heard of all of ours.
  const total = own + Math.max(0, others.connections)
  const room = Math.floor(target) - total
  if (room < 0) return Math.floor((own * target) / total)
  const byUse = total === 0 ? 0 : Math.floor(PART_BY_USE * room)
  return own + (byUse === 0 ? 0 : Math.floor((byUse * own) / total)) + equalPart(room - byUse)
}

/** What is remembered of the limit of a group between two looks. */
export type LimitMemory = {
  /** undefined: nothing yet. */
  limit: number | undefined
  /** The lowest of those that were higher since then, without a break; undefined: the last one was not. */
  higher: number
  higherSinceMs: number | undefined
  /** Connections of this edge, as they were known then. */
  own: number
}

/** By then every other edge has looked again: agents are asked every five seconds, and a look is made once a second. */
const SETTLES_MS = 6_000

/**
 * The limit that holds: a lower one at once, a higher one only after every other edge has seen what is used of the present
 * one.
 *
 * Edges look at different moments. What one has used since another looked is room for that one until it looks again, and
 * would be given away twice.
 *
 * @param own connections of this edge when others were counted
 */
export function settledLimit(
  memory: LimitMemory,
  limit: number,
  own: number,
  { count }: LiveEdges,
  nowMs: number,
): number {
  if (memory.limit === undefined || count === 1 || limit <= memory.limit) {
    memory.limit = limit
    memory.higherSinceMs = undefined
  } else if (memory.higherSinceMs === undefined || own > memory.own) {
    beginHigher(memory, limit, own, nowMs)
  } else {
    memory.higher = Math.min(memory.higher, limit)
    if (nowMs - memory.higherSinceMs < SETTLES_MS) return memory.limit
    memory.limit = memory.higher
    beginHigher(memory, limit, own, nowMs)
  }
  return memory.limit
}

function beginHigher(memory: LimitMemory, limit: number, own: number, nowMs: number): void {
  memory.higher = limit
  memory.higherSinceMs = nowMs
  memory.own = own
}

/** The memory of a group that was not seen before. */
export function newLimitMemory(): LimitMemory {
  return { limit: undefined, higher: 0, higherSinceMs: undefined, own: 0 }
}
