import { type OutlierSample, type OutlierState, sweepOutliers } from '../../balancing/outliers.ts'
import type { OutlierPolicy } from '../../balancing/policy.ts'
import { RandomNumbers } from '../../balancing/random.ts'
import type { BackendService, OutlierDetection, Snapshot } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { BackendCounter, type BackendTable } from '../balance/backend-table.ts'
import type { BackendStates } from './backend-states.ts'
import { idOf, type PlacedBackend, placedBackends } from './edge-ids.ts'

/** What was counted of a backend until the last sweep. */
type Counted = { readonly connections: number; readonly failures: number; readonly passedChecks: number }

type Watched = {
  service: BackendService
  readonly states: Map<number, OutlierState>
  readonly counted: Map<number, Counted>
  readonly random: RandomNumbers
  timer: NodeJS.Timeout
  intervalMs: number
}

/** Takes backends out for a while whose connections fail, by what the workers have counted (`outlierDetection`). */
export class Outliers {
  readonly #table: BackendTable
  readonly #states: Pick<BackendStates, 'eject' | 'state'>
  readonly #log: Log
  /** By service. */
  readonly #watched = new Map<string, Watched>()

  constructor(table: BackendTable, states: Pick<BackendStates, 'eject' | 'state'>, log: Log) {
    this.#table = table
    this.#states = states
    this.#log = log
  }

  /** Watches the services of this snapshot, and no others from now on; what is known of a service is kept. */
  use({ services }: Pick<Snapshot, 'services'>): void {
    const wanted = services.filter(({ outlierDetection }) => outlierDetection !== undefined)
    const names = new Set(wanted.map(({ name }) => name))
    for (const [name, watched] of this.#watched) if (!names.has(name)) this.#leave(name, watched)
    for (const service of wanted) this.#watch(service)
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) clearInterval(timer)
    this.#watched.clear()
  }

  #watch(service: BackendService): void {
    const intervalMs = service.outlierDetection?.intervalMs ?? 0
    const known = this.#watched.get(service.name)
    const start = (): NodeJS.Timeout => setInterval(() => this.#sweep(service.name), intervalMs).unref()
    if (known === undefined) {
      const random = new RandomNumbers(this.#watched.size + 1)
      const watched = { service, states: new Map(), counted: new Map(), random, timer: start(), intervalMs }
      this.#watched.set(service.name, watched)
      return
    }
    known.service = service
    if (known.intervalMs === intervalMs) return
    clearInterval(known.timer)
    known.timer = start()
    known.intervalMs = intervalMs
  }

  /** Nobody judges these backends any more: none stays out. */
  #leave(name: string, { service, timer }: Watched): void {
    clearInterval(timer)
    this.#watched.delete(name)
    for (const placed of placedBackends({ services: [service] })) this.#states.eject(placed, false)
  }

  #sweep(name: string): void {
    const watched = this.#watched.get(name)
    const detection = watched?.service.outlierDetection
    if (watched === undefined || detection === undefined) return
    const { service, states, random } = watched
    const backends = placedBackends({ services: [service] })
    const ids = backends.map(({ idKey }) => idOf(this.#table.backends, idKey))
    const samples = backends.map((placed, index) => this.#sample(watched, placed, ids[index]))
    const policy = policyOf(detection)
    const ejected = sweepOutliers(policy, samples, states, random, performance.now())
    for (const id of ejected) this.#table.forgiveBackend(id)
    for (const [index, placed] of backends.entries()) {
      const isEjected = states.get(ids[index])?.ejectedAtMs !== undefined
      const wasEjected = this.#states.state(placed.idKey)?.isEjected ?? false
      if (isEjected === wasEjected) continue
      // Connections that had begun before may have failed since: it begins anew.
      if (!isEjected) this.#table.forgiveBackend(ids[index])
      this.#states.eject(placed, isEjected)
      const fields = { backend: placed.key }
      if (isEjected) this.#log('warn', 'backend ejected: too many of its connections fail', fields)
      else this.#log('info', 'backend no longer ejected', fields)
    }
  }

  #sample({ counted }: Watched, { idKey }: PlacedBackend, id: number): OutlierSample {
    const { cells } = this.#table
    const broken = this.#table.readBackend(id, BackendCounter.broken)
    const { probes } = this.#states.state(idKey) ?? {}
    const now = {
      connections: this.#table.readBackend(id, BackendCounter.connections),
      failures: this.#table.readBackend(id, BackendCounter.connectFailures) + broken,
      passedChecks: (probes?.probes ?? 0) - (probes?.failures ?? 0),
    }
    const before = counted.get(id) ?? now
    counted.set(id, now)
    const failures = now.failures - before.failures
    return {
      id,
      failures,
      successes: Math.max(0, now.connections - before.connections - failures),
      failuresInARow: Math.max(Atomics.load(cells.failuresInRow, id), Atomics.load(cells.brokenInRow, id)),
      hasPassedCheck: now.passedChecks > before.passedChecks,
    }
  }
}

function policyOf(detection: OutlierDetection): OutlierPolicy {
  const { successRate } = detection
  // 0.29 times 100 is less than 29.
  const percent = (part: number): number => Math.round(100 * part)
  return {
    intervalMs: detection.intervalMs,
    baseEjectionTimeMs: detection.baseEjectionMs,
    maxEjectionPercent: percent(detection.maxEjectedPart),
    consecutiveGatewayFailure: detection.consecutiveGatewayFailures,
    enforcingConsecutiveGatewayFailure: percent(detection.enforcedConsecutiveGatewayFailures),
    consecutiveErrors: detection.consecutiveErrors,
    enforcingConsecutiveErrors: percent(detection.enforcedConsecutiveErrors),
    successRateMinimumHosts: successRate.minimumBackends,
    successRateRequestVolume: successRate.minimumConnections,
    successRateStdevFactor: 1_000 * successRate.deviations,
    enforcingSuccessRate: percent(successRate.enforced),
  }
}
