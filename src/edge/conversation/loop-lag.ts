const TICK_MS = 20
/** How late this thread may be before a missed deadline is its own fault (ARCHITECTURE.md, "Health"). */
const LAG_MS_MAX = 100

/** Watches for as long as a probe is under way. */
export type LagWatch = {
  /** Reports whether this thread was busy for longer than 100 ms since the watch began. */
  readonly hasLagged: () => boolean
  readonly end: () => void
}

/** Notices when this thread does not come round to its events. Ticks only while someone watches. */
export class LoopLag {
  #watchers = 0
  #timer: NodeJS.Timeout | undefined
  #lastTickMs = 0
  #lastLagMs = Number.NEGATIVE_INFINITY

  watch(): LagWatch {
    const sinceMs = performance.now()
    if (this.#watchers++ === 0) {
      this.#lastTickMs = sinceMs
      this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
    }
    let hasEnded = false
    return {
      hasLagged: () => {
        // The timer of a deadline may come before the tick that would have noticed.
        this.#tick()
        return this.#lastLagMs >= sinceMs
      },
      end: () => {
        if (hasEnded) return
        hasEnded = true
        if (--this.#watchers === 0) clearInterval(this.#timer)
      },
    }
  }

  #tick(): void {
    const nowMs = performance.now()
    if (nowMs - this.#lastTickMs > TICK_MS + LAG_MS_MAX) this.#lastLagMs = nowMs
    this.#lastTickMs = nowMs
  }
}
