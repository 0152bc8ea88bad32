import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { ControllerClient } from '../../feed/controller-client.ts'
import { type EdgeReport, FEED_FORMAT, type FeedLine, isConfigurationId, type ReportedHealth } from '../../feed/feed.ts'
import { sourceTowards } from '../../linux/route.ts'
import { backendKey } from '../../snapshot/backend-key.ts'
import { isSnapshot } from '../../snapshot/is-snapshot.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from '../../snapshot/snapshot.ts'
import type { EdgeStatus } from '../../telemetry/edge-status.ts'
import type { Log } from '../../telemetry/log.ts'
import type { RunningEdge } from '../edge.ts'
import { type IdentifiedSnapshot, readLastGood, writeLastGood } from './last-good.ts'

/** How often health is looked at, and how often a report is sent when nothing is new. */
const HEALTH_MS = 1_000
const REPORT_MS_MAX = 5_000
/** When a configuration that was refused is tried again: what was wrong with the host may have been mended. */
const TRY_AGAIN_MS = 10_000
/** How often it is looked from where backends are connected to. */
const SOURCES_MS = 60_000
/** As many as a controller takes. */
const SOURCES_MAX = 1_024
/** What is shown of a format that is not known. */
const FORMAT_LENGTH_MAX = 20

const NOTHING: IdentifiedSnapshot = {
  generation: '',
  version: 0,
  snapshot: EMPTY_SNAPSHOT,
}

/** What a follower works with. */
export type FollowerOptions = {
  readonly client: ControllerClient
  /** The edge's own. */
  readonly name: string
  readonly region: string | undefined
  readonly zone: string | undefined
  /** From where backends are connected to; empty: the kernel chooses. */
  readonly sourceAddresses: readonly IpAddress[]
  /** Where the last good configuration is kept. */
  readonly file: string
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
  #sources: readonly string[] = []
  #sourcesAtMs = Number.NEGATIVE_INFINITY
  #isConnected = false
  #edge: RunningEdge | undefined
  #reported = ''
  #reportedAtMs = 0
  #reportProblem = ''
  #isReporting = false
  #isReportDue = false

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#client = options.client
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
    this.#findSources()
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
      log('error', 'The last configuration cannot be used; waiting for the controller', { problem: String(error) })
      return NOTHING
    }
  }

  #follow(): Promise<void> {
    const { log, name } = this.#options
    const pathOf = (): string => {
      const { generation, version } = this.#wanted
      return `/truepeer/v1/watch?${new URLSearchParams({ name, generation, version: `${version}` })}`
    }
    const onLine = (line: unknown): void => {
      this.#isConnected = true
      this.#take(line as FeedLine)
    }
    const onEnd = (): void => {
      this.#isConnected = false
    }
    return this.#client.follow({ pathOf, onLine, onEnd }, { log, signal: this.#end.signal })
  }

  /** @throws Error when the line is none of this version */
  #take(line: FeedLine): void {
    switch (line.type) {
      case 'alive':
        return
      case 'version':
        if (!isConfigurationId(line)) throw new Error('The controller sends a version without its number')
        this.#wanted = { generation: line.generation, version: line.version, snapshot: this.#wanted.snapshot }
        break
      case 'snapshot': {
        const { format, generation, version, snapshot } = line
        if (format !== FEED_FORMAT) {
          const sent = String(format).slice(0, FORMAT_LENGTH_MAX)
          throw new Error(`The controller sends the format ${sent}, not ${FEED_FORMAT}; update the older of both`)
        }
        if (!isConfigurationId(line) || !isSnapshot(snapshot)) {
          throw new Error('The controller sends a configuration that is none; update the older of both')
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
    this.#findSources()
    // A version without a difference need not be written: the next start asks from the one before.
    if (!isNew) return
    try {
      writeLastGood(this.#options.file, applied)
    } catch (error) {
      const { file, log } = this.#options
      log('error', 'The configuration cannot be kept for the next start', { file, problem: String(error) })
    }
  }

  /** Routes and addresses of this host may change, too. */
  #findSources(): void {
    const { sourceAddresses } = this.#options
    const { services } = this.#applied.snapshot
    const backends = new Set(services.flatMap(({ groups }) => groups.flatMap((group) => group.backends.map(addressOf))))
    const chosen = [...backends].map((text) => sourceFor(text)).filter((address) => address !== undefined)
    const addresses = sourceAddresses.length > 0 ? sourceAddresses : chosen
    this.#sources = [...new Set(addresses.map(formatIpAddress))].sort().slice(0, SOURCES_MAX)
    this.#sourcesAtMs = performance.now()
  }

  #tick(): void {
    if (performance.now() - this.#sourcesAtMs >= SOURCES_MS) this.#findSources()
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
        await this.#client.post(`/truepeer/v1/edges/${this.#options.name}/status`, report, this.#end.signal)
        this.#reported = JSON.stringify(report)
        this.#reportProblem = ''
      } catch (error) {
        this.#reported = ''
        const problem = String(error)
        // The next report comes anyway.
        if (problem !== this.#reportProblem) this.#options.log('warn', 'The controller takes no report', { problem })
        this.#reportProblem = problem
      }
    }
    this.#isReporting = false
  }

  #makeReport(): EdgeReport {
    const { region, zone } = this.#options
    const { generation, version } = this.#applied
    const services = this.#edge?.status().services ?? []
    const applied = { generation, version }
    return { region, zone, applied, refused: this.#refused, health: healthOf(services), sources: this.#sources }
  }
}

function addressOf({ address }: { readonly address: string }): string {
  return address
}

function sourceFor(text: string): IpAddress | undefined {
  const address = parseIpAddress(text)
  // No packet is sent, so any port will do.
  return address && sourceTowards({ address, port: 9 })
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
