import { type DrainMemory, updateDrained } from './auto-drain.ts'
import { connectionLimit, type LimitMemory, newLimitMemory, settledLimit } from './capacity.ts'
import { hashText, rehash, SEED } from './hash.ts'
import { arrangeLevels, type Level } from './levels.ts'
import { newUtilizationMemory, type UtilizationMemory, utilizationLimit } from './utilization.ts'
import type { GroupView, ServiceView } from './view.ts'

/** Where the new connections of a service go, of one edge, until something changes. */
export type Spread = {
  /** The first comes first. */
  readonly levels: readonly SpreadLevel[]
  /** By their places in the view. */
  readonly groups: readonly GroupSpread[]
}

export type SpreadLevel = Level & {
  /** The part of connections that begin here, 0 to 1; in sum 1, or 0 where no backend is healthy. */
  readonly share: number
}

export type GroupSpread = {
  /** The part of its level's connections that it gets while it is not full, relative to the others there. */
  readonly weight: number
  /** Connections of this edge at which it is full; infinite: never. */
  readonly limit: number
  readonly state: GroupState
}

/**
 * - `serving`: it gets its part. `overflowing`: below the failover threshold, a part of its part goes on
 * - `full-connections`, `full-utilization`: at the limit, by the one or the other bound
 * - `unhealthy`: without a healthy member. `drained`: by `autoCapacityDrain`, or by an operator, backend by backend
 * - `off`: its `capacityScaler` is 0. `isolated`: of a region that STRICT leaves out
 */
export type GroupState =
  | 'serving'
  | 'overflowing'
  | 'full-connections'
  | 'full-utilization'
  | 'unhealthy'
  | 'drained'
  | 'off'
  | 'isolated'

/** What is remembered of a service from one {@link spread} to the next. */
export type SpreadMemory = Map<string, GroupMemory>
export type GroupMemory = {
  readonly drain: DrainMemory
  readonly utilization: UtilizationMemory
  readonly limit: LimitMemory
  /** Another one for each group, the same on all edges. */
  readonly firstTurn: number
}

/**
 * Spreads the connections of a service over its groups. Pure but for `memory`, which it keeps up to date; to be called
 * whenever something has changed, and at least once a second.
 */
export function spread(view: ServiceView, memory: SpreadMemory, nowMs: number): Spread {
  forgetOthers(view, memory)
  const memoryOf = (name: string): GroupMemory => memoryOfGroup(memory, name)
  const used = view.groups.filter(({ capacityScaler }) => capacityScaler > 0)
  if (view.policy.drainsCapacity) updateDrained(used, view.groups.length, (name) => memoryOf(name).drain, nowMs)
  else for (const { drain } of memory.values()) drain.isDrained = false
  const levels = arrangeLevels(view)
  const placed = new Set(levels.flatMap(({ groups }) => groups))
  // Numbers of connections and of members cannot be compared: where one group has no target, members count.
  const weighsTargets = used.every(({ targetConnections }) => targetConnections !== undefined)
  const couldServe = ({ healthy, capacityScaler }: GroupView, index: number): boolean =>
    healthy > 0 && capacityScaler > 0 && placed.has(index)
  const isDrained = ({ name }: GroupView): boolean => memoryOf(name).drain.isDrained
  // Few healthy members are better than none: where nobody else has any, those of drained groups serve.
  const drains = view.groups.some((group, index) => couldServe(group, index) && !isDrained(group))
  const groups = view.groups.map((group, index) =>
    spreadGroup(view, group, memoryOf(group.name), {
      weighsTargets,
      isPlaced: placed.has(index),
      isDrained: drains && isDrained(group),
      nowMs,
    }),
  )
  const shares = sharesOf(healthsWhereAny(levels.map((level) => ({ ...level, health: healthOf(level, view, groups) }))))
  return { levels: levels.map((level, index) => ({ ...level, share: shares[index] })), groups }
}

/** By level: its health; 0 beyond the first domain with any, which keeps what its sick members do not take. */
function healthsWhereAny(levels: readonly (Level & { readonly health: number })[]): number[] {
  const first = levels.find(({ health }) => health > 0)
  return levels.map(({ domain, health }) => (domain === first?.domain ? health : 0))
}

/**
 * How connections flow down levels of such health, as through Envoy's priorities: each takes what is left up to its
 * health; where all of them together are below 1, each has its part of the sum.
 */
export function sharesOf(healths: readonly number[]): number[] {
  let left = 1
  const shares = healths.map((health) => {
    const share = Math.min(left, health)
    left -= share
    return share
  })
  const sum = 1 - left
  return sum === 0 ? shares : shares.map((share) => share / sum)
}

/** The health of members, 1 from the threshold on: above it the healthy ones take what the others do not. */
export function effectiveHealth(healthy: number, members: number, failoverHealthThreshold: number): number {
  return members === 0 ? 0 : Math.min(1, (100 * healthy) / (members * failoverHealthThreshold))
}

/** Of all members that could get something. */
function healthOf(level: Level, { groups, policy }: ServiceView, spreads: readonly GroupSpread[]): number {
  let members = 0
  let healthy = 0
  for (const index of level.groups) {
    if (spreads[index].state === 'off' || spreads[index].state === 'drained') continue
    members += groups[index].members
    healthy += groups[index].healthy
  }
  return effectiveHealth(healthy, members, policy.failoverHealthThreshold)
}

/** What `spread` has found out about a group beside its view. */
type GroupSituation = {
  readonly weighsTargets: boolean
  readonly isPlaced: boolean
  readonly isDrained: boolean
  readonly nowMs: number
}

function spreadGroup(
  view: ServiceView,
  group: GroupView,
  memory: GroupMemory,
  { weighsTargets, isPlaced, isDrained, nowMs }: GroupSituation,
): GroupSpread {
  const { members, healthy, drained, capacityScaler, connections, maxUtilization } = group
  const byConnections = limitByConnections(view, group, memory, nowMs)
  // What a group reports while it is off says nothing about what it takes once it is on again.
  const utilization = capacityScaler === 0 ? undefined : group.utilization
  const byUtilization =
    maxUtilization === undefined
      ? Number.POSITIVE_INFINITY
      : utilizationLimit(memory.utilization, utilization, maxUtilization * capacityScaler, connections)
  // Whole, as workers have it: who explains a group must not call it full sooner or later than they do.
  const limit = Math.round(Math.min(byConnections, byUtilization))
  const without = (state: GroupState): GroupSpread => ({ weight: 0, limit, state })
  if (capacityScaler === 0) return without('off')
  if (!isPlaced) return without('isolated')
  if (isDrained) return without('drained')
  if (healthy === 0) return without(members === 0 && drained > 0 ? 'drained' : 'unhealthy')
  const health = effectiveHealth(healthy, members, view.policy.failoverHealthThreshold)
  const capacity = weighsTargets ? (group.targetConnections ?? 0) : members * capacityScaler
  const weight = capacity * health
  if (connections >= limit)
    return { weight, limit, state: byUtilization < byConnections ? 'full-utilization' : 'full-connections' }
  return { weight, limit, state: health < 1 ? 'overflowing' : 'serving' }
}

function limitByConnections({ edges }: ServiceView, group: GroupView, memory: GroupMemory, nowMs: number): number {
  const { targetConnections, others } = group
  if (targetConnections === undefined) return Number.POSITIVE_INFINITY
  const limit = connectionLimit(targetConnections, others, edges, turnOf(group, memory))
  return settledLimit(memory.limit, limit, others?.ownThen ?? 0, edges, nowMs)
}

/** Another one with each report, so that what does not divide is not always for the same edges. */
function turnOf({ others }: GroupView, { firstTurn }: GroupMemory): number {
  // Not a sum: moments come every five seconds, and so would only every fifth edge of five.
  return rehash(firstTurn, Math.floor((others?.atMs ?? 0) / 1000)) >>> 1
}

function memoryOfGroup(memory: SpreadMemory, name: string): GroupMemory {
  const known = memory.get(name)
  if (known !== undefined) return known
  const group = {
    drain: { isDrained: false, recoveredSinceMs: undefined },
    utilization: newUtilizationMemory(),
    limit: newLimitMemory(),
    firstTurn: hashText(name, SEED) >>> 1,
  }
  memory.set(name, group)
  return group
}

function forgetOthers({ groups }: ServiceView, memory: SpreadMemory): void {
  const names = new Set(groups.map(({ name }) => name))
  for (const name of memory.keys()) if (!names.has(name)) memory.delete(name)
}
