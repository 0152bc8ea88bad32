import { setTimeout as sleep } from 'node:timers/promises'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { LoadReport } from '../../proxy-protocol/load-report.ts'
import { type BackendService, EMPTY_SNAPSHOT, type Snapshot } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { Availability } from '../balance/availability.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import type { LineTarget } from '../conversation/line.ts'
import { HealthChecks, type HealthStatus, type HealthTarget } from '../health/health-checks.ts'
import { LoadPolls, type LoadTarget } from '../health/load-polls.ts'
import { idOf, type PlacedBackend, placedBackends, placedGroups } from './edge-ids.ts'
import { FailingBackends } from './failing-backends.ts'
import { gatherFacts, type KnownLoad, NOTHING_KNOWN } from './group-facts.ts'
import type { GroupFacts } from './service-view.ts'

/** What is known of one backend of the configuration in use. */
type Tracked = {
  readonly placed: PlacedBackend
  readonly id: number
  readonly group: TrackedGroup
  /** undefined: its service has no health check. */
  readonly healthKey: string | undefined
  loadKey: string | undefined
  /** What its latest health check has found; the one before, as long as a new check has found nothing. */
  health: HealthStatus['state']
}

/** What is known of a backend, for the status. */
export type BackendState = {
  readonly health: HealthStatus['state']
  readonly availability: Availability
  readonly isDrained: boolean
  /** By outlier detection; it may serve still, see {@link BackendStates.ignoreEjections}. */
  readonly isEjected: boolean
  /** It gets connections, or would if it were not ejected. */
  readonly wouldServe: boolean
  readonly probes: HealthStatus | undefined
  readonly load: LoadReport | undefined
}

/** What follows from what is found out, beside the availability of backends. */
export type StateActions = {
  /** A backend of this service, in the configuration in use, has another availability. */
  readonly onChange: (service: BackendService) => void
  /** The health check of a backend has failed for as long as its service allows connections to go on. */
  readonly onFailed: (id: number) => void
  /** A backend of this region has accepted the connection of a probe, within so many milliseconds. */
  readonly onReach: (region: string, connectMs: number) => void
}

type TrackedGroup = {
  members: Tracked[]
  facts: Omit<GroupFacts, 'connections'>
  /** Something of its members has changed since. */
  isStale: boolean
}

/** What a controller is told of a backend. */
export type BackendHealth = {
  /** `service/group/backend`. */
  readonly key: string
  readonly health: HealthStatus['state']
  readonly isDrained: boolean
}

/**
 * Decides which backends get new connections, from health checks, load, and what an operator has said, and writes it
 * where the workers read it.
 *
 * Services that share a health check share its probes of a backend.
 */
export class BackendStates {
  readonly #table: BackendTable
  readonly #log: Log
  readonly #actions: StateActions
  readonly #sourceAddresses: readonly IpAddress[]
  readonly #checks: HealthChecks
  readonly #polls: LoadPolls
  #loads = new Map<string, KnownLoad>()
  #tracked = new Map<string, Tracked>()
  #byHealthKey = new Map<string, Tracked[]>()
  #byLoadKey = new Map<string, Tracked[]>()
  #byEndpoint = new Map<string, Tracked[]>()
  /** By `idKey`; kept while the group is in the configuration. */
  #groups = new Map<string, TrackedGroup>()
  #snapshot = EMPTY_SNAPSHOT
  /** There are other edges: how many connections those have is asked of agents, too. */
  #sharesTargets = false
  readonly #failing: FailingBackends
  /** Probed for the configuration in use. */
  #targets: ReadonlyMap<string, HealthTarget> = new Map()
  /** Probed now: also for a configuration that is about to be used. */
  #probed: ReadonlyMap<string, HealthTarget> = new Map()
  /** Keys of backends that an operator has taken out. */
  readonly #drained = new Set<string>()
  /** Those that outlier detection has taken out for a while, by `idKey`. */
  readonly #ejected = new Set<string>()
  /** Services whose ejected backends serve still. */
  readonly #ignoringEjections = new Set<string>()
  #healthRevision = 0

  /** @param sourceAddresses the addresses that questions are asked from; for a family without one the kernel chooses */
  constructor(table: BackendTable, log: Log, sourceAddresses: readonly IpAddress[], actions: StateActions) {
    this.#table = table
    this.#log = log
    this.#actions = actions
    this.#failing = new FailingBackends(actions.onFailed)
    this.#sourceAddresses = sourceAddresses
    this.#checks = new HealthChecks({ log, onChange: (key) => this.#show(this.#byHealthKey.get(key)) })
    this.#polls = new LoadPolls({ log, onChange: (key, load) => this.#onLoad(key, load) })
  }

  /**
   * Begins to probe what is new in a snapshot, beside what is in use; resolves when the first results are there, or
   * after `waitMsMax`.
   */
  async prepare(snapshot: Snapshot, waitMsMax: number): Promise<void> {
    const firstRound = this.#probe(new Map([...this.#targets, ...this.#targetsOf(snapshot)]))
    await Promise.race([firstRound, sleep(waitMsMax, undefined, { ref: false })])
  }

  /** Goes back to probing only what is in use. */
  abandon(): void {
    void this.#probe(this.#targets)
  }

  /** Decides about the backends of this snapshot, which all have ids, and about no others from now on. */
  use(snapshot: Snapshot): void {
    const before = this.#tracked
    this.#tracked = new Map()
    this.#byHealthKey = new Map()
    this.#byEndpoint = new Map()
    this.#snapshot = snapshot
    const groupsBefore = this.#groups
    this.#groups = new Map()
    this.#targets = this.#targetsOf(snapshot)
    for (const { idKey: groupKey, backends } of snapshot.services.flatMap(placedGroups)) {
      const { facts } = groupsBefore.get(groupKey) ?? { facts: NOTHING_KNOWN }
      const group: TrackedGroup = { members: [], facts, isStale: true }
      this.#groups.set(groupKey, group)
      for (const placed of backends) {
        const tracked: Tracked = {
          placed,
          id: idOf(this.#table.backends, placed.idKey),
          group,
          healthKey: healthKeyOf(placed),
          loadKey: undefined,
          health: before.get(placed.idKey)?.health ?? 'UNKNOWN',
        }
        this.#tracked.set(placed.idKey, tracked)
        group.members.push(tracked)
        collect(this.#byHealthKey, tracked.healthKey, tracked)
        collect(this.#byEndpoint, placed.endpoint, tracked)
      }
    }
    const isSame = this.#tracked.size === before.size && [...before.keys()].every((key) => this.#tracked.has(key))
    if (!isSame) this.#healthRevision += 1
    this.#forgetDrained()
    for (const { placed, id } of before.values()) if (!this.#tracked.has(placed.idKey)) this.#forgetBackend(placed, id)
    void this.#probe(this.#targets)
    this.#pollLoads()
    this.#show([...this.#tracked.values()])
  }

  /** Takes a backend out, or in again. */
  steer({ key, idKey }: PlacedBackend, action: 'drain' | 'enable'): void {
    if (action === 'drain') this.#drained.add(key)
    else this.#drained.delete(key)
    this.#healthRevision += 1
    const tracked = this.#tracked.get(idKey)
    if (tracked !== undefined) this.#show([tracked])
  }

  /** Takes a backend out because its connections fail, or in again. */
  eject({ idKey }: PlacedBackend, isEjected: boolean): void {
    const tracked = this.#tracked.get(idKey)
    if (tracked === undefined || this.#ejected.has(idKey) === isEjected) return
    if (isEjected) this.#ejected.add(idKey)
    else this.#ejected.delete(idKey)
    this.#show([tracked])
  }

  /** Lets the ejected backends of a service serve still, or not any more. */
  ignoreEjections({ name }: Pick<BackendService, 'name'>, isIgnored: boolean): void {
    if (isIgnored) this.#ignoringEjections.add(name)
    else this.#ignoringEjections.delete(name)
    const isOf = ({ placed }: Tracked): boolean => placed.service.name === name && this.#ejected.has(placed.idKey)
    this.#show([...this.#tracked.values()].filter(isOf))
  }

  /** Says whether targets of connections are shared with other edges: their connections are asked of agents then. */
  set sharesTargets(sharesTargets: boolean) {
    if (sharesTargets === this.#sharesTargets) return
    this.#sharesTargets = sharesTargets
    this.#pollLoads()
  }

  /** What is known of a group of the configuration in use. */
  factsOf(groupKey: string): Omit<GroupFacts, 'connections'> {
    const group = this.#groups.get(groupKey)
    if (group === undefined) return NOTHING_KNOWN
    if (group.isStale) {
      group.isStale = false
      const members = group.members.map((tracked) => ({
        isDrained: this.#drained.has(tracked.placed.key),
        isUp: this.#availabilityOf(tracked) === Availability.up,
        load: this.#loadOf(tracked),
      }))
      const maxConnections = group.members[0]?.placed.group.balancing.maxConnections
      group.facts = gatherFacts(members, group.facts.utilization, Date.now(), maxConnections)
    }
    return group.facts
  }

  /** Reports whether the backend is one of the configuration in use. */
  has(idKey: string): boolean {
    return this.#tracked.has(idKey)
  }

  /** Changes whenever {@link health} may say something else. */
  get healthRevision(): number {
    return this.#healthRevision
  }

  /** What a controller is told of each backend. */
  health(): BackendHealth[] {
    return [...this.#tracked.values()].map(({ placed: { key }, health }) => {
      return { key, health, isDrained: this.#drained.has(key) }
    })
  }

  state(idKey: string): BackendState | undefined {
    const tracked = this.#tracked.get(idKey)
    if (tracked === undefined) return undefined
    const { healthKey, health, placed } = tracked
    return {
      health,
      availability: this.#availabilityOf(tracked),
      isDrained: this.#drained.has(placed.key),
      isEjected: this.#ejected.has(idKey),
      wouldServe: !this.#drained.has(placed.key) && this.#isWell(tracked),
      probes: healthKey === undefined ? undefined : this.#checks.state(healthKey),
      load: this.#loadOf(tracked)?.report,
    }
  }

  stop(): void {
    this.#checks.stop()
    this.#polls.stop()
    this.#failing.stop()
  }

  /** Probes these targets and no others; resolves when each has a first result. */
  async #probe(targets: ReadonlyMap<string, HealthTarget>): Promise<void> {
    const probed = this.#probed
    const isSame = targets.size === probed.size && [...targets].every(([key, target]) => probed.get(key) === target)
    this.#probed = targets
    if (!isSame) await this.#checks.update([...targets.values()])
  }

  /** The same objects for what is probed already, so that what is the same is seen at once. */
  #targetsOf(snapshot: Snapshot): Map<string, HealthTarget> {
    const checks = new Map(snapshot.healthChecks.map((check) => [check.name, check]))
    const targets = new Map<string, HealthTarget>()
    for (const placed of placedBackends(snapshot)) {
      const key = healthKeyOf(placed)
      const check = checks.get(placed.service.healthCheck ?? '')
      if (key === undefined || check === undefined) continue
      const known = this.#targets.get(key) ?? this.#probed.get(key)
      const { region } = placed.group
      const onConnect = (durationMs: number): void => this.#actions.onReach(region, durationMs)
      const target = { key, check, serverName: serverNameOf(placed), onConnect, ...this.#lineTo(placed) }
      targets.set(key, known?.check === check ? known : target)
    }
    return targets
  }

  /** Questions come from an address that backends let in, as clients' connections do. */
  #lineTo({ backend: { address, port } }: PlacedBackend): LineTarget {
    const family = parseIpAddress(address)?.family
    const source = this.#sourceAddresses.find((candidate) => candidate.family === family)
    return { address, port, sourceAddress: source && formatIpAddress(source) }
  }

  #pollLoads(): void {
    const services = servicesWithHeader(this.#snapshot)
    this.#byLoadKey = new Map()
    for (const tracked of this.#tracked.values()) {
      const { endpoint } = tracked.placed
      const loadKey = `${endpoint} ${protocolOf(tracked.placed)}`
      tracked.loadKey = isPolled(tracked.placed, services, this.#sharesTargets) ? loadKey : undefined
      tracked.group.isStale = true
      collect(this.#byLoadKey, tracked.loadKey, tracked)
    }
    const targets = [...this.#byLoadKey].map(([key, sharers]): LoadTarget => {
      const [{ placed }] = sharers
      const needsLoad = sharers.some((sharer) => isBoundByLoad(sharer.placed))
      return { key, protocol: protocolOf(placed), needsLoad, ...this.#lineTo(placed) }
    })
    this.#loads = new Map([...this.#loads].filter(([key]) => this.#byLoadKey.has(key)))
    this.#polls.update(targets)
  }

  #loadOf({ loadKey }: Tracked): KnownLoad | undefined {
    return loadKey === undefined ? undefined : this.#loads.get(loadKey)
  }

  #onLoad(key: string, report: LoadReport | undefined): void {
    const isListening = report?.app_listening ?? true
    const wasListening = this.#loads.get(key)?.report.app_listening ?? true
    if (isListening !== wasListening) this.#logApp(key, isListening)
    if (report === undefined) this.#loads.delete(key)
    else {
      const sharers = this.#byEndpoint.get(key) ?? []
      const ownThen = sharers.reduce((sum, { id }) => sum + this.#table.backends.open(id), 0)
      this.#loads.set(key, { report, atMs: performance.now(), ownThen })
    }
    this.#show(this.#byLoadKey.get(key))
  }

  #logApp(key: string, isListening: boolean): void {
    const [tracked] = this.#byLoadKey.get(key) ?? []
    if (tracked === undefined) return
    const backend = tracked.placed.key
    if (isListening) this.#log('info', 'the app of a backend listens', { backend })
    else this.#log('warn', 'the app of a backend does not listen: it gets no connections', { backend })
  }

  #show(changed: readonly Tracked[] | undefined): void {
    for (const tracked of changed ?? []) {
      const state = tracked.healthKey === undefined ? 'HEALTHY' : this.#checks.state(tracked.healthKey)?.state
      if (state !== undefined && state !== 'UNKNOWN' && state !== tracked.health) {
        tracked.health = state
        this.#healthRevision += 1
      }
      tracked.group.isStale = true
      this.#failing.note(tracked.id, tracked.health === 'UNHEALTHY', tracked.placed.service.closeOnFailureMs)
      // What else there is to know, such as a load, can wait for the next look.
      const hasChanged = this.#table.show(tracked.id, this.#availabilityOf(tracked))
      if (hasChanged) this.#actions.onChange(tracked.placed.service)
    }
  }

  #availabilityOf(tracked: Tracked): Availability {
    const { placed } = tracked
    if (this.#drained.has(placed.key)) return Availability.draining
    const isOut = this.#ejected.has(placed.idKey) && !this.#ignoringEjections.has(placed.service.name)
    return this.#isWell(tracked) && !isOut ? Availability.up : Availability.down
  }

  /** Nothing is wrong with it itself. */
  #isWell(tracked: Tracked): boolean {
    // An agent accepts whatever its app does; it says so itself.
    return tracked.health === 'HEALTHY' && this.#loadOf(tracked)?.report.app_listening !== false
  }

  #forgetBackend({ idKey }: PlacedBackend, id: number): void {
    this.#ejected.delete(idKey)
    this.#failing.forget(id)
  }

  /** A backend that comes back after it had left the configuration begins anew. */
  #forgetDrained(): void {
    if (this.#drained.size === 0) return
    const keys = new Set([...this.#tracked.values()].map(({ placed }) => placed.key))
    for (const key of this.#drained) if (!keys.has(key)) this.#drained.delete(key)
  }
}

function healthKeyOf(placed: PlacedBackend): string | undefined {
  const { healthCheck } = placed.service
  return healthCheck === undefined ? undefined : `${healthCheck} ${placed.endpoint} ${serverNameOf(placed)}`
}

/** Services that ask one backend for different names have probes of their own. */
function serverNameOf({ service }: PlacedBackend): string {
  return service.tls?.serverName ?? ''
}

/** An agent may have only one of them on its port. */
function protocolOf({ service }: PlacedBackend): LoadTarget['protocol'] {
  return service.flows === undefined ? 'TCP' : 'UDP'
}

/** Services whose backends see a header, so that some of them may be agents. */
function servicesWithHeader({ frontends }: Snapshot): Set<string> {
  return new Set(frontends.filter(({ proxyHeader }) => proxyHeader.kind !== 'NONE').map(({ service }) => service))
}

function isPolled(placed: PlacedBackend, servicesWithHeader: ReadonlySet<string>, sharesTargets: boolean): boolean {
  const { service, group } = placed
  // A question in the clear is garbage where everything else is inside TLS.
  if (service.tls?.headerPlace === 'inside-tls' || !servicesWithHeader.has(service.name)) return false
  return isBoundByLoad(placed) || (sharesTargets && group.balancing.maxConnections !== undefined)
}

function isBoundByLoad({ group: { balancing } }: PlacedBackend): boolean {
  return balancing.mode === 'UTILIZATION' && balancing.maxUtilization !== undefined
}

function collect(lists: Map<string, Tracked[]>, key: string | undefined, tracked: Tracked): void {
  if (key === undefined) return
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [tracked])
  else list.push(tracked)
}
