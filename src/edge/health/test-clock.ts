// For tests: time that passes only when it is told to.
import type { Clock } from '../conversation/pace.ts'

type Sleeper = { readonly dueMs: number; readonly wake: () => void }

/** Lets all that can happen now happen: promises, and what they start. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

export class TestClock implements Clock {
  #nowMs = 0
  readonly #sleepers = new Set<Sleeper>()

  readonly nowMs = (): number => this.#nowMs

  readonly sleep = (durationMs: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper = {
        dueMs: this.#nowMs + durationMs,
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** Lets so much time pass, and everybody wake up at the right moment, rounded up to whole steps. */
  async advance(durationMs: number, stepMs = durationMs / 20): Promise<void> {
    await settle()
    for (const endMs = this.#nowMs + durationMs; this.#nowMs < endMs; ) {
      this.#nowMs = Math.min(endMs, this.#nowMs + stepMs)
      for (const sleeper of [...this.#sleepers]) if (sleeper.dueMs <= this.#nowMs) sleeper.wake()
      await settle()
    }
  }
}
