import { ApiError } from './api-error.ts'

/** Processor time so far, in milliseconds: a busy machine makes no request a long one. */
const processorMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** What answering one HTTP request, a batch too, may take of the thread that answers everybody. */
export class WorkBudget {
  readonly #msMax: number
  readonly #clock: () => number
  #spentMs = 0
  #beganMs: number | undefined
  #endedBy: string | undefined

  constructor(msMax: number, clock: () => number = processorMs) {
    this.#msMax = msMax
    this.#clock = clock
  }

  /** Does some of the work. @throws ApiError 400 when nothing is left for it */
  use<Result>(work: () => Result): Result {
    if (this.#endedBy !== undefined || this.#spentMs > this.#msMax) throw this.#error()
    this.#beganMs = this.#clock()
    try {
      return work()
    } finally {
      this.#spentMs += this.#clock() - this.#beganMs
      this.#beganMs = undefined
    }
  }

  /** To be called in long work, again and again. @throws ApiError 400 once the budget is spent */
  check(): void {
    if (this.#spentMs + this.sinceBeginMs() > this.#msMax) throw this.#error()
  }

  /** Of the work that is being done. */
  sinceBeginMs(): number {
    return this.#beganMs === undefined ? 0 : this.#clock() - this.#beganMs
  }

  /** Nothing more is to be done, whatever is left. */
  end(why: string): void {
    this.#endedBy = why
  }

  #error(): ApiError {
    const why = this.#endedBy ?? `The request takes more than ${this.#msMax} ms of work`
    const message = `${why}; ask for less: a simpler filter, no orderBy, fewer parts of a batch`
    return new ApiError(400, { message, reason: 'invalid' })
  }
}
