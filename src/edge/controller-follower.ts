import { setTimeout as sleep } from 'node:timers/promises'
import { backendKey } from '../snapshot/backend-key.ts'
import { type EdgeReport, FEED_FORMAT, type FeedLine, type ReportedHealth } from '../snapshot/feed.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { EdgeStatus } from '../telemetry/edge-status.ts'
import type { Log } from '../telemetry/log.ts'
import { type ControllerAddress, ControllerClient } from './controller-client.ts'
import type { RunningEdge } from './edge.ts'
import { type IdentifiedSnapshot, isSnapshot, readLastGood, writeLastGood } from './last-good.ts'

/** How long to wait before connecting again; doubled with each failure. */
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000
/** How often health is looked at, and how often a report is sent when nothing is new. */
const HEALTH_MS = 1_000
const REPORT_MS_MAX = 5_000
/** When a configuration that was refused is tried again: what was wrong with the host may have been mended. */
const TRY_AGAIN_MS = 10_000

const NOTHING: IdentifiedSnapshot = {
  generation: '',
  version: 0,
  snapshot: { frontends: [], services: [], healthChecks: [] },
}

/** What a follower works with. */
export type FollowerOptions = {
  readonly address: ControllerAddress
  /** The edge's own. */
  readonly name: string
  readonly region: string | undefined
  readonly zone: string | undefined
  /** Where the last good configuration is kept. */
  readonly file: string
  /** The bearer token as it is now. */
  readonly readToken: () => string | undefined
  readonly log: Log
}

type Refused = NonNullable<EdgeReport['refused']>

/**
 * Keeps an edge at the configuration of its controller, and the controller informed about the edge. While the controller
 * cannot be reached, the edge serves what it has; at the start that is the last configuration that it has applied.
 */
export class ControllerFollower {
  readonly #options: FollowerOptions
  readonly #client: ControllerClient
  readonly #end = new AbortController()
  /** What the edge serves, as far as it is known. */
  #applied: IdentifiedSnapshot
  /** What it has to serve. */
  #wanted: IdentifiedSnapshot
  #refused: Refused | undefined
  #isApplying = false
  #triedAtMs = 0
  #isConnected = false
  #edge: RunningEdge | undefined
  #reported = ''
  #reportedAtMs = 0
  #isReporting = false
  #isReportDue = false

  constructor(options: FollowerOptions) {
    const { address, name, readToken } = options
    this.#options = options
    this.#client = new ControllerClient(address, name, readToken)
    this.#applied = this.#readLastGood()
    this.#wanted = this.#applied
  }

  /** What the edge has to serve, to be read whenever it loads its configuration. */
  snapshot(): Snapshot {
    return this.#wanted.snapshot
  }

  /** Follows the controller from now on, for an edge that serves {@link snapshot} as it is now. */
  start(edge: RunningEdge): void {
    this.#edge = edge
    void this.#follow()
    const timer = setInterval(() => this.#tick(), HEALTH_MS)
    timer.unref()
    this.#end.signal.addEventListener('abort', () => clearInterval(timer))
  }

  /** Leaves the edge as it is. */
  stop(): void {
    this.#end.abort()
  }

  #readLastGood(): IdentifiedSnapshot {
    const { file, log } = this.#options
    try {
      const found = readLastGood(file)
      if (found === undefined) return NOTHING
      log('info', 'starting with the last configuration', { version: found.version, file })
      return found
    } catch (error) {
      log('error', 'The last configuration cannot be read; waiting for the controller', { problem: String(error) })
      return NOTHING
    }
  }

  async #follow(): Promise<void> {
    const { log, name } = this.#options
    const { signal } = this.#end
    let retryMs = RETRY_MS_MIN
    let lastProblem = ''
    while (!signal.aborted) {
      const ended = await this.#client.watch(this.#wanted, signal, (line) => {
        if (!this.#isConnected) log('info', 'following the controller', { name })
        this.#isConnected = true
        retryMs = RETRY_MS_MIN
        lastProblem = ''
        this.#take(line)
      })
      this.#isConnected = false
      if (signal.aborted) return
      // Not every attempt of a long night.
      if (ended.message !== lastProblem) log('warn', 'The controller cannot be followed', { problem: ended.message })
      lastProblem = ended.message
      // Edges that have lost the same controller do not come back at the same moment.
      await sleep(retryMs * (0.5 + Math.random() / 2), undefined, { ref: false })
      retryMs = Math.min(RETRY_MS_MAX, retryMs * 2)
    }
  }

  /** @throws Error when the line is none of this version */
  #take(line: FeedLine): void {
    switch (line.type) {
      case 'alive':
        return
      case 'version':
        this.#wanted = { generation: line.generation, version: line.version, snapshot: this.#wanted.snapshot }
        break
      case 'snapshot': {
        const { format, generation, version, snapshot } = line
        if (format !== FEED_FORMAT || !isSnapshot(snapshot)) {
          throw new Error(`The controller sends the format ${format}, not ${FEED_FORMAT}; update the older of both`)
        }
        this.#wanted = { generation, version, snapshot }
        break
      }
      default:
        // A later controller may say more.
        return
    }
    void this.#apply()
  }

  /** One after the other, and of several that wait only the latest. Never rejects. */
  async #apply(): Promise<void> {
    if (this.#isApplying) return
    this.#isApplying = true
    for (let tried: IdentifiedSnapshot | undefined; tried !== this.#wanted && !this.#end.signal.aborted; ) {
      tried = this.#wanted
      this.#triedAtMs = performance.now()
      if (tried.snapshot === this.#applied.snapshot) this.#keep(tried)
      else await this.#reload(tried)
      this.#reportSoon()
    }
    this.#isApplying = false
  }

  async #reload(wanted: IdentifiedSnapshot): Promise<void> {
    const edge = this.#edge
    if (edge === undefined) return
    const before = edge.status().configuration.reloads
    await edge.reload()
    const { reloads, problems } = edge.status().configuration
    if (reloads.failed > before.failed) {
      const { generation, version } = wanted
      this.#refused = { generation, version, problems }
    } else if (reloads.ok > before.ok) {
      this.#keep(wanted)
    }
  }

  #keep(applied: IdentifiedSnapshot): void {
    const isNew = applied.snapshot !== this.#applied.snapshot || applied.generation !== this.#applied.generation
    this.#applied = applied
    this.#refused = undefined
    // A version without a difference need not be written: the next start asks from the one before.
    if (!isNew) return
    try {
      writeLastGood(this.#options.file, applied)
    } catch (error) {
      const { file, log } = this.#options
      log('error', 'The configuration cannot be kept for the next start', { file, problem: String(error) })
    }
  }

  #tick(): void {
    if (this.#refused !== undefined && performance.now() - this.#triedAtMs >= TRY_AGAIN_MS) void this.#apply()
    const isDue = performance.now() - this.#reportedAtMs >= REPORT_MS_MAX
    if (this.#isConnected && (isDue || JSON.stringify(this.#makeReport()) !== this.#reported)) this.#reportSoon()
  }

  /** One report at a time; changes meanwhile are in the next one. */
  #reportSoon(): void {
    this.#isReportDue = true
    if (!this.#isReporting) void this.#report()
  }

  async #report(): Promise<void> {
    this.#isReporting = true
    while (this.#isReportDue && !this.#end.signal.aborted) {
      this.#isReportDue = false
      const report = this.#makeReport()
      this.#reportedAtMs = performance.now()
      try {
        await this.#client.report(report, this.#end.signal)
        this.#reported = JSON.stringify(report)
      } catch {
        // The stream says what is wrong; the next report comes anyway.
        this.#reported = ''
      }
    }
    this.#isReporting = false
  }

  #makeReport(): EdgeReport {
    const { region, zone } = this.#options
    const { generation, version } = this.#applied
    const services = this.#edge?.status().services ?? []
    return { region, zone, applied: { generation, version }, refused: this.#refused, health: healthOf(services) }
  }
}

function healthOf(services: EdgeStatus['services']): EdgeReport['health'] {
  const states: Record<string, ReportedHealth> = {}
  for (const service of services) {
    for (const group of service.groups) {
      for (const { name, health, isDrained } of group.backends) {
        if (health === 'UNKNOWN') continue
        states[backendKey(service.name, group.name, name)] = isDrained ? 'DRAINING' : health
      }
    }
  }
  return states
}
