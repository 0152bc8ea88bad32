type Failure = { readonly sinceMs: number; readonly closeAfterMs: number; readonly timer: NodeJS.Timeout }

/** Backends whose health check fails, and for how long their connections may still go on. */
export class FailingBackends {
  readonly #onFailed: (id: number) => void
  readonly #failures = new Map<number, Failure>()

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
    const known = this.#failures.get(id)
    if (known?.closeAfterMs === closeAfterMs) return
    clearTimeout(known?.timer)
    // What a configuration says now counts from when the failure began.
    const nowMs = performance.now()
    const sinceMs = known?.sinceMs ?? nowMs
    const leftMs = Math.max(0, closeAfterMs - (nowMs - sinceMs))
    this.#failures.set(id, { sinceMs, closeAfterMs, timer: setTimeout(() => this.#onFailed(id), leftMs).unref() })
  }

  forget(id: number): void {
    clearTimeout(this.#failures.get(id)?.timer)
    this.#failures.delete(id)
  }

  stop(): void {
    for (const { timer } of this.#failures.values()) clearTimeout(timer)
    this.#failures.clear()
  }
}
