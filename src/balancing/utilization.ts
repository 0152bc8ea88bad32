import type { Utilization } from './view.ts'

/** What is remembered of a group between two looks. */
export type UtilizationMemory = {
  /** Connections of this edge above which nothing more comes; infinite: nothing is held back. */
  limit: number
  /** That of the average which was seen last. */
  seenAtMs: number
  /** Averages in a row by which nothing would have to be held back. */
  calmAverages: number
}

/** Of the way from the limit to what the last average says is right: averages are late, and one overshoots. */
const DAMPING = 0.5
/** On the way back, of the limit, with each new average; and as many connections, for a limit near 0. */
const GROWTH = 0.1
const GROWTH_CONNECTIONS = 1
/** Below this part of the target, and with so few of the connections that are let in, nothing is held back any more. */
const RELEASED_BELOW = 0.9
/** For so many averages in a row: with few connections one of them may end just when it is looked. */
const RELEASED_AFTER = 2

/** The memory of a group that was not seen before. */
export function newUtilizationMemory(): UtilizationMemory {
  return { limit: Number.POSITIVE_INFINITY, seenAtMs: Number.NEGATIVE_INFINITY, calmAverages: 0 }
}

/**
 * The connections of this edge that keep a group at its target utilization; infinite below it.
 *
 * A connection stands for its part of the average, so that `connections * target / average` of them would be right. Above
 * the target the limit goes half of the way there with each new average, so that only the excess leaves. Back it grows
 * by a tenth at most, and is gone once the group is clearly below its target without being held there. Every edge does
 * this to its own connections, in the same proportion. An unknown average holds nothing back.
 */
export function utilizationLimit(
  memory: UtilizationMemory,
  utilization: Utilization | undefined,
  target: number,
  connections: number,
): number {
  if (utilization === undefined) {
    memory.limit = Number.POSITIVE_INFINITY
    return memory.limit
  }
  if (utilization.atMs <= memory.seenAtMs) return memory.limit
  memory.seenAtMs = utilization.atMs
  const { average } = utilization
  const isHeld = memory.limit !== Number.POSITIVE_INFINITY
  const isCalm = isHeld && average < RELEASED_BELOW * target && connections < RELEASED_BELOW * memory.limit
  memory.calmAverages = isCalm ? memory.calmAverages + 1 : 0
  if (average > target) {
    const from = isHeld ? memory.limit : connections
    memory.limit = from + DAMPING * ((connections * target) / average - from)
  } else if (isHeld) {
    // An idle host says 0, also where this edge has no connections: no number of them would be too many.
    const right = average === 0 ? Number.POSITIVE_INFINITY : (connections * target) / average
    memory.limit = memory.calmAverages >= RELEASED_AFTER ? Number.POSITIVE_INFINITY : grown(memory.limit, right)
  }
  return memory.limit
}

/** @param right what the average says, infinite where nothing is used */
function grown(limit: number, right: number): number {
  const step = Math.min(DAMPING * (right - limit), GROWTH * limit + GROWTH_CONNECTIONS)
  // With few connections the average says little about one more of them: near 0 the limit still grows.
  return limit + Math.max(step, limit < GROWTH_CONNECTIONS ? GROWTH_CONNECTIONS : 0)
}
