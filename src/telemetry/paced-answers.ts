/** After what took a while to make, nothing is made for so many times as long. */
const REST_FACTOR = 4
const REST_MS_MAX = 1_000

/**
 * Makes answers one after the other, and rests in between: whoever asks often, or many at once, takes no more than a fifth
 * of a thread's time. Those that ask for the same meanwhile get the same, made after the last of them has asked.
 */
export class PacedAnswers<Answer> {
  readonly #waiting = new Map<string, Promise<Answer>>()
  #last: Promise<void> = Promise.resolve()

  /** What `make` makes, or somebody else's for this key that was not begun yet. */
  take(key: string, make: () => Answer | Promise<Answer>): Promise<Answer> {
    const shared = this.#waiting.get(key)
    if (shared !== undefined) return shared
    let beganMs = 0
    const answer = this.#last.then(() => {
      this.#waiting.delete(key)
      beganMs = performance.now()
      return make()
    })
    this.#waiting.set(key, answer)
    const rest = (): Promise<void> => restFor(performance.now() - beganMs)
    this.#last = answer.then(rest, rest)
    return answer
  }
}

/** What takes less than a millisecond needs no rest. */
function restFor(tookMs: number): Promise<void> {
  if (tookMs < 1) return Promise.resolve()
  return new Promise((resolve) => {
    setTimeout(resolve, Math.min(tookMs * REST_FACTOR, REST_MS_MAX))
  })
}
