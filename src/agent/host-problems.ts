import { NetworkChanges } from '../linux/network-changes.ts'
import type { Log } from '../telemetry/log.ts'
import { messageOf } from '../text/error-message.ts'
import type { AgentListener } from './agent-listener.ts'

/** Looks at what the agent needs of its host; resolves with a sentence for each thing that is wrong. */
export type ExamineHost = (listeners: readonly AgentListener[]) => Promise<readonly string[]>

/** Says in the log what is wrong with the host, once each: clients would be lost without a word. */
export class HostProblems {
  readonly #examine: ExamineHost
  readonly #log: Log
  readonly #rules: NetworkChanges | undefined
  #known: ReadonlySet<string> = new Set()
  #listeners: readonly AgentListener[] = []
  /** The check that is going on, and whether another one is due after it. */
  #running: Promise<void> | undefined
  #isDue = false

  constructor(examine: ExamineHost, log: Log) {
    this.#examine = examine
    this.#log = log
    this.#rules = openRules()
  }

  /** Looks at the host for these listeners. Never rejects. */
  check(listeners: readonly AgentListener[]): Promise<void> {
    this.#listeners = listeners
    this.#isDue = true
    this.#running ??= this.#run()
    return this.#running
  }

  /** Looks again if the rules of routing have been changed since: a VPN puts its own in front. Never rejects. */
  async recheck(): Promise<void> {
    if (this.#rules?.take() === true) await this.check(this.#listeners)
  }

  stop(): void {
    this.#rules?.close()
  }

  async #run(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false
      try {
        this.#tell(new Set(await this.#examine(this.#listeners)))
      } catch (error) {
        this.#log('warn', `This host could not be examined: ${messageOf(error)}`)
      }
    }
    this.#running = undefined
  }

  #tell(found: ReadonlySet<string>): void {
    for (const problem of found) if (!this.#known.has(problem)) this.#log('warn', problem)
    for (const problem of this.#known) if (!found.has(problem)) this.#log('info', `Resolved: ${problem}`)
    this.#known = found
  }
}

/** undefined where the kernel does not tell: the check at the start is left. */
function openRules(): NetworkChanges | undefined {
  try {
    return new NetworkChanges('rules')
  } catch {
    return undefined
  }
}
