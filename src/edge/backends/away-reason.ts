import type { GroupState, Spread } from '../../balancing/spread.ts'
import type { ServiceView } from '../../balancing/view.ts'
import type { Affinity } from '../../snapshot/snapshot.ts'
import type { RegionReason } from '../../telemetry/region-reasons.ts'

/** States of a group that gets nothing because an operator, or `autoCapacityDrain`, says so. */
const DRAINED: readonly GroupState[] = ['off', 'drained', 'isolated']

/**
 * Why connections go elsewhere though the groups of the nearest region are below their targets. Where those are full,
 * whoever chooses sees it himself.
 *
 * @param isNearest by place: whether a group is of the nearest region
 */
export function awayReason(
  { policy, groups: views }: ServiceView,
  { levels, groups }: Spread,
  isNearest: readonly boolean[],
  affinity: Affinity,
): RegionReason {
  const near = groups.filter((_, place) => isNearest[place])
  if (near.every(({ state }) => DRAINED.includes(state))) return 'drained'
  if (near.every(({ state }) => state === 'unhealthy' || DRAINED.includes(state))) return 'unhealthy'
  const first = levels.find(({ share, groups: places }) => share > 0 && places.some((place) => isNearest[place]))
  const isMixed = first?.groups.some((place) => !isNearest[place])
  if (isMixed && policy.algorithm === 'SPRAY_TO_WORLD') return affinity === 'NONE' ? 'spray' : 'affinity'
  const before = levels.slice(0, first === undefined ? levels.length : levels.indexOf(first))
  const isBehindPreferred = before.some(
    ({ share, groups: places }) => share > 0 && places.some((place) => views[place].preference === 'PREFERRED'),
  )
  return isBehindPreferred ? 'preferred' : 'unhealthy'
}
