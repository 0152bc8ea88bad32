import type { GroupView, ServiceView } from './view.ts'

/** Groups that are equally good for an edge: connections begin with the first level. */
export type Level = {
  /** By their places in the view, ascending. */
  readonly groups: readonly number[]
  /** Connections that find all of a level full go on inside its domain only. */
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
 * Groups that are PREFERRED come first, by region, whatever the algorithm is. With isolation each region is a domain, and
 * comes before the next one with all that it has; STRICT leaves out every region but the edge's own.
 */
export function arrangeLevels(view: ServiceView): Level[] {
  const { isolation } = view.policy
  const ranks = new Map(view.regionOrder.map(({ region, rank }) => [region, rank]))
  const rankOf = ({ region }: GroupView): number => ranks.get(region) ?? view.regionOrder.length
  const levels = new Map<string, { readonly order: readonly number[]; readonly groups: number[] }>()
  for (const [index, group] of view.groups.entries()) {
    if (isolation === 'STRICT' && view.region !== undefined && group.region !== view.region) continue
    const order = orderOf(view, group, rankOf(group))
    const key = order.join()
    const level = levels.get(key) ?? { order, groups: [] }
    levels.set(key, level)
    level.groups.push(index)
  }
  return [...levels.values()]
    .sort((a, b) => compareOrders(a.order, b.order))
    .map(({ order: [domain], groups }) => ({ groups, domain }))
}

/** The domain, preferred or not, how far the region is, how far the zone is. */
function orderOf({ policy, zone }: ServiceView, group: GroupView, rank: number): readonly number[] {
  const domain = policy.isolation === undefined ? 0 : rank
  if (group.preference === 'PREFERRED') return [domain, 0, rank, 0]
  // Where a region may not send to others, "the world" is what is near.
  if (policy.algorithm === 'SPRAY_TO_WORLD') return [domain, 1, 0, 0]
  const isBeyondZone = policy.algorithm === 'WATERFALL_BY_ZONE' && group.zone !== zone
  return [domain, 1, rank, isBeyondZone ? 1 : 0]
}

function compareOrders(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value - b[index]
  return 0
}
