import { parseIpAddress } from '../../address/ip-address.ts'
import { ALL_SOURCES_MAX, isEdgeSource } from '../../feed/edge-source.ts'
import { ALIVE_INTERVAL_MS, type SourcesLine } from '../../feed/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import { messageOf } from '../../text/error-message.ts'
import type { Store } from '../store/store.ts'
import type { FeedSink, FollowerEvents } from './edge-hub.ts'

const META = 'edge-sources'
const AGENTS_MAX = 10_000

type Agent = { readonly sink: FeedSink; isBlocked: boolean; isDue: boolean }

/**
 * The addresses from which edges connect to backends, for the agents that trust them. They are stored: an agent goes on
 * trusting an edge that is away, until an admin has the edge forgotten.
 */
export class EdgeSources {
  readonly #store: Pick<Store, 'meta' | 'commit'>
  readonly #log: Log
  readonly #agents = new Set<Agent>()
  readonly #timer: NodeJS.Timeout
  readonly #generation: string
  readonly #mayChange: (edge: string) => boolean
  /** By the edge's name. */
  readonly #addresses: Map<string, readonly string[]>
  /** Edges whose last addresses were not taken. */
  readonly #limited = new Set<string>()
  /** Resolves when all that was said before is stored, or has failed to be. */
  #stored: Promise<void> = Promise.resolve()

  /** @param mayChange is asked for each change of an edge, which costs a commit and a line to every agent */
  constructor(store: Pick<Store, 'meta' | 'commit'>, log: Log, mayChange: (edge: string) => boolean = () => true) {
    this.#store = store
    this.#log = log
    this.#mayChange = mayChange
    this.#generation = store.meta('generation') ?? ''
    const stored = JSON.parse(store.meta(META) ?? '[]') as readonly [string, readonly string[]][]
    // An older controller took addresses that agents do not trust any more.
    this.#addresses = new Map(stored.map(([edge, addresses]) => [edge, addresses.filter(isTrusted)]))
    this.#timer = setInterval(() => this.#keepAlive(), ALIVE_INTERVAL_MS)
    this.#timer.unref()
  }

  /**
   * Takes what an edge says about itself; none: it is not trusted any more. Resolves when it is stored; never rejects.
   *
   * @returns the limit because of which nothing has changed; undefined: there was none
   */
  async set(edge: string, addresses: readonly string[]): Promise<string | undefined> {
    const before = this.#addresses.get(edge) ?? []
    if (before.join() === addresses.join()) return undefined
    const limit = this.#limitOf(edge, addresses)
    if (limit !== undefined) {
      if (!this.#limited.has(edge))
        this.#log('warn', 'the addresses of an edge are not taken', { edge, problem: limit })
      this.#limited.add(edge)
      return limit
    }
    this.#limited.delete(edge)
    if (addresses.length === 0) this.#addresses.delete(edge)
    else this.#addresses.set(edge, addresses)
    // One after the other: an earlier text must not come after a later one.
    this.#stored = this.#stored.then(() => this.#keep(edge))
    this.#log('info', 'addresses of an edge', { edge, addresses: addresses.slice(0, 20) })
    for (const agent of this.#agents) this.#send(agent)
    await this.#stored
    return undefined
  }

  /** Reports whether an edge is trusted. */
  has(edge: string): boolean {
    return this.#addresses.has(edge)
  }

  /** An edge that has left must always be forgotten. */
  #limitOf(edge: string, addresses: readonly string[]): string | undefined {
    if (addresses.length === 0) return undefined
    let total = addresses.length
    for (const [other, { length }] of this.#addresses) if (other !== edge) total += length
    if (total > ALL_SOURCES_MAX) {
      return `all edges together would have ${total}, and agents take ${ALL_SOURCES_MAX}; have edges forgotten that are gone`
    }
    return this.#mayChange(edge) ? undefined : 'they change too often; the edge reports them again'
  }

  /** The addresses of all edges, each once. */
  addresses(): readonly string[] {
    return [...new Set([...this.#addresses.values()].flat())].sort()
  }

  /** Lets an agent follow. */
  follow(sink: FeedSink): FollowerEvents | undefined {
    if (this.#agents.size >= AGENTS_MAX) return undefined
    const agent: Agent = { sink, isBlocked: false, isDue: false }
    this.#agents.add(agent)
    this.#send(agent)
    return {
      onDrain: () => {
        agent.isBlocked = false
        if (agent.isDue) this.#send(agent)
      },
      onEnd: () => void this.#agents.delete(agent),
    }
  }

  /** Ends all connections. */
  close(): void {
    clearInterval(this.#timer)
    for (const { sink } of this.#agents) sink.end()
  }

  async #keep(edge: string): Promise<void> {
    try {
      await this.#store.commit({ changes: [], meta: { [META]: JSON.stringify([...this.#addresses]) } })
    } catch (error) {
      this.#log('error', 'The addresses of an edge cannot be stored', { edge, problem: messageOf(error) })
    }
  }

  #send(agent: Agent): void {
    agent.isDue = agent.isBlocked
    if (agent.isBlocked) return
    this.#write(agent, { type: 'sources', generation: this.#generation, addresses: this.addresses() })
  }

  #keepAlive(): void {
    for (const agent of this.#agents) if (!agent.isBlocked) this.#write(agent, { type: 'alive' })
  }

  #write(agent: Agent, line: SourcesLine): void {
    agent.isBlocked = !agent.sink.write(`${JSON.stringify(line)}\n`)
  }
}

function isTrusted(text: string): boolean {
  const address = parseIpAddress(text)
  return address !== undefined && isEdgeSource(address)
}
