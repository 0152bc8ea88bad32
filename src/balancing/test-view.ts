// For tests: views of a service, where all is healthy and has room but what a test says.
import { DEFAULT_SPREAD_POLICY, type SpreadPolicy } from './policy.ts'
import { spread } from './spread.ts'
import type { GroupView, ServiceView } from './view.ts'

let made = 0

/** A group of ten healthy members; `name`, if left out, is another one each time. */
export function groupView(given: Partial<GroupView> = {}): GroupView {
  const members = given.members ?? 10
  const region = given.region ?? 'here'
  return {
    name: `group-${made++}`,
    region,
    zone: `${region}-a`,
    preference: 'DEFAULT',
    capacityScaler: 1,
    members,
    healthy: members,
    drained: 0,
    targetConnections: undefined,
    maxUtilization: undefined,
    utilization: undefined,
    connections: 0,
    others: undefined,
    ...given,
  }
}

/** One edge in the region of the first group; regions are the nearer the earlier they come. */
export function serviceView(
  groups: readonly GroupView[],
  policy: Partial<SpreadPolicy> = {},
  given: Partial<ServiceView> = {},
): ServiceView {
  const regions = [...new Set(groups.map(({ region }) => region))]
  return {
    policy: { ...DEFAULT_SPREAD_POLICY, ...policy },
    region: regions[0],
    zone: groups[0]?.zone,
    regionOrder: regions.map((region, rank) => ({ region, rank, kilometres: 1000 * rank })),
    edges: { count: 1, index: 0 },
    groups,
    ...given,
  }
}

/** The part of connections that begins at each level. */
export function levelShares(view: ServiceView): number[] {
  return spread(view, new Map(), 0).levels.map(({ share }) => share)
}
