import { setTimeout as sleep } from 'node:timers/promises'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { LoadReport } from '../../proxy-protocol/load-report.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { Availability } from '../balance/availability.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import type { LineTarget } from '../conversation/line.ts'
import { HealthChecks, type HealthStatus, type HealthTarget } from '../health/health-checks.ts'
import { LoadPolls, type LoadTarget } from '../health/load-polls.ts'
import { idOf, type PlacedBackend, placedBackends } from './edge-ids.ts'

/** What is known of one backend of the configuration in use. */
type Tracked = {
  readonly placed: PlacedBackend
  readonly id: number
  /** undefined: its service has no health check. */
  readonly healthKey: string | undefined
  readonly loadKey: string | undefined
  /** What its latest health check has found; the one before, as long as a new check has found nothing. */
  health: HealthStatus['state']
}

/** What is known of a backend, for the status. */
export type BackendState = {
  readonly health: HealthStatus['state']
  readonly availability: Availability
  readonly isDrained: boolean
  readonly probes: HealthStatus | undefined
  readonly load: LoadReport | undefined
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
  readonly #sourceAddresses: readonly IpAddress[]
  readonly #checks: HealthChecks
  readonly #polls: LoadPolls
  #loads = new Map<string, LoadReport>()
  #tracked = new Map<string, Tracked>()
  #byHealthKey = new Map<string, Tracked[]>()
  #byLoadKey = new Map<string, Tracked[]>()
  /** Probed for the configuration in use. */
  #targets: ReadonlyMap<string, HealthTarget> = new Map()
  /** Probed now: also for a configuration that is about to be used. */
  #probed: ReadonlyMap<string, HealthTarget> = new Map()
  /** Keys of backends that an operator has taken out. */
  readonly #drained = new Set<string>()
  #healthRevision = 0

  /** @param sourceAddresses the addresses that questions are asked from; for a family without one the kernel chooses */
  constructor(table: BackendTable, log: Log, sourceAddresses: readonly IpAddress[]) {
    this.#table = table
    this.#log = log
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
    this.#byLoadKey = new Map()
    const polled = polledServices(snapshot)
    this.#targets = this.#targetsOf(snapshot)
    for (const placed of placedBackends(snapshot)) {
      const tracked: Tracked = {
        placed,
        id: idOf(this.#table.backends, placed.idKey),
        healthKey: healthKeyOf(placed),
        loadKey: isPolled(placed, polled) ? placed.endpoint : undefined,
        health: before.get(placed.idKey)?.health ?? 'UNKNOWN',
      }
      this.#tracked.set(placed.idKey, tracked)
      collect(this.#byHealthKey, tracked.healthKey, tracked)
      collect(this.#byLoadKey, tracked.loadKey, tracked)
    }
    const isSame = this.#tracked.size === before.size && [...before.keys()].every((key) => this.#tracked.has(key))
    if (!isSame) this.#healthRevision += 1
    this.#forgetDrained()
    void this.#probe(this.#targets)
    this.#pollLoads()
    this.#show([...this.#tracked.values()])
  }

  /** Takes a backend out, or in again. @returns what it is now */
  steer({ key, idKey }: PlacedBackend, action: 'drain' | 'enable'): Availability {
    if (action === 'drain') this.#drained.add(key)
    else this.#drained.delete(key)
    this.#healthRevision += 1
    const tracked = this.#tracked.get(idKey)
    if (tracked === undefined) return Availability.down
    this.#show([tracked])
    return this.#availabilityOf(tracked)
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
    const { healthKey, loadKey, health, placed } = tracked
    return {
      health,
      availability: this.#availabilityOf(tracked),
      isDrained: this.#drained.has(placed.key),
      probes: healthKey === undefined ? undefined : this.#checks.state(healthKey),
      load: loadKey === undefined ? undefined : this.#loads.get(loadKey),
    }
  }

  stop(): void {
    this.#checks.stop()
    this.#polls.stop()
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
      targets.set(
        key,
        known?.check === check ? known : { key, check, serverName: serverNameOf(placed), ...this.#lineTo(placed) },
      )
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
    const targets = [...this.#byLoadKey].map(([key, [{ placed }]]): LoadTarget => {
      return { key, ...this.#lineTo(placed) }
    })
    this.#loads = new Map([...this.#loads].filter(([key]) => this.#byLoadKey.has(key)))
    this.#polls.update(targets)
  }

  #onLoad(key: string, load: LoadReport | undefined): void {
    const isListening = load?.app_listening ?? true
    const wasListening = this.#loads.get(key)?.app_listening ?? true
    if (isListening !== wasListening) this.#logApp(key, isListening)
    if (load === undefined) this.#loads.delete(key)
    else this.#loads.set(key, load)
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
      this.#table.show(tracked.id, this.#availabilityOf(tracked))
    }
  }

  #availabilityOf({ placed, health, loadKey }: Tracked): Availability {
    if (this.#drained.has(placed.key)) return Availability.draining
    if (health !== 'HEALTHY') return Availability.down
    const load = loadKey === undefined ? undefined : this.#loads.get(loadKey)
    if (load === undefined) return Availability.up
    // An agent accepts whatever its app does; it says so itself.
    if (!load.app_listening) return Availability.down
    const { maxUtilization, capacityScaler } = placed.group.balancing
    const isFull = maxUtilization !== undefined && load.cpu_utilization > maxUtilization * capacityScaler
    return isFull ? Availability.full : Availability.up
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

/** Services whose backends see a header, so that some of them may be agents. */
function polledServices({ frontends }: Snapshot): Set<string> {
  return new Set(frontends.filter(({ proxyHeader }) => proxyHeader.kind !== 'NONE').map(({ service }) => service))
}

function isPolled({ service, group: { balancing } }: PlacedBackend, polled: ReadonlySet<string>): boolean {
  // A question in the clear is garbage where everything else is inside TLS.
  if (service.tls?.headerPlace === 'inside-tls') return false
  return balancing.mode === 'UTILIZATION' && balancing.maxUtilization !== undefined && polled.has(service.name)
}

function collect(lists: Map<string, Tracked[]>, key: string | undefined, tracked: Tracked): void {
  if (key === undefined) return
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [tracked])
  else list.push(tracked)
}
