import { setTimeout as sleep } from 'node:timers/promises'
import type { ControllerClient } from '../../feed/controller-client.ts'
import type { AskedQuestion } from '../../feed/feed.ts'
import type { WhyAnswer, WhyQuestion } from '../../telemetry/edge-why.ts'
import type { Log } from '../../telemetry/log.ts'
import { messageOf } from '../../text/error-message.ts'

/** More than a controller has open at an edge; whatever else comes is not answered. */
const QUESTIONS_MAX = 20

/** What questions are answered with. */
export type QuestionOptions = {
  readonly client: Pick<ControllerClient, 'post'>
  readonly pathOf: (id: string) => string
  /** Undefined: there is nobody yet who knows. */
  readonly explain: (question: WhyQuestion) => WhyAnswer | undefined
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Answers what people ask a controller, who asks this edge: one question after the other, and with at most half of the
 * time of this thread, on which health checks run, too.
 */
export class Questions {
  readonly #options: QuestionOptions
  readonly #waiting: AskedQuestion[] = []
  #answering: Promise<void> | undefined
  #problem = ''

  constructor(options: QuestionOptions) {
    this.#options = options
  }

  /** Answers a question when its turn comes. Resolves with the last of those that wait. Never rejects. */
  take(question: AskedQuestion): Promise<void> {
    if (this.#waiting.length < QUESTIONS_MAX) this.#waiting.push(question)
    else this.#tell(`more than ${QUESTIONS_MAX} questions wait for an answer`)
    this.#answering ??= this.#answerAll()
    return this.#answering
  }

  async #answerAll(): Promise<void> {
    const { signal } = this.#options
    for (let next = this.#waiting.shift(); next !== undefined && !signal.aborted; next = this.#waiting.shift()) {
      const startedMs = performance.now()
      const json = this.#explain(next)
      const tookMs = performance.now() - startedMs
      if (json !== undefined) await this.#send(next.id, json)
      await sleep(tookMs)
    }
    this.#answering = undefined
  }

  /** Undefined: there is no answer. */
  #explain({ client, frontend }: AskedQuestion): string | undefined {
    try {
      return JSON.stringify(this.#options.explain({ client, frontend }))
    } catch (error) {
      this.#tell(messageOf(error))
      return undefined
    }
  }

  async #send(id: string, json: string): Promise<void> {
    const { client, pathOf, signal } = this.#options
    try {
      await client.post(pathOf(id), json, signal)
      this.#problem = ''
    } catch (error) {
      this.#tell(messageOf(error))
    }
  }

  /** Not each of many that fail in the same way. */
  #tell(problem: string): void {
    if (problem !== this.#problem)
      this.#options.log('warn', 'A question of the controller is not answered', { problem })
    this.#problem = problem
  }
}
