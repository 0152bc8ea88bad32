import { ALIVE_INTERVAL_MS, type SourcesLine } from '../../feed/feed.ts'
import type { Log } from '../../telemetry/log.ts'
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
  /** By the edge's name. */
  readonly #addresses: Map<string, readonly string[]>
  /** Resolves when all that was said before is stored, or has failed to be. */
  #stored: Promise<void> = Promise.resolve()

  constructor(store: Pick<Store, 'meta' | 'commit'>, log: Log) {
    this.#store = store
    this.#log = log
    this.#addresses = new Map(JSON.parse(store.meta(META) ?? '[]') as readonly [string, readonly string[]][])
    this.#timer = setInterval(() => this.#keepAlive(), ALIVE_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Takes what an edge says about itself; none: it is not trusted any more. Resolves when it is stored; never rejects. */
  async set(edge: string, addresses: readonly string[]): Promise<void> {
    const before = this.#addresses.get(edge) ?? []
    if (before.join() === addresses.join()) return
    if (addresses.length === 0) this.#addresses.delete(edge)
    else this.#addresses.set(edge, addresses)
    // One after the other: an earlier text must not come after a later one.
    this.#stored = this.#stored.then(() => this.#keep(edge))
    this.#log('info', 'addresses of an edge', { edge, addresses: addresses.slice(0, 20) })
    for (const agent of this.#agents) this.#send(agent)
    await this.#stored
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
      this.#log('error', 'The addresses of an edge cannot be stored', { edge, problem: String(error) })
    }
  }

  #send(agent: Agent): void {
    agent.isDue = agent.isBlocked
    if (!agent.isBlocked) this.#write(agent, { type: 'sources', addresses: this.addresses() })
  }

  #keepAlive(): void {
    for (const agent of this.#agents) if (!agent.isBlocked) this.#write(agent, { type: 'alive' })
  }

  #write(agent: Agent, line: SourcesLine): void {
    agent.isBlocked = !agent.sink.write(`${JSON.stringify(line)}\n`)
  }
}
