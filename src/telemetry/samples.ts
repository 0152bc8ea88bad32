/** One record per key in this time. */
const SAMPLE_MS = 60_000
/** Keys remembered at once; with more of them, records come out more often than the sample says, one a second at most. */
const KEYS_MAX = 1_024
const OVERFLOW_MS = 1_000

type Sample = { untilMs: number; suppressed: number }

/** What a record says besides: how many with its key were passed over since the one before; undefined: none. */
type Told = { readonly suppressedBefore: number | undefined }

/** Says which of many alike events are told: one for each key in a minute. */
export class Samples {
  readonly #samples = new Map<string, Sample>()
  #overflowUntilMs = 0

  /** Returns what the record of an event is to say besides; undefined: this one is passed over, and needs no record. */
  take(key: string, nowMs: number): Told | undefined {
    const sample = this.#samples.get(key)
    if (sample !== undefined && nowMs < sample.untilMs) {
      sample.suppressed += 1
      return undefined
    }
    if (sample === undefined && this.#samples.size >= KEYS_MAX) {
      this.#forget(nowMs)
      if (this.#samples.size >= KEYS_MAX) {
        if (nowMs < this.#overflowUntilMs) return undefined
        this.#overflowUntilMs = nowMs + OVERFLOW_MS
        return { suppressedBefore: undefined }
      }
    }
    this.#samples.set(key, { untilMs: nowMs + SAMPLE_MS, suppressed: 0 })
    return { suppressedBefore: sample?.suppressed || undefined }
  }

  #forget(nowMs: number): void {
    for (const [key, sample] of this.#samples) {
      if (nowMs >= sample.untilMs) this.#samples.delete(key)
    }
  }
}
