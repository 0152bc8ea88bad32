import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, parseIpAddress, unmapAddress } from '../address/ip-address.ts'
import type { LocalityPolicy } from '../balancing/policy.ts'
import type { GroupSpread, Spread } from '../balancing/spread.ts'
import type { ServiceView } from '../balancing/view.ts'
import { formatServedPort } from '../dataplane/worker/program.ts'
import { frontendEndpoint } from '../snapshot/frontend-endpoint.ts'
import type { BackendService, Frontend, Snapshot } from '../snapshot/snapshot.ts'
import {
  type ChoiceDecider,
  type ExplainedGroup,
  type Explanation,
  OUT_REASONS,
  type OutReason,
  type WhyAnswer,
  type WhyQuestion,
} from '../telemetry/edge-why.ts'
import { REGION_REASONS } from '../telemetry/region-reasons.ts'
import type { BackendState, BackendStates } from './backends/backend-states.ts'
import { placedGroups } from './backends/edge-ids.ts'
import type { RegionDistances } from './backends/region-distances.ts'
import type { Spreads } from './backends/spreads.ts'
import { Availability } from './balance/availability.ts'
import type { BackendTable } from './balance/backend-table.ts'
import { BackendChooser } from './balance/choose-backend.ts'
import type { Plan } from './balance/plan.ts'
import { NO_CAP, ServiceCell } from './balance/service-cells.ts'
import { servedPort } from './frontends/frontends.ts'
import { regionStatus } from './status.ts'

/** An explanation looks at every backend of a service, on the thread that probes them. */
const FRONTENDS_MAX = 20

/** What an explanation is made of. */
export type WhySource = {
  readonly snapshot: Snapshot
  readonly table: BackendTable
  readonly spreads: Pick<Spreads, 'planOf' | 'stateOf' | 'edges'>
  readonly distances: RegionDistances
  readonly states: Pick<BackendStates, 'state'>
}

/** Explains, by the code that workers choose with, which backend a client gets now, and why. */
export function explain({ client: text, frontend: name }: WhyQuestion, source: WhySource): WhyAnswer {
  const client = readClient(text)
  if (client === undefined) {
    return refused(`${JSON.stringify(text)} is not a client; give its address, such as 192.0.2.7 or 192.0.2.7:51234`)
  }
  const { frontends, services } = source.snapshot
  const asked = name === undefined ? frontends : frontends.filter((frontend) => frontend.name === name)
  if (asked.length === 0) {
    const known = frontends.length === 0 ? 'it has none' : `it has ${listed(frontends.map((one) => one.name))}`
    return refused(`The edge has no frontend ${JSON.stringify(name ?? '')}; ${known}`)
  }
  const reachable = asked.filter((frontend) => canReach(client, frontendEndpoint(frontend)))
  if (reachable.length === 0) {
    const family = `IPv${client.address.family}`
    return refused(`A client with ${family} does not reach this frontend; give an address of the other family`)
  }
  if (reachable.length > FRONTENDS_MAX) {
    return refused(`The edge has ${reachable.length} frontends; name one of them`)
  }
  const byName = new Map(services.map((service) => [service.name, service]))
  const explanations = reachable.flatMap((frontend) => {
    const service = byName.get(frontend.service)
    return service === undefined ? [] : explainOne(client, frontend, service, source)
  })
  return { kind: 'explained', explanations }
}

/** Clients of both families come to the wildcard of IPv6. */
function canReach(client: Endpoint, { address }: Endpoint): boolean {
  if (address.family === client.address.family) return true
  return address.family === 6 && classifyAddress(address) === 'unspecified'
}

function listed(names: readonly string[]): string {
  if (names.length <= FRONTENDS_MAX) return names.join(', ')
  return `${names.slice(0, FRONTENDS_MAX).join(', ')} and ${names.length - FRONTENDS_MAX} more`
}

function refused(problem: string): WhyAnswer {
  return { kind: 'refused', problem }
}

function readClient(text: string): Endpoint | undefined {
  const address = parseIpAddress(text)
  const client = address === undefined ? parseEndpoint(text) : { address, port: 0 }
  // As a worker sees it, whose sockets take clients of both families.
  return client && { address: unmapAddress(client.address), port: client.port }
}

function explainOne(
  client: Endpoint,
  frontend: Frontend,
  service: BackendService,
  { table, spreads, distances, states }: WhySource,
): Explanation {
  const { view, spread } = spreads.stateOf(service)
  const plan = spreads.planOf(service)
  const destination = frontendEndpoint(frontend)
  const open = Atomics.load(plan.service, ServiceCell.open)
  const openMax = Atomics.load(plan.service, ServiceCell.openMax)
  const { failoverHealthThreshold, algorithm, isolation = 'none' } = view.policy
  const chooser = new BackendChooser(plan, table.cells, 0)
  return {
    client: client.port === 0 ? formatIpAddress(client.address) : formatEndpoint(client),
    frontend: frontend.name,
    address: formatServedPort(servedPort(frontend)),
    service: service.name,
    edge: { region: view.region, zone: view.zone, edges: view.edges.count },
    policy: {
      algorithm,
      failoverHealthThreshold,
      isolation,
      locality: plan.locality.name,
      affinity: plan.locality.affinity,
    },
    regions: view.regionOrder.map((ranked) => regionStatus(ranked, distances)),
    groups: explainGroups(view, spread, outOf(service, states)),
    affinity: isWhole(plan.locality, client, destination) ? chooser.explainHash(client, destination) : undefined,
    open,
    openMax: openMax === NO_CAP ? undefined : openMax,
    choice: open >= openMax ? undefined : explainChoice(chooser, plan, client, destination),
  }
}

/** By the places of groups: backends that get no connections, and why. */
function outOf(service: BackendService, states: WhySource['states']): ExplainedGroup['out'][] {
  return placedGroups(service).map(({ backends }) => {
    const out = Object.fromEntries(OUT_REASONS.map((reason) => [reason, 0])) as Record<OutReason, number>
    for (const { idKey } of backends) {
      const reason = outReason(states.state(idKey))
      if (reason !== undefined) out[reason]++
    }
    return out
  })
}

function outReason(state: BackendState | undefined): OutReason | undefined {
  if (state?.availability === Availability.up) return undefined
  if (state?.isDrained) return 'drained'
  if (state === undefined || state.health === 'UNKNOWN') return 'unknown'
  if (state.health === 'UNHEALTHY') return 'unhealthy'
  return state.isEjected ? 'ejected' : 'appDown'
}

function explainGroups(
  { groups: views }: ServiceView,
  { levels, groups }: Spread,
  out: readonly ExplainedGroup['out'][],
): ExplainedGroup[] {
  const levelOf = (place: number): number => levels.findIndex((level) => level.groups.includes(place))
  return groups
    .map((group, place) => {
      const level = levels[levelOf(place)]
      const total = level?.groups.reduce((sum, other) => sum + groups[other].weight, 0) ?? 0
      return {
        ...explainGroup(views[place], group),
        out: out[place],
        level: level === undefined ? undefined : levels.indexOf(level),
        share: level?.share ?? 0,
        part: total === 0 ? 0 : group.weight / total,
      }
    })
    .sort((a, b) => (a.level ?? levels.length) - (b.level ?? levels.length))
}

function explainGroup(
  view: ServiceView['groups'][number],
  { limit, state }: GroupSpread,
): Omit<ExplainedGroup, 'out' | 'level' | 'share' | 'part'> {
  return {
    name: view.name,
    region: view.region,
    zone: view.zone,
    state,
    members: view.members,
    healthy: view.healthy,
    target: view.targetConnections,
    maxUtilization: view.maxUtilization === undefined ? undefined : view.maxUtilization * view.capacityScaler,
    utilization: view.utilization?.average,
    open: view.connections,
    openElsewhere: view.others?.connections,
    limit: Number.isFinite(limit) ? limit : undefined,
  }
}

function explainChoice(
  chooser: BackendChooser,
  { groups, locality }: Plan,
  client: Endpoint,
  destination: Endpoint,
): Explanation['choice'] {
  const candidate = chooser.first(client, destination)
  if (candidate === undefined) return undefined
  const { id, groupId, endpoint } = candidate
  const group = groups.find((one) => one.id === groupId)
  const name = chooser.nameOf(id, groupId) ?? ''
  return {
    group: group?.name ?? '',
    backend: name.slice((group?.name.length ?? 0) + 1),
    endpoint: formatEndpoint(endpoint),
    region: group?.region ?? '',
    reason: REGION_REASONS[chooser.regionCode],
    decidedBy: deciderOf(locality, client, destination),
  }
}

function deciderOf(locality: LocalityPolicy, client: Endpoint, destination: Endpoint): ChoiceDecider {
  const isLookedUp = locality.name === 'MAGLEV' || locality.name === 'RING_HASH'
  if (!isLookedUp || locality.affinity === 'NONE') return 'turns'
  return isWhole(locality, client, destination) ? 'client' : 'connection'
}

/** Reports whether all that is hashed of a connection is known: ports may not be, nor the address behind a wildcard. */
function isWhole({ affinity }: LocalityPolicy, client: Endpoint, destination: Endpoint): boolean {
  if (classifyAddress(destination.address) === 'unspecified') return false
  return client.port !== 0 || affinity === 'CLIENT_IP' || affinity === 'CLIENT_IP_PROTO'
}
