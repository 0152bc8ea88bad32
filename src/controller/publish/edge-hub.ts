import { createHash } from 'node:crypto'
import { formatProblem } from '../../compute/problem.ts'
import {
  ALIVE_INTERVAL_MS,
  type ConfigurationId,
  type EdgeReport,
  FEED_FORMAT,
  FEED_LINE_BYTES_MAX,
  type FeedLine,
  type HeldConfiguration,
  type ReportedHealth,
} from '../../feed/feed.ts'
import type { WhyAnswer, WhyQuestion } from '../../telemetry/edge-why.ts'
import type { Log } from '../../telemetry/log.ts'
import { compareTexts } from '../../text/compare-texts.ts'
import type { HealthSource, Hub, Publication } from '../model/world.ts'

/** How long a change of listeners waits for edges, where nobody says otherwise (ARCHITECTURE.md, "The controller"). */
const APPLY_WAIT_MS = 2_000
/** An edge reports every few seconds; one that has not for this long is gone, whatever its connection looks like. */
const SILENCE_MS_MAX = 15_000
const EDGES_MAX = 10_000
const LINES_LOGGED_MAX = 20
/** For a snapshot in its line. */
const SNAPSHOT_BYTES_MAX = FEED_LINE_BYTES_MAX - 1_024

/** How long somebody who asks an edge waits, and how many may wait for one edge. */
const ANSWER_WAIT_MS = 5_000
const QUESTIONS_MAX = 10

/** Where lines for an edge go. */
export type FeedSink = {
  /** Returns false when no more is to be written before `onDrain` was called. */
  write(line: string): boolean
  end(): void
}

type Follower = {
  readonly sink: FeedSink
  /** How the process of the edge calls itself; empty: it does not. */
  readonly process: string
  isBlocked: boolean
  /** The body it has, or will have when all that was written has arrived; undefined: unknown. */
  body: string | undefined
  version: number
  /** The ticket keys it has; undefined: none of this controller. */
  ticketKeys: readonly string[] | undefined
  /** What it was told of the number of edges. */
  edges: string
  lastHeardMs: number
}

type Edge = {
  follower: Follower | undefined
  report: EdgeReport | undefined
  /** What the edge calls the health in its report; undefined: it has no name for it. */
  healthId: string | undefined
  reportedMs: number
  /** The process of the same name that was refused last. */
  refused: string | undefined
  /** Those that it has not answered yet, by id. */
  readonly questions: Map<string, (answer: WhyAnswer | NoAnswer) => void>
}

/**
 * Why an edge does not answer a question: it is not connected, too many others wait for it, it does not answer in time, or
 * what it says is not an answer.
 */
export type NoAnswer = 'away' | 'busy' | 'late' | 'invalid'

/** Why an edge is not let in: there are too many others, or another one of its name is connected. */
export type HubRefusal = 'full' | 'taken'

/** An edge as the controller knows it. */
export type EdgeView = {
  readonly name: string
  readonly isConnected: boolean
  readonly report: EdgeReport | undefined
  /** RFC 3339. */
  readonly reportedAt: string | undefined
}

/** What a hub works with. */
export type EdgeHubOptions = {
  /** What edges are to serve now; whoever answers keeps it for each version. */
  readonly publication: () => Publication
  readonly generation: string
  /** The ticket keys of all edges, another object whenever there is another key; undefined: edges make their own. */
  readonly ticketKeys?: (() => readonly string[]) | undefined
  /** How long {@link EdgeHub.applied} waits. */
  readonly applyWaitMs?: number | undefined
  readonly log: Log
  /** Milliseconds since 1970, for people. */
  readonly clock: () => number
  /** Milliseconds that never go back nor jump, for deadlines: whoever sets the clock makes no edge silent. */
  readonly monotonicClock: () => number
}

/** The edges that follow this controller: hands them every version, and keeps what they report. */
export class EdgeHub implements Hub, HealthSource {
  readonly #options: EdgeHubOptions
  readonly #edges = new Map<string, Edge>()
  readonly #timer: NodeJS.Timeout
  #isSendDue = false
  #body = ''
  #digest = ''
  #bodyVersion = -1
  #leftOut = ''
  /** Called whenever an edge reports or goes. */
  readonly #watchers = new Set<() => void>()

  constructor(options: EdgeHubOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), ALIVE_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Says that there may be a new version, or other ticket keys: changes that come together are sent as one. */
  published(): void {
    if (this.#isSendDue) return
    this.#isSendDue = true
    setImmediate(() => {
      this.#isSendDue = false
      for (const { follower } of this.#edges.values()) if (follower !== undefined) this.#send(follower)
    })
  }

  async applied(version: number): Promise<readonly string[]> {
    const awaited = [...this.#edges].filter(([, { follower }]) => follower !== undefined).map(([name]) => name)
    const late = (): string[] => awaited.filter((name) => !this.#hasApplied(name, version))
    const isSettled = (): boolean => late().every((name) => this.#hasGivenUp(name, version))
    if (!isSettled()) await this.#until(isSettled, this.#options.applyWaitMs ?? APPLY_WAIT_MS)
    const named = awaited.filter((name) => !this.#hasApplied(name, version) || this.#isIncomplete(name))
    return named.map((name) => this.#lateText(name))
  }

  hasEdges(): boolean {
    return [...this.#edges.values()].some(({ follower }) => follower !== undefined)
  }

  isHeldUp(): boolean {
    return [...this.#edges.keys()].some((name) => this.#isIncomplete(name))
  }

  #lateText(name: string): string {
    const [problem, ...more] = this.#edges.get(name)?.report?.refused?.problems ?? []
    if (problem === undefined) return name
    return `${name} (${problem}${more.length > 0 ? `, and ${more.length} more` : ''})`
  }

  stateOf(key: string): ReportedHealth | undefined {
    let found: ReportedHealth | undefined
    for (const { follower, report } of this.#edges.values()) {
      if (follower === undefined || report === undefined || !Object.hasOwn(report.health, key)) continue
      found = report.health[key]
      // Clients of this edge reach it: that is what counts.
      if (found === 'HEALTHY') return found
    }
    return found
  }

  /**
   * Lets an edge follow from the configuration that it has. A connection that the same process had before is ended; one
   * of another process stays, until it ends or is silent for too long.
   *
   * @param process how the process of the edge calls itself; empty: it does not, and is never the same as another
   * @returns what the connection has to say: that it can take more, and that it is gone; or why it is none
   */
  follow(name: string, has: HeldConfiguration | undefined, sink: FeedSink, process = ''): FollowerEvents | HubRefusal {
    const edge = this.#edges.get(name) ?? this.#newEdge(name)
    if (edge === undefined) return 'full'
    if (edge.follower !== undefined) {
      if (process === '' || edge.follower.process !== process) return this.#refuse(name, edge, process)
      this.#options.log('warn', 'an edge connects again while it is connected', { edge: name })
      edge.follower.sink.end()
    } else this.#options.log('info', 'edge connected', { edge: name })
    edge.refused = undefined
    const isCurrent =
      has?.generation === this.#options.generation &&
      has.version === this.#publishedVersion() &&
      has.digest === this.#digest
    const follower: Follower = {
      sink,
      process,
      isBlocked: false,
      body: isCurrent ? this.#body : undefined,
      version: -1,
      ticketKeys: undefined,
      edges: '',
      lastHeardMs: this.#options.monotonicClock(),
    }
    edge.follower = follower
    this.#send(follower)
    this.#tellEdges()
    return {
      onDrain: () => {
        follower.isBlocked = false
        this.#send(follower)
        this.#tellEdges()
      },
      onEnd: () => {
        if (edge.follower !== follower) return
        edge.follower = undefined
        this.#options.log('info', 'edge disconnected', { edge: name })
        this.#tellEdges()
        this.#wake()
      },
    }
  }

  /** The health that an edge has reported under this name; undefined: its last report was of another, or has no name. */
  healthOf(name: string, healthId: string | undefined): EdgeReport['health'] | undefined {
    const edge = this.#edges.get(name)
    return healthId !== undefined && edge?.healthId === healthId ? edge.report?.health : undefined
  }

  /** Takes what an edge says about itself. @returns why not; undefined: it was taken */
  report(name: string, report: EdgeReport, healthId?: string, process = ''): HubRefusal | undefined {
    const edge = this.#edges.get(name) ?? this.#newEdge(name)
    if (edge === undefined) return 'full'
    if (edge.follower !== undefined && edge.follower.process !== process) return this.#refuse(name, edge, process)
    const { refused } = report
    if (refused !== undefined && isNewRefusal(report, edge.report)) {
      const fields = { edge: name, version: refused.version, problems: refused.problems.slice(0, LINES_LOGGED_MAX) }
      this.#options.log('warn', 'an edge has not applied the whole of a version', fields)
    }
    edge.report = report
    edge.healthId = healthId
    edge.reportedMs = this.#options.clock()
    if (edge.follower !== undefined) edge.follower.lastHeardMs = this.#options.monotonicClock()
    this.#wake()
    return undefined
  }

  /** Asks an edge why a client gets the backend that it gets. */
  ask(name: string, { client, frontend }: WhyQuestion): Promise<WhyAnswer | NoAnswer> {
    const { follower, questions } = this.#edges.get(name) ?? {}
    if (follower === undefined || questions === undefined) return Promise.resolve('away')
    if (follower.isBlocked || questions.size >= QUESTIONS_MAX) return Promise.resolve('busy')
    const id = crypto.randomUUID()
    return new Promise((resolve) => {
      const answer = (value: WhyAnswer | NoAnswer): void => {
        clearTimeout(timer)
        questions.delete(id)
        resolve(value)
      }
      const timer = setTimeout(() => answer('late'), ANSWER_WAIT_MS).unref()
      questions.set(id, answer)
      this.#write(follower, JSON.stringify({ type: 'why', id, client, frontend } satisfies FeedLine))
    })
  }

  /**
   * Takes the answer of an edge.
   *
   * @param process how the process of the edge calls itself; empty: it does not
   * @returns why not: nobody waits for it, or another process follows as this edge; undefined: it was taken
   */
  answer(name: string, id: string, answer: WhyAnswer | 'invalid', process = ''): HubRefusal | 'unasked' | undefined {
    const edge = this.#edges.get(name)
    const take = edge?.questions.get(id)
    if (edge === undefined || take === undefined) return 'unasked'
    if (edge.follower !== undefined && edge.follower.process !== process) return this.#refuse(name, edge, process)
    take(answer)
    return undefined
  }

  /** Edges share the targets of services: each hears how many they are, and which one it is. */
  #tellEdges(): void {
    const followers = [...this.#edges].flatMap(([name, { follower }]) => (follower ? [{ name, follower }] : []))
    followers.sort((a, b) => compareTexts(a.name, b.name))
    for (const [index, { follower }] of followers.entries()) {
      const line = JSON.stringify({ type: 'edges', count: followers.length, index } satisfies FeedLine)
      if (follower.isBlocked || follower.edges === line) continue
      follower.edges = line
      this.#write(follower, line)
    }
  }

  /** It tries again every few seconds, and is logged once. */
  #refuse(name: string, edge: Edge, process: string): 'taken' {
    if (edge.refused !== process) {
      const fields = { edge: name, problem: 'an edge of this name is connected; give each a --name of its own' }
      this.#options.log('warn', 'an edge is refused', fields)
    }
    edge.refused = process
    return 'taken'
  }

  /** The edges that follow or have followed, by name. */
  edges(): readonly EdgeView[] {
    return [...this.#edges]
      .map(([name, { follower, report, reportedMs }]) => ({
        name,
        isConnected: follower !== undefined,
        report,
        reportedAt: report && new Date(reportedMs).toISOString(),
      }))
      .sort((a, b) => compareTexts(a.name, b.name))
  }

  /** Reports whether an edge of this name has followed, and was not forgotten. */
  knows(name: string): boolean {
    return this.#edges.has(name)
  }

  /** @returns false: it is connected */
  forget(name: string): boolean {
    if (this.#edges.get(name)?.follower !== undefined) return false
    this.#edges.delete(name)
    return true
  }

  /** Ends all connections. */
  close(): void {
    clearInterval(this.#timer)
    for (const { follower } of this.#edges.values()) follower?.sink.end()
  }

  /** An edge that is not connected makes room. */
  #newEdge(name: string): Edge | undefined {
    if (this.#edges.size >= EDGES_MAX) {
      const gone = [...this.#edges].find(([, { follower }]) => follower === undefined)
      if (gone === undefined) return undefined
      this.#edges.delete(gone[0])
    }
    const edge: Edge = {
      follower: undefined,
      report: undefined,
      healthId: undefined,
      reportedMs: 0,
      refused: undefined,
      questions: new Map(),
    }
    this.#edges.set(name, edge)
    return edge
  }

  #hasApplied(name: string, version: number): boolean {
    const { follower, report } = this.#edges.get(name) ?? {}
    // Who has left does not hold anybody up.
    return follower === undefined || (report !== undefined && this.#reaches(report.applied, version))
  }

  /** Who has applied a version may have left some of it out. */
  #isIncomplete(name: string): boolean {
    const { follower, report } = this.#edges.get(name) ?? {}
    return follower !== undefined && report?.refused !== undefined
  }

  #hasGivenUp(name: string, version: number): boolean {
    const refused = this.#edges.get(name)?.report?.refused
    return refused !== undefined && this.#reaches(refused, version)
  }

  #reaches(configuration: ConfigurationId, version: number): boolean {
    return configuration.generation === this.#options.generation && configuration.version >= version
  }

  #send(follower: Follower): void {
    if (follower.isBlocked) return
    this.#sendTicketKeys(follower)
    if (follower.isBlocked) return
    const version = this.#publishedVersion()
    if (version === follower.version || version < 0) return
    const { generation } = this.#options
    const id = `"generation":${JSON.stringify(generation)},"version":${version}`
    const isSame = follower.body === this.#body
    follower.body = this.#body
    follower.version = version
    this.#write(
      follower,
      isSame
        ? `{"type":"version",${id}}`
        : `{"type":"snapshot","format":${FEED_FORMAT},${id},"digest":"${this.#digest}","snapshot":${this.#body}}`,
    )
  }

  #sendTicketKeys(follower: Follower): void {
    const keys = this.#options.ticketKeys?.()
    if (keys === undefined || keys === follower.ticketKeys) return
    follower.ticketKeys = keys
    this.#write(follower, JSON.stringify({ type: 'tickets', keys } satisfies FeedLine))
  }

  #write(follower: Follower, line: string): void {
    if (!follower.sink.write(`${line}\n`)) follower.isBlocked = true
  }

  /** Brings the text of the snapshot up to date. */
  #publishedVersion(): number {
    const publication = this.#publication()
    if (publication === undefined) return this.#bodyVersion
    const { version, snapshot, leftOut } = publication
    if (version === this.#bodyVersion) return version
    const body = JSON.stringify(snapshot)
    if (body !== this.#body && Buffer.byteLength(body) > SNAPSHOT_BYTES_MAX) {
      const problem = `it is larger than ${FEED_LINE_BYTES_MAX / 1024 / 1024} MiB, which is more than an edge accepts; serve less`
      this.#options.log('error', 'the configuration is too large', { version, problem })
    }
    // The same string, so that comparing costs nothing.
    if (body !== this.#body) {
      this.#body = body
      this.#digest = createHash('sha256').update(body).digest('base64url')
    }
    this.#bodyVersion = version
    const lines = leftOut.map(formatProblem)
    const joined = lines.join('\n')
    if (joined !== this.#leftOut && joined !== '') {
      const fields = { version, leftOut: lines.slice(0, LINES_LOGGED_MAX) }
      this.#options.log('warn', 'parts of the configuration cannot be served', fields)
    }
    this.#leftOut = joined
    return version
  }

  /** undefined: our own mistake, and edges go on with what they have. */
  #publication(): Publication | undefined {
    try {
      return this.#options.publication()
    } catch (error) {
      this.#options.log('error', 'The configuration cannot be compiled', { stack: (error as Error).stack })
      return undefined
    }
  }

  #tick(): void {
    const nowMs = this.#options.monotonicClock()
    const alive = JSON.stringify({ type: 'alive' } satisfies FeedLine)
    for (const [name, { follower }] of this.#edges) {
      if (follower === undefined) continue
      if (nowMs - follower.lastHeardMs > SILENCE_MS_MAX) {
        this.#options.log('warn', 'an edge is silent: its connection is ended', { edge: name })
        follower.sink.end()
      } else if (!follower.isBlocked) this.#write(follower, alive)
    }
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #until(isDone: () => boolean, waitMsMax: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(check)
        resolve()
      }
      const check = (): void => {
        if (isDone()) end()
      }
      const timer = setTimeout(end, waitMsMax)
      this.#watchers.add(check)
    })
  }
}

/** Each version that is not applied is told, and what is left out of those that are, once. */
function isNewRefusal({ refused, applied }: EdgeReport, before: EdgeReport | undefined): boolean {
  if (refused?.version !== applied.version) return refused?.version !== before?.refused?.version
  return refused.problems.join() !== before?.refused?.problems.join()
}

/** What the connection of an edge says. */
export type FollowerEvents = { readonly onDrain: () => void; readonly onEnd: () => void }
