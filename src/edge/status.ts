import type { GroupSpread } from '../balancing/spread.ts'
import type { GroupView, RankedRegion } from '../balancing/view.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { socketOf } from '../snapshot/socket-of.ts'
import type {
  BackendStatus,
  ConfigurationStatus,
  EdgeStatus,
  FrontendStatus,
  GroupStatus,
  LeavingBackend,
  PlaceStatus,
  ServiceStatus,
  Traffic,
} from '../telemetry/edge-status.ts'
import type { RegionStatus } from '../telemetry/edge-why.ts'
import { REGION_REASONS } from '../telemetry/region-reasons.ts'
import type { BackendStates } from './backends/backend-states.ts'
import { idOf, type PlacedBackend, placedGroups } from './backends/edge-ids.ts'
import type { RegionDistances } from './backends/region-distances.ts'
import type { Spreads } from './backends/spreads.ts'
import { Availability } from './balance/availability.ts'
import { BackendCounter, type BackendTable, FrontendCounter, type IdSpace } from './balance/backend-table.ts'
import type { FrontendTlsStore } from './frontends/frontend-tls.ts'

/** What an edge's status is made of. */
export type StatusSource = {
  readonly snapshot: Snapshot
  readonly table: BackendTable
  readonly states: BackendStates
  readonly spreads: Pick<Spreads, 'stateOf' | 'edges'>
  readonly distances: RegionDistances
  readonly tls: Pick<FrontendTlsStore, 'status'>
  readonly configuration: ConfigurationStatus
  readonly leaving: readonly LeavingBackend[]
}

/** Puts together what an edge says about itself. */
export function edgeStatus(source: StatusSource): EdgeStatus {
  const { snapshot, configuration, leaving } = source
  return {
    configuration,
    place: placeStatus(source),
    frontends: snapshot.frontends.map((frontend) => frontendStatus(frontend, source)),
    services: snapshot.services.map((service) => serviceStatus(service, source)),
    leaving,
  }
}

/** The name of an {@link Availability}. */
export function availabilityName(availability: Availability): BackendStatus['availability'] {
  switch (availability) {
    case Availability.up:
      return 'up'
    case Availability.draining:
    case Availability.leaving:
      return 'draining'
    default:
      return 'down'
  }
}

function frontendStatus(frontend: Snapshot['frontends'][number], { table, tls }: StatusSource): FrontendStatus {
  const { name, protocol, address, port, proxy, service, proxyHeader } = frontend
  const id = idOf(table.frontends, socketOf(frontend))
  return {
    name,
    protocol,
    address,
    port,
    proxy,
    service,
    proxyHeader: proxyHeader.kind,
    tls: tls.status(frontend),
    ...traffic(table.frontends, id),
    noBackend: table.readFrontend(id, FrontendCounter.noBackend),
    refused: table.readFrontend(id, FrontendCounter.refused),
  }
}

function serviceStatus(service: Snapshot['services'][number], source: StatusSource): ServiceStatus {
  const { groups } = source.table
  const { view, spread } = source.spreads.stateOf(service)
  return {
    name: service.name,
    healthCheck: service.healthCheck,
    groups: placedGroups(service).map(({ group, idKey, backends }, place) => ({
      name: group.name,
      region: group.region,
      zone: group.zone,
      balancing: group.balancing,
      ...spreadStatus(view.groups[place], spread.groups[place]),
      chosen: chosen(source.table, idOf(groups, idKey)),
      open: groups.open(idOf(groups, idKey)),
      backends: backends.map((placed) => backendStatus(placed, source)),
    })),
  }
}

function spreadStatus(
  { members, healthy, utilization, others }: GroupView,
  { state, limit }: GroupSpread,
): Pick<GroupStatus, 'members' | 'healthy' | 'state' | 'limit' | 'utilization' | 'openElsewhere'> {
  return {
    members,
    healthy,
    state,
    limit: Number.isFinite(limit) ? limit : undefined,
    utilization: utilization?.average,
    openElsewhere: others?.connections,
  }
}

function chosen(table: BackendTable, id: number): GroupStatus['chosen'] {
  return Object.fromEntries(REGION_REASONS.map((reason, code) => [reason, table.readGroup(id, code)]))
}

function placeStatus({ distances, spreads }: StatusSource): PlaceStatus {
  return {
    region: distances.region,
    zone: distances.zone,
    proximity: distances.proximity,
    edges: spreads.edges.count,
    regions: distances.order.map((ranked) => regionStatus(ranked, distances)),
  }
}

/** A region as status and explanations show it. */
export function regionStatus({ region, rank, kilometres }: RankedRegion, distances: RegionDistances): RegionStatus {
  return { region, rank, kilometres, connectMs: distances.connectMsTo(region) }
}

function backendStatus({ backend, idKey }: PlacedBackend, { table, states }: StatusSource): BackendStatus {
  const state = states.state(idKey)
  const { probes } = state ?? {}
  return {
    name: backend.name,
    address: backend.address,
    port: backend.port,
    health: state?.health ?? 'UNKNOWN',
    availability: availabilityName(state?.availability ?? Availability.down),
    isDrained: state?.isDrained ?? false,
    isEjected: state?.isEjected ?? false,
    isAppDown: state?.load?.app_listening === false,
    probes: probes && {
      total: probes.probes,
      failures: probes.failures,
      transitions: probes.transitions,
      lastLatencyMs: probes.latencyMs,
      lastError: probes.lastError,
    },
    utilization: state?.load?.cpu_utilization,
    ...traffic(table.backends, idOf(table.backends, idKey)),
  }
}

function traffic(space: IdSpace, id: number): Traffic {
  return {
    open: space.open(id),
    connections: space.read(id, BackendCounter.connections),
    bytesFromClient: space.read(id, BackendCounter.bytesFromClient),
    bytesFromBackend: space.read(id, BackendCounter.bytesFromBackend),
    connectFailures: space.read(id, BackendCounter.connectFailures),
    connectTimeouts: space.read(id, BackendCounter.connectTimeouts),
    retries: space.read(id, BackendCounter.retries),
  }
}
