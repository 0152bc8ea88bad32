import { dirname } from 'node:path'
import { formatIpAddress, type IpAddress } from '../../address/ip-address.ts'
import type { ControllerClient } from '../../feed/controller-client.ts'
import { isEdgeSource, SOURCES_MAX } from '../../feed/edge-source.ts'
import {
  type ConfigurationId,
  type EdgeCount,
  type EdgeReport,
  FEED_FORMAT,
  type FeedLine,
  isConfigurationId,
  isEdgeCount,
  isQuestion,
  type ReportedHealth,
  shownFormat,
} from '../../feed/feed.ts'
import { makeWritableDirectory } from '../../linux/make-directory.ts'
import { sourceTowards } from '../../linux/route.ts'
import { readSnapshot } from '../../snapshot/is-snapshot.ts'
import { localBackendProblems } from '../../snapshot/local-backends.ts'
import { isListOf, isText, isWord } from '../../snapshot/shape.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { compareTexts } from '../../text/compare-texts.ts'
import { messageOf } from '../../text/error-message.ts'
import { parseTicketKeys } from '../../tls/ticket-keys.ts'
import type { RunningEdge } from '../edge.ts'
import { ConfigurationError } from '../frontends/configuration-error.ts'
import { type IdentifiedSnapshot, readLastGood, writeLastGood } from './last-good.ts'
import { OwnAddresses } from './own-addresses.ts'
import { Questions } from './questions.ts'
import { Reports } from './reports.ts'

/** How often it is looked whether there is something to report. */
const TICK_MS = 1_000
/** When a configuration that was refused is tried again: what was wrong with the host may have been fixed. */
const TRY_AGAIN_MS = 10_000
/** In so many ticks it is asked again from where each backend is connected to. */
const SOURCES_TICKS = 60
/** The number of edges is written when it has been the same for so long: many may come or go together. */
const EDGES_SETTLE_MS = 5_000
/** Nothing is sent there. */
const ANY_PORT = 9

const isTexts = isListOf(isText)

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
  /** Backends may be at loopback and link-local addresses. */
  readonly allowsLocalBackends: boolean
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
  /** Tells this process from others of the same name, which a controller refuses while this one follows, and from earlier ones. */
  readonly #process = crypto.randomUUID()
  /** What the edge serves, as far as it is known. */
  #applied: IdentifiedSnapshot
  /** What it has to serve. */
  #wanted: IdentifiedSnapshot
  #refused: Refused | undefined
  /** What the controller has now, and the edge does not take by itself. */
  #held: Refused | undefined
  /** Those that share limits and targets; undefined: the controller has not said it yet. */
  #edges: EdgeCount | undefined
  #edgesAtMs = 0
  #areEdgesSaved = true
  #isApplying = false
  #triedAtMs = 0
  readonly #sources = new OwnAddresses(sourceFor)
  #isConnected = false
  #edge: RunningEdge | undefined
  readonly #reports: Reports
  readonly #questions: Questions

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#client = options.client
    this.#applied = this.#readLastGood()
    this.#wanted = this.#applied
    this.#edges = this.#applied.edges
    const { client, name, log } = options
    const path = `/truepeer/v1/edges/${name}/status?process=${this.#process}`
    this.#reports = new Reports(
      { client, path, process: this.#process, log, signal: this.#end.signal },
      {
        head: () => this.#reportHead(),
        healthRevision: () => this.#edge?.healthRevision() ?? 0,
        health: () => healthOf(this.#edge?.health() ?? []),
      },
    )
    this.#questions = new Questions({
      client,
      pathOf: (id) => `/truepeer/v1/edges/${name}/answers/${id}?process=${this.#process}`,
      explain: (question) => this.#edge?.why(question),
      log,
      signal: this.#end.signal,
    })
  }

  /** What the edge has to serve, to be read whenever it loads its configuration. @throws ConfigurationError */
  snapshot(): Snapshot {
    return this.#checked(this.#wanted.snapshot)
  }

  /** Those that share limits and targets with this edge, as it was known last; undefined: nobody has said it. */
  get edges(): EdgeCount | undefined {
    return this.#edges
  }

  /** Whoever changes resources at the controller is not the operator of this host. @throws ConfigurationError */
  #checked(snapshot: Snapshot): Snapshot {
    const problems = this.#options.allowsLocalBackends ? [] : localBackendProblems(snapshot)
    if (problems.length > 0) throw new ConfigurationError(problems)
    return snapshot
  }

  /** Follows the controller from now on, for an edge that serves {@link snapshot} as it is now. */
  start(edge: RunningEdge): void {
    this.#edge = edge
    try {
      makeWritableDirectory(dirname(this.#options.file), 0o700)
    } catch (error) {
      this.#onNotSaved(error)
    }
    this.#findSources()
    void this.#follow()
    const timer = setInterval(() => this.#tick(), TICK_MS)
    timer.unref()
    this.#end.signal.addEventListener('abort', () => clearInterval(timer))
  }

  /** Leaves the edge as it is. */
  stop(): void {
    this.#end.abort()
    if (!this.#areEdgesSaved) this.#save()
  }

  #readLastGood(): IdentifiedSnapshot {
    const { file, log } = this.#options
    try {
      const found = readLastGood(file)
      if (found === undefined) return NOTHING
      this.#checked(found.snapshot)
      log('info', 'starting with the last configuration', { version: found.version, file })
      return found
    } catch (error) {
      log('error', 'The last configuration cannot be used; waiting for the controller', { problem: messageOf(error) })
      return NOTHING
    }
  }

  #follow(): Promise<void> {
    const { log, name } = this.#options
    const pathOf = (): string => {
      const { generation, version, digest = '' } = this.#wanted
      const has = { generation, version: `${version}`, digest, process: this.#process }
      return `/truepeer/v1/watch?${new URLSearchParams({ name, ...has })}`
    }
    const onLine = (line: unknown): void => {
      this.#isConnected = true
      this.#take(line as FeedLine)
    }
    const onEnd = (): void => {
      this.#isConnected = false
      this.#reports.forgetController()
    }
    return this.#client.follow({ pathOf, onLine, onEnd }, { log, signal: this.#end.signal })
  }

  /** @throws Error when the line is none of this version */
  #take(line: FeedLine): void {
    switch (line.type) {
      case 'alive':
        return
      case 'tickets':
        return this.#shareTickets(line.keys)
      case 'edges':
        if (!isEdgeCount(line))
          throw new Error('The controller sent an invalid number of edges; update the older of the two')
        return this.#shareWith({ count: line.count, index: line.index })
      case 'why':
        if (!isQuestion(line)) throw new Error('The controller sent an invalid question; update the older of the two')
        void this.#questions.take(line)
        return
      case 'version':
        if (!isConfigurationId(line)) throw new Error('The controller sent a version without a number')
        if (line.generation === this.#held?.generation) return this.#hold(line)
        if (line.generation !== this.#wanted.generation) {
          throw new Error('The controller sent a change to a configuration that it has not sent')
        }
        this.#held = undefined
        this.#wanted = { ...this.#wanted, generation: line.generation, version: line.version }
        break
      case 'snapshot': {
        const { format, generation, version, digest } = line
        if (format !== FEED_FORMAT) {
          const sent = shownFormat(format)
          throw new Error(
            `The controller sent ${sent}, and this edge understands format ${FEED_FORMAT}; update the older of the two`,
          )
        }
        const snapshot = readSnapshot(line.snapshot)
        if (!isConfigurationId(line) || snapshot === undefined) {
          throw new Error('The controller sent an invalid configuration; update the older of the two')
        }
        if (this.#isHeld({ generation, version, snapshot })) return this.#hold(line)
        this.#held = undefined
        this.#wanted = { generation, version, digest: isWord(digest) ? digest : undefined, snapshot }
        break
      }
      default:
        // A later controller may say more.
        return
    }
    void this.#apply()
  }

  #shareWith(edges: EdgeCount): void {
    this.#edge?.shareWith(edges)
    this.#areEdgesSaved &&= edges.count === this.#edges?.count && edges.index === this.#edges.index
    this.#edges = edges
    this.#edgesAtMs = performance.now()
  }

  #shareTickets(texts: readonly string[]): void {
    const keys = isTexts(texts) ? parseTicketKeys(texts) : undefined
    if (keys === undefined) {
      throw new Error('The controller sent invalid ticket keys; update the older of the two')
    }
    this.#edge?.shareTickets(keys)
  }

  /**
   * A controller with another database and nothing in it was perhaps started with a wrong directory: that is no reason to
   * close every port.
   */
  #isHeld({ generation, snapshot }: IdentifiedSnapshot): boolean {
    const served = this.#wanted
    const isOther = served.generation !== '' && generation !== served.generation
    return isOther && snapshot.frontends.length === 0 && served.snapshot.frontends.length > 0
  }

  #hold({ generation, version }: ConfigurationId): void {
    const { file, log } = this.#options
    const remedy = `check the --data of the controller; to serve nothing, remove ${JSON.stringify(file)} and restart the edge`
    const problem = `The controller now uses another database, which has nothing to serve; the last configuration is still in use; ${remedy}`
    if (this.#held?.generation !== generation) log('error', problem)
    this.#held = { generation, version, problems: [problem] }
    void this.#reports.soon()
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
      void this.#reports.soon()
    }
    this.#isApplying = false
  }

  async #reload(wanted: IdentifiedSnapshot): Promise<void> {
    const edge = this.#edge
    if (edge === undefined) return
    const before = edge.configuration().reloads
    await edge.reload()
    const { reloads, problems } = edge.configuration()
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
    if (isNew) this.#save()
  }

  #save(): void {
    this.#areEdgesSaved = true
    // Without a configuration there is nothing to share.
    if (this.#applied.generation === '') return
    try {
      writeLastGood(this.#options.file, { ...this.#applied, edges: this.#edges })
    } catch (error) {
      this.#onNotSaved(error)
    }
  }

  #onNotSaved(error: unknown): void {
    const { file, log } = this.#options
    log('error', 'The configuration cannot be saved for the next start', { file, problem: messageOf(error) })
  }

  #findSources(): void {
    if (this.#options.sourceAddresses.length > 0) return
    const { services } = this.#applied.snapshot
    const backends = services.flatMap(({ groups }) => groups.flatMap((group) => group.backends))
    this.#sources.use(backends.map(({ address }) => address))
  }

  #tick(): void {
    // Routes and addresses of this host may change, too.
    this.#sources.askAgain(SOURCES_TICKS)
    if (this.#refused !== undefined && performance.now() - this.#triedAtMs >= TRY_AGAIN_MS) void this.#apply()
    if (!this.#areEdgesSaved && performance.now() - this.#edgesAtMs >= EDGES_SETTLE_MS) this.#save()
    if (this.#isConnected) this.#reports.tick()
  }

  #reportHead(): Omit<EdgeReport, 'health'> {
    const { region, zone, sourceAddresses } = this.#options
    const { generation, version } = this.#applied
    const given = [...new Set(sourceAddresses.filter(isEdgeSource).map(formatIpAddress))].sort(compareTexts)
    const sources = (sourceAddresses.length > 0 ? given : this.#sources.list()).slice(0, SOURCES_MAX)
    const refused = this.#held ?? this.#refused ?? this.#leftOut()
    return { region, zone, applied: { generation, version }, refused, sources }
  }

  /** What the edge does not serve of the version that it has applied. */
  #leftOut(): Refused | undefined {
    const problems = this.#edge?.configuration().unopened ?? []
    const { generation, version } = this.#applied
    return problems.length === 0 ? undefined : { generation, version, problems }
  }
}

/** A backend on this host is reached from loopback, which no agent trusts. */
function sourceFor(address: IpAddress): IpAddress | undefined {
  const own = sourceTowards({ address, port: ANY_PORT })
  return own !== undefined && isEdgeSource(own) ? own : undefined
}

/** What was not probed yet is left out. */
function healthOf(backends: ReturnType<RunningEdge['health']>): EdgeReport['health'] {
  const states: Record<string, ReportedHealth> = {}
  for (const { key, health, isDrained } of backends) {
    if (health !== 'UNKNOWN') states[key] = isDrained ? 'DRAINING' : health
  }
  return states
}
