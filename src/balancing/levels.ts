import type { GroupView, ServiceView } from './view.ts'

/** Groups that are equally good for an edge: connections begin with the first level. */
export type Level = {
  /** By their places in the view, ascending. */
  readonly groups: readonly number[]
  /** Connections that find all of a level full, or sick, go on inside its domain only. */
  readonly domain: number
}

/**
 * Puts the groups of a service in order, as its policy says; a group that is in no level never gets anything.
 *
 * Depends on what an operator writes and on the order of the regions, not on health or load.
 *
 * - WATERFALL_BY_REGION, SPRAY_TO_REGION: a level for each region. There is one layer of proxies here, so that nothing is
 *   left of what makes them differ at Google: who has which zone preferred by the proxies of a region.
 * - WATERFALL_BY_ZONE: the edge's own zone is a level of its own in front of its region.
 * - SPRAY_TO_WORLD: one level.
 *
 * Groups that are PREFERRED come first, by region, whatever the algorithm is. With isolation each region is a domain:
 * connections begin in the first one that has a healthy member; STRICT leaves out every region but the edge's own.
 */
export function arrangeLevels(view: ServiceView): Level[] {
  const { isolation } = view.policy
  const ranks = new Map(view.regionOrder.map(({ region, rank }) => [region, rank]))
  const levels = new Map<number, { readonly groups: number[]; readonly domain: number }>()
  for (const [index, group] of view.groups.entries()) {
    if (isolation === 'STRICT' && view.region !== undefined && group.region !== view.region) continue
    const rank = ranks.get(group.region) ?? view.regionOrder.length
    const domain = isolation === undefined ? 0 : rank
    const order = domain * ordersOfDomain(view) + orderInDomain(view, group, rank)
    const level = levels.get(order) ?? { groups: [], domain }
    levels.set(order, level)
    level.groups.push(index)
  }
  return [...levels].sort(([a], [b]) => a - b).map(([, level]) => level)
}

/** By how much the orders of two domains differ: more than any two inside one. */
function ordersOfDomain({ regionOrder }: ServiceView): number {
  return 3 * (regionOrder.length + 1)
}

/** PREFERRED groups by region; then all others by region, and, with zones, those of other zones behind the own one. */
function orderInDomain({ policy, zone, regionOrder }: ServiceView, group: GroupView, rank: number): number {
  if (group.preference === 'PREFERRED') return rank
  const first = regionOrder.length + 1
  // Where a region may not send to others, "the world" is what is near.
  if (policy.algorithm === 'SPRAY_TO_WORLD') return first
  const isBeyondZone = policy.algorithm === 'WATERFALL_BY_ZONE' && group.zone !== zone
  return first + 2 * rank + (isBeyondZone ? 1 : 0)
}
