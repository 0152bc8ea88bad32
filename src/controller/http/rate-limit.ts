/** How many keys are known at once; past it the ones that have been quiet for long are forgotten. */
const KEYS_MAX = 10_000

/** A steady rate and a burst above it. */
export type Rate = { readonly perSecond: number; readonly burst: number }

type Bucket = { tokens: number; atMs: number }

/** Lets each key have requests at a rate: a token bucket for each. */
export class RateLimit {
  readonly #rate: Rate
  readonly #clock: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** @param clock milliseconds that never go back */
  constructor(rate: Rate, clock: () => number) {
    this.#rate = rate
    this.#clock = clock
  }

  /** Takes one request's worth; false: the key has had its share. */
  take(key: string): boolean {
    const nowMs = this.#clock()
    const known = this.#buckets.get(key)
    const { perSecond, burst } = this.#rate
    const bucket = known ?? { tokens: burst, atMs: nowMs }
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond)
    bucket.atMs = nowMs
    // The order of the map is that of use: who was quiet for longest comes first.
    if (known !== undefined) this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > KEYS_MAX) this.#forgetOne()
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  #forgetOne(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key)
      return
    }
  }
}
