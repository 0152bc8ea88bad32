import { targetConnections } from '../../balancing/capacity.ts'
import { type LocalityPolicy, MINIMUM_RING_SIZE, type SpreadPolicy } from '../../balancing/policy.ts'
import type { GroupView, LiveEdges, RankedRegion, ServiceView } from '../../balancing/view.ts'
import type { BackendGroup, BackendService, Spreading } from '../../snapshot/snapshot.ts'

/** What an edge knows of a group at one moment, beside its configuration. */
export type GroupFacts = Pick<GroupView, 'members' | 'healthy' | 'drained' | 'utilization' | 'connections' | 'others'>

/** Where an edge is, and what it knows of others. */
export type Surroundings = {
  readonly region: string | undefined
  readonly zone: string | undefined
  readonly regionOrder: readonly RankedRegion[]
  readonly edges: LiveEdges
}

/** A service as this edge sees it now. @param factsOf by the place of a group in the service */
export function serviceView(
  service: Pick<BackendService, 'groups' | 'spreading'>,
  surroundings: Surroundings,
  factsOf: (place: number) => GroupFacts,
): ServiceView {
  const { region, zone, regionOrder, edges } = surroundings
  return {
    policy: spreadPolicy(service.spreading),
    region,
    zone,
    regionOrder,
    edges,
    groups: service.groups.map((group, place) => groupView(group, factsOf(place))),
  }
}

function groupView({ name, region, zone, isPreferred, balancing }: BackendGroup, facts: GroupFacts): GroupView {
  const { maxConnections, maxUtilization, capacityScaler } = balancing
  const { members, healthy, drained, utilization, connections, others } = facts
  return {
    name,
    region,
    zone,
    preference: isPreferred ? 'PREFERRED' : 'DEFAULT',
    capacityScaler,
    members,
    healthy,
    drained,
    targetConnections: targetConnections(maxConnections, capacityScaler),
    maxUtilization,
    utilization,
    connections,
    others,
  }
}

function spreadPolicy({ algorithm, failoverHealthThreshold, drainsUnhealthy, isolation }: Spreading): SpreadPolicy {
  return {
    algorithm,
    // 0.57 times 100 is less than 57.
    failoverHealthThreshold: Math.round(100 * failoverHealthThreshold),
    drainsCapacity: drainsUnhealthy,
    isolation: isolation === 'NONE' ? undefined : isolation,
  }
}

/** How backends of each group of a service are chosen. */
export function localityPolicy({ locality, affinity }: Pick<BackendService, 'locality' | 'affinity'>): LocalityPolicy {
  const minimumRingSize = locality.kind === 'RING_HASH' ? locality.minimumRingSize : MINIMUM_RING_SIZE
  return { name: locality.kind, affinity, minimumRingSize }
}
