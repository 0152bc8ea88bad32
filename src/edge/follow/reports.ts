import { type ControllerClient, ControllerRefusal } from '../../feed/controller-client.ts'
import type { EdgeReport, SentReport } from '../../feed/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import { messageOf } from '../../text/error-message.ts'

/** How often a report is sent when nothing is new. */
const REPORT_MS_MAX = 5_000

/** What there is to report. */
export type ReportSource = {
  /** All but health. */
  readonly head: () => Omit<EdgeReport, 'health'>
  /** Another number whenever {@link health} may be another. */
  readonly healthRevision: () => number
  readonly health: () => EdgeReport['health']
}

/** What reports are sent with. */
export type ReportOptions = {
  readonly client: Pick<ControllerClient, 'post'>
  readonly path: string
  /** Tells this process from the one that had its name before. */
  readonly process: string
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Keeps a controller informed about an edge. A report has the health of every backend only when the controller does not
 * have it: thousands of backends are put into words when one of them has changed, not every few seconds.
 */
export class Reports {
  readonly #options: ReportOptions
  readonly #source: ReportSource
  #sentAtMs = Number.NEGATIVE_INFINITY
  /** What the controller has taken, as far as it is known. */
  #takenHead = ''
  #takenRevision = -1
  /** The controller may be an older one, to which every report has to be whole. */
  #takesShort = true
  /** The words for the health of this revision. */
  #text = { revision: -1, health: '' }
  #problem = ''
  #sending: Promise<void> | undefined
  #isDue = false

  constructor(options: ReportOptions, source: ReportSource) {
    this.#options = options
    this.#source = source
  }

  /** Sends a report if something is new, or if it is time for one. */
  tick(): void {
    const isTime = performance.now() - this.#sentAtMs >= REPORT_MS_MAX
    // The name of the health is in the head.
    if (isTime || this.#head() !== this.#takenHead) void this.soon()
  }

  /** Sends a report; one at a time: changes meanwhile are in the next one. Resolves with the last of them. Never rejects. */
  soon(): Promise<void> {
    this.#isDue = true
    this.#sending ??= this.#send()
    return this.#sending
  }

  /** The next controller may be another one. */
  forgetController(): void {
    this.#takesShort = true
  }

  async #send(): Promise<void> {
    const { client, path, signal } = this.#options
    while (this.#isDue && !signal.aborted) {
      this.#isDue = false
      const head = this.#head()
      const revision = this.#source.healthRevision()
      const isShort = this.#takesShort && revision === this.#takenRevision
      this.#sentAtMs = performance.now()
      try {
        await client.post(path, isShort ? head : this.#whole(head, revision), signal)
        this.#takenHead = head
        this.#takenRevision = revision
        this.#problem = ''
      } catch (error) {
        this.#takenHead = ''
        this.#takenRevision = -1
        if (isShort && error instanceof ControllerRefusal) this.#sendWhole(error.status)
        else this.#tell(messageOf(error))
      }
    }
    this.#sending = undefined
  }

  /** A short report was refused. */
  #sendWhole(status: number): void {
    // A controller that knows short ones says that it has not what this one goes on from.
    if (status !== 409) this.#takesShort = false
    this.#isDue = true
  }

  #tell(problem: string): void {
    // The next report comes anyway.
    if (problem !== this.#problem) this.#options.log('warn', 'The controller did not accept a report', { problem })
    this.#problem = problem
  }

  #head(): string {
    const healthId = `${this.#options.process} ${this.#source.healthRevision()}`
    return JSON.stringify({ ...this.#source.head(), healthId } satisfies SentReport)
  }

  #whole(head: string, revision: number): string {
    if (revision !== this.#text.revision) this.#text = { revision, health: JSON.stringify(this.#source.health()) }
    return `${head.slice(0, -1)},"health":${this.#text.health}}`
  }
}
