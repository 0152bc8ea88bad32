/** Backends whose health check fails, and for how long their connections may still go on. */
export class FailingBackends {
  readonly #onFailed: (id: number) => void
  readonly #timers = new Map<number, NodeJS.Timeout>()

  /** @param onFailed called once for each failure that has lasted long enough */
  constructor(onFailed: (id: number) => void) {
    this.#onFailed = onFailed
  }

  /**
   * Takes what is known of a backend now.
   *
   * @param closeAfterMs how long it may fail before its connections are ended; undefined: for ever
   */
  note(id: number, isFailing: boolean, closeAfterMs: number | undefined): void {
    if (!isFailing || closeAfterMs === undefined) return this.forget(id)
    if (this.#timers.has(id)) return
    this.#timers.set(id, setTimeout(() => this.#onFailed(id), closeAfterMs).unref())
  }

  forget(id: number): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}
