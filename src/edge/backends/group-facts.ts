import type { OtherConnections, Utilization } from '../../balancing/view.ts'
import type { LoadReport } from '../../proxy-protocol/load-report.ts'
import type { GroupFacts } from './service-view.ts'

/** What an agent has said, and when. */
export type KnownLoad = {
  readonly report: LoadReport
  readonly atMs: number
  /** Connections of this edge to its port, of all services, at that time. */
  readonly ownThen: number
}

/** A member of a group as it is now. */
export type MemberFacts = {
  /** An operator has taken it out: it counts as no member. */
  readonly isDrained: boolean
  /** It gets connections. */
  readonly isUp: boolean
  readonly load: KnownLoad | undefined
}

/** What is known of a group without members, or of none at all. */
export const NOTHING_KNOWN: Omit<GroupFacts, 'connections'> = {
  members: 0,
  healthy: 0,
  drained: 0,
  utilization: undefined,
  others: undefined,
}

/**
 * What does not divide among edges goes to others after so long, by the clock on the wall, which all of them have: a prime
 * number of seconds, which no number of edges divides.
 */
const TURN_MS = 61_000

/**
 * A member counts for so many times its equal part of the group's target at most: what one agent says, be it wrong, then
 * fills no group of more members than that.
 */
const PARTS_MAX = 4

/**
 * Puts together what is known of a group.
 *
 * @param before the utilization of the group as it was last: there is another one only once every member has reported
 * again, so that whoever regulates by it sees each of its answers once
 * @param wallMs milliseconds since 1970
 * @param maxConnections of the group, if it has such a target
 */
export function gatherFacts(
  members: readonly MemberFacts[],
  before: Utilization | undefined,
  wallMs: number,
  maxConnections?: number,
): Omit<GroupFacts, 'connections'> {
  const counted = members.filter(({ isDrained }) => !isDrained)
  const healthy = counted.filter(({ isUp }) => isUp)
  const loads = healthy.flatMap(({ load }) => load ?? [])
  const memberMax =
    maxConnections === undefined ? Number.POSITIVE_INFINITY : Math.ceil((PARTS_MAX * maxConnections) / counted.length)
  return {
    members: counted.length,
    healthy: healthy.length,
    drained: members.length - counted.length,
    utilization: averageOf(loads, before),
    others: loads.length === healthy.length ? othersOf(loads, wallMs, memberMax) : undefined,
  }
}

function averageOf(loads: readonly KnownLoad[], before: Utilization | undefined): Utilization | undefined {
  if (loads.length === 0) return undefined
  const times = loads.map(({ atMs }) => atMs)
  if (before !== undefined && Math.min(...times) <= before.atMs) return before
  const sum = loads.reduce((total, { report }) => total + report.cpu_utilization, 0)
  return { average: sum / loads.length, atMs: Math.max(...times) }
}

/** Only if all that are healthy say it: part of them says nothing about the whole. */
function othersOf(loads: readonly KnownLoad[], wallMs: number, memberMax: number): OtherConnections | undefined {
  if (loads.length === 0) return undefined
  let connections = 0
  let ownThen = 0
  for (const load of loads) {
    const { open_connections: agents, port_connections: all = agents } = load.report
    // What is on its way to the agent, or has just left it, may make it a little less than ours.
    connections += Math.min(memberMax, Math.max(0, all - load.ownThen))
    ownThen += load.ownThen
  }
  return { connections, ownThen, atMs: wallMs - (wallMs % TURN_MS) }
}
