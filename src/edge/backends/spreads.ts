import { makeSpreadCells, writeSpread } from '../../balancing/choose-group.ts'
import type { Position } from '../../balancing/google-regions.ts'
import type { Level } from '../../balancing/levels.ts'
import { type Spread, type SpreadMemory, spread } from '../../balancing/spread.ts'
import type { LiveEdges, ServiceView } from '../../balancing/view.ts'
import type { BackendService, Snapshot } from '../../snapshot/snapshot.ts'
import { RegionCode } from '../../telemetry/region-reasons.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import { type Plan, planGroup } from '../balance/plan.ts'
import { makeServiceCells, NO_CAP, ServiceCell } from '../balance/service-cells.ts'
import { awayReason } from './away-reason.ts'
import { idOf, placedGroups } from './edge-ids.ts'
import type { LookupTables } from './lookup-tables.ts'
import type { RegionDistances } from './region-distances.ts'
import { type GroupFacts, localityPolicy, serviceView } from './service-view.ts'

/** How often every service is looked at anew, whatever has happened. */
const TICK_MS = 1_000

/** What spreads are made of. */
export type SpreadSources = {
  readonly table: BackendTable
  readonly tables: LookupTables
  readonly distances: RegionDistances
  /** What is known of a group of the configuration in use, but for its connections. */
  readonly factsOf: (groupKey: string) => Omit<GroupFacts, 'connections'>
  /** Workers need this service anew: its levels are others. */
  readonly onRearranged: (service: BackendService) => void
}

/** A service of the configuration in use, as it is spread now. */
type Spreading = {
  readonly service: BackendService
  readonly memory: SpreadMemory
  readonly plan: Plan
  readonly isNearest: readonly boolean[]
  view: ServiceView
  spread: Spread
}

/**
 * Spreads the connections of every service over its groups, once a second and whenever something has changed, and shows
 * it to the workers.
 */
export class Spreads {
  readonly #sources: SpreadSources
  /** Those of snapshots that may still come back are kept, with the cells that workers have. */
  readonly #known = new WeakMap<BackendService, Spreading>()
  #used: ReadonlySet<BackendService> = new Set()
  /** By service: what is remembered of its groups, also when it changes. */
  #memories = new Map<string, SpreadMemory>()
  /** By service: its connections are counted there, whatever becomes of its plan. */
  readonly #serviceCells = new Map<string, Int32Array>()
  #edges: LiveEdges = { count: 1, index: 0 }
  /** To be looked at anew as soon as what is being done now is done. */
  #due = new Set<BackendService>()
  readonly #timer: NodeJS.Timeout

  constructor(sources: SpreadSources) {
    this.#sources = sources
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  /** Spreads the services of this snapshot, which all have ids, and no others from now on. */
  use({ services }: Pick<Snapshot, 'services'>): void {
    this.#used = new Set(services)
    this.#sources.distances.use({ services })
    const names = new Set(services.map(({ name }) => name))
    this.#memories = new Map([...this.#memories].filter(([name]) => names.has(name)))
    for (const [name, cells] of this.#serviceCells) {
      if (!names.has(name) && Atomics.load(cells, ServiceCell.open) === 0) this.#serviceCells.delete(name)
    }
    for (const service of services) this.#remember(this.#known.get(service))
    this.#refresh(this.#used)
  }

  /** Regions are at these positions from now on. */
  locate(positions: ReadonlyMap<string, Position>): void {
    this.#sources.distances.locate(positions)
    this.#refresh(this.#used)
  }

  /** The plan of a service of the snapshot in use. */
  planOf(service: BackendService): Plan {
    return this.#spreadingOf(service).plan
  }

  /** By place: whether a group of a service of the snapshot in use could get anything. */
  canServe(service: BackendService): boolean[] {
    const placed = new Set(this.planOf(service).levels.flatMap(({ groups }) => groups))
    return service.groups.map(({ balancing }, place) => placed.has(place) && balancing.capacityScaler > 0)
  }

  /** What is decided about a service of the snapshot in use, and of what, at this moment. */
  stateOf(service: BackendService): { readonly view: ServiceView; readonly spread: Spread } {
    // Workers open connections all the time: what was seen last may no longer be what they choose by.
    this.#spreadAgain(this.#spreadingOf(service))
    return this.#spreadingOf(service)
  }

  /**
   * Something of these services has changed: they are looked at again, each once, as soon as what is being done now is
   * done. Others cost nothing, so that many changes cost no more with many services.
   */
  touch(services: Iterable<BackendService>): void {
    const isFirst = this.#due.size === 0
    for (const service of services) this.#due.add(service)
    if (!isFirst || this.#due.size === 0) return
    setImmediate(() => this.settle())
  }

  /** Looks at what was touched without waiting, because somebody is about to be told what workers do. */
  settle(): void {
    const due = this.#due
    this.#due = new Set()
    // Another snapshot may be in use by now.
    this.#refresh([...due].filter((service) => this.#used.has(service)))
  }

  /** Says how many edges share the targets of all services. */
  shareWith(edges: LiveEdges): void {
    if (edges.count === this.#edges.count && edges.index === this.#edges.index) return
    this.#edges = edges
    this.touch(this.#used)
  }

  /** See {@link shareWith}. */
  get edges(): LiveEdges {
    return this.#edges
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#used = new Set()
  }

  #tick(): void {
    this.#sources.distances.measure()
    this.#refresh(this.#used)
  }

  #refresh(services: Iterable<BackendService>): void {
    for (const service of services) {
      const known = this.#known.get(service)
      if (known === undefined) this.#spreadingOf(service)
      else this.#spreadAgain(known)
    }
  }

  /** A snapshot that comes back, because the next one could not be applied, goes on with what its workers have. */
  #remember(spreading: Spreading | undefined): void {
    if (spreading === undefined) return
    const { service, memory, plan } = spreading
    this.#memories.set(service.name, memory)
    this.#serviceCells.set(service.name, plan.service)
  }

  #spreadingOf(service: BackendService): Spreading {
    const known = this.#known.get(service)
    if (known !== undefined) return known
    const memory: SpreadMemory = this.#memories.get(service.name) ?? new Map()
    this.#memories.set(service.name, memory)
    const spreading = this.#start(service, memory)
    this.#known.set(service, spreading)
    return spreading
  }

  #start(service: BackendService, memory: SpreadMemory): Spreading {
    const view = this.#viewOf(service)
    const spreading = spread(view, memory, performance.now())
    const isNearest = nearestOf(view)
    const plan = this.#plan(service, spreading.levels, isNearest)
    const started = { service, memory, plan, isNearest, view, spread: spreading }
    this.#show(started)
    return started
  }

  #plan(service: BackendService, levels: readonly Level[], isNearest: readonly boolean[]): Plan {
    const { table, tables } = this.#sources
    const policy = localityPolicy(service)
    const groups = placedGroups(service).map(({ group, idKey, backends }, place) =>
      planGroup({
        group,
        id: idOf(table.groups, idKey),
        backendIds: backends.map((placed) => idOf(table.backends, placed.idKey)),
        isNearest: isNearest[place],
        table: tables.of(group, policy),
      }),
    )
    const cells = this.#serviceCells.get(service.name) ?? makeServiceCells()
    this.#serviceCells.set(service.name, cells)
    return {
      levels: levels.map(({ groups: places, domain }) => ({ groups: places, domain })),
      groups,
      locality: policy,
      spread: makeSpreadCells(levels.length, groups.length),
      service: cells,
    }
  }

  /** Looks at a service anew; where the order of regions is another, workers need another plan. */
  #spreadAgain(spreading: Spreading): void {
    const { service, memory, plan } = spreading
    const view = this.#viewOf(service)
    const now = spread(view, memory, performance.now())
    if (isArranged(plan, now.levels, nearestOf(view))) {
      spreading.view = view
      spreading.spread = now
      this.#show(spreading)
      return
    }
    this.#known.set(service, this.#start(service, memory))
    this.#sources.onRearranged(service)
  }

  #show({ service, plan, view, spread: now, isNearest }: Spreading): void {
    writeSpread(now, plan.spread)
    const reason = awayReason(view, now, isNearest, service.affinity)
    Atomics.store(plan.service, ServiceCell.awayReason, RegionCode[reason])
    Atomics.store(plan.service, ServiceCell.openMax, capOf(service, this.#edges))
  }

  #viewOf(service: BackendService): ServiceView {
    const { distances, factsOf, table } = this.#sources
    const groups = placedGroups(service)
    const surroundings = {
      region: distances.region,
      zone: distances.zone,
      regionOrder: distances.orderOf(service.groups.map(({ region }) => region)),
      edges: this.#edges,
    }
    return serviceView(service, surroundings, (place) => {
      const { idKey } = groups[place]
      return { ...factsOf(idKey), connections: table.groups.open(idOf(table.groups, idKey)) }
    })
  }
}

/** The part of the service's limit that is this edge's: in sum over all edges never more than the limit. */
function capOf({ maxConnections }: BackendService, { count, index }: LiveEdges): number {
  return maxConnections === undefined ? NO_CAP : Math.floor((maxConnections + count - 1 - index) / count)
}

/** By place: whether a group is of the nearest region. */
function nearestOf({ groups, regionOrder }: ServiceView): boolean[] {
  const nearest = new Set(regionOrder.filter(({ rank }) => rank === 0).map(({ region }) => region))
  return groups.map(({ region }) => nearest.has(region))
}

function isArranged(plan: Plan, levels: readonly Level[], isNearest: readonly boolean[]): boolean {
  return (
    plan.levels.length === levels.length &&
    plan.levels.every((level, index) => isSameLevel(level, levels[index])) &&
    plan.groups.every((group, place) => group.isNearest === isNearest[place])
  )
}

function isSameLevel(a: Level, b: Level): boolean {
  return (
    a.domain === b.domain &&
    a.groups.length === b.groups.length &&
    a.groups.every((place, index) => place === b.groups[index])
  )
}
