import { ejectionMs, type OutlierSample, type OutlierState, sweepOutliers } from '../../balancing/outliers.ts'
import type { OutlierPolicy } from '../../balancing/policy.ts'
import { RandomNumbers } from '../../balancing/random.ts'
import type { BackendService, OutlierDetection, Snapshot } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { BackendCounter, type BackendTable } from '../balance/backend-table.ts'
import type { BackendState, BackendStates } from './backend-states.ts'
import { idOf, type PlacedBackend, placedBackends, placedGroups } from './edge-ids.ts'
import type { Spreads } from './spreads.ts'

/** What was counted of a backend until the last sweep. */
type Counted = {
  readonly connections: number
  readonly failures: number
  readonly broken: number
  readonly passedChecks: number
}

/** A backend of a service, as it is now. */
type Member = {
  readonly placed: PlacedBackend
  /** It gets connections, or would if it were not ejected. */
  readonly isServing: boolean
  readonly isEjected: boolean
  readonly probes: BackendState['probes']
}

type Watched = {
  service: BackendService
  readonly states: Map<number, OutlierState>
  readonly counted: Map<number, Counted>
  readonly random: RandomNumbers
  timer: NodeJS.Timeout
  intervalMs: number
  hasEjected: boolean
  /** Nobody who is not ejected serves: those who are serve, too. */
  isIgnored: boolean
}

type Ejections = Pick<BackendStates, 'eject' | 'ignoreEjections' | 'state'>

/** Each look is at every backend of a service, on the thread that probes them: more often than this it is not looked. */
const INTERVAL_MS_MIN = 100

/**
 * Takes backends out for a while whose connections fail, by what the workers have counted (`outlierDetection`).
 *
 * Where none but ejected ones could serve, ejections do not count until there is another one: backends that fail for some
 * are better than none for everybody.
 */
export class Outliers {
  readonly #table: BackendTable
  readonly #states: Ejections
  readonly #spreads: Pick<Spreads, 'canServe'>
  readonly #log: Log
  /** By service. */
  readonly #watched = new Map<string, Watched>()
  /** Services to be reviewed as soon as what is being done now is done. */
  readonly #due = new Set<Watched>()

  constructor(table: BackendTable, states: Ejections, spreads: Pick<Spreads, 'canServe'>, log: Log) {
    this.#table = table
    this.#states = states
    this.#spreads = spreads
    this.#log = log
  }

  /** Watches the services of this snapshot, and no others from now on; what is known of a service is kept. */
  use({ services }: Pick<Snapshot, 'services'>): void {
    const wanted = services.filter(({ outlierDetection }) => outlierDetection !== undefined)
    const names = new Set(wanted.map(({ name }) => name))
    for (const [name, watched] of this.#watched) if (!names.has(name)) this.#leave(name, watched)
    for (const service of wanted) {
      this.#watch(service)
      this.touch(service)
    }
  }

  /** A backend of this service, of the configuration in use, serves now, or does not any more. */
  touch({ name }: Pick<BackendService, 'name'>): void {
    const watched = this.#watched.get(name)
    if (watched === undefined || !(watched.hasEjected || watched.isIgnored)) return
    const isFirst = this.#due.size === 0
    this.#due.add(watched)
    if (isFirst) setImmediate(() => this.settle())
  }

  /** Reviews what was touched without waiting, because somebody is about to be told what workers do. */
  settle(): void {
    const due = [...this.#due]
    this.#due.clear()
    // Nobody may be watching it by now.
    for (const one of due) if (this.#watched.get(one.service.name) === one) this.#review(one)
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) clearInterval(timer)
    this.#watched.clear()
  }

  #watch(service: BackendService): void {
    const intervalMs = Math.max(INTERVAL_MS_MIN, service.outlierDetection?.intervalMs ?? 0)
    const known = this.#watched.get(service.name)
    const start = (): NodeJS.Timeout => setInterval(() => this.#sweep(service.name), intervalMs).unref()
    if (known === undefined) {
      const random = new RandomNumbers(this.#watched.size + 1)
      const memory = { states: new Map(), counted: new Map(), random }
      const nothing = { hasEjected: false, isIgnored: false }
      this.#watched.set(service.name, { service, ...memory, timer: start(), intervalMs, ...nothing })
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
    this.#states.ignoreEjections(service, false)
  }

  #sweep(name: string): void {
    const watched = this.#watched.get(name)
    const detection = watched?.service.outlierDetection
    if (watched === undefined || detection === undefined) return
    const { states, random } = watched
    const members = this.#members(watched)
    const ids = members.map(({ placed: { idKey } }) => idOf(this.#table.backends, idKey))
    const samples = members.map((member, index) => this.#sample(watched, member, ids[index]))
    const policy = policyOf(detection)
    const ejected = sweepOutliers(policy, samples, states, random, performance.now())
    for (const id of ejected) this.#table.forgiveBackend(id)
    watched.hasEjected = false
    for (const [index, { placed }] of members.entries()) {
      const isEjected = states.get(ids[index])?.ejectedAtMs !== undefined
      const wasEjected = this.#states.state(placed.idKey)?.isEjected ?? false
      watched.hasEjected ||= isEjected
      if (isEjected === wasEjected) continue
      // Connections that had begun before may have failed since: it begins anew.
      if (!isEjected) this.#table.forgiveBackend(ids[index])
      this.#states.eject(placed, isEjected)
      if (!isEjected) this.#log('info', 'backend no longer ejected', { backend: placed.key })
      else this.#logEjected(placed.key, policy, samples[index], states.get(ids[index]))
    }
    this.#review(watched)
  }

  /** With what was seen of it, in a row and since the last sweep, and for how long it is out at most. */
  #logEjected(backend: string, policy: OutlierPolicy, sample: OutlierSample, state: OutlierState | undefined): void {
    const { failuresInARow, brokenInARow, failures, successes } = sample
    const forMsMax = state && ejectionMs(policy, state)
    const fields = { backend, failuresInARow, brokenInARow, failures, successes, forMsMax }
    this.#log('warn', 'backend ejected: too many of its connections fail', fields)
  }

  /** Lets ejected backends serve while no other one does. */
  #review(watched: Watched): void {
    const { service, hasEjected, isIgnored } = watched
    const serving = hasEjected ? this.#members(watched).filter(({ isServing }) => isServing) : []
    const isNobodyLeft = serving.length > 0 && serving.every(({ isEjected }) => isEjected)
    if (isNobodyLeft === isIgnored) return
    watched.isIgnored = isNobodyLeft
    this.#states.ignoreEjections(service, isNobodyLeft)
    const fields = { service: service.name }
    if (isNobodyLeft) this.#log('warn', 'ejections do not count: no other backend serves', fields)
    else this.#log('info', 'ejections count again', fields)
  }

  #members({ service }: Watched): Member[] {
    const canServe = this.#spreads.canServe(service)
    return placedGroups(service).flatMap(({ backends }, place) =>
      backends.map((placed) => {
        const state = this.#states.state(placed.idKey)
        const isServing = canServe[place] && state?.wouldServe === true
        return { placed, isServing, isEjected: state?.isEjected ?? false, probes: state?.probes }
      }),
    )
  }

  #sample({ counted }: Watched, { isServing, probes }: Member, id: number): OutlierSample {
    const { cells } = this.#table
    const now = {
      connections: this.#table.readBackend(id, BackendCounter.connections),
      failures: this.#table.readBackend(id, BackendCounter.connectFailures),
      broken: this.#table.readBackend(id, BackendCounter.broken),
      passedChecks: (probes?.probes ?? 0) - (probes?.failures ?? 0),
    }
    const before = counted.get(id) ?? now
    counted.set(id, now)
    const failures = now.failures - before.failures
    return {
      id,
      isServing,
      failures,
      successes: Math.max(0, now.connections - before.connections - failures),
      failuresInARow: Atomics.load(cells.failuresInRow, id),
      broken: now.broken - before.broken,
      brokenInARow: Atomics.load(cells.brokenInRow, id),
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
