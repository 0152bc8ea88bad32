import { setTimeout as sleepFor } from 'node:timers/promises'

/** The time as repeated work needs it; tests bring their own. */
export type Clock = {
  /** Monotonic. */
  readonly nowMs: () => number
  /** Resolves after so long, or as soon as `signal` is aborted; never rejects. */
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>
}

/** Time that passes by itself; who sleeps does not keep the process alive. */
export const REAL_CLOCK: Clock = {
  nowMs: () => performance.now(),
  sleep: (durationMs, signal) => sleepFor(durationMs, undefined, { signal, ref: false }).catch(() => undefined),
}

/** How much an interval varies, so that nobody stays in step with something else that is periodic. */
const JITTER = 0.1

/**
 * The beat of repeated work: factors of its interval, from one start to the next, the same in every run for a `key`.
 *
 * The first is anywhere from 0 to 1: many keys that began together are spread over the interval from then on. Each
 * later one is close to 1.
 */
export function* beat(key: string): Generator<number, never> {
  const random = randomOf(key)
  yield random()
  while (true) yield 1 + JITTER * (random() - 0.5)
}

/** Random numbers from 0 to 1 that depend on the text alone: FNV-1a as the seed of mulberry32. */
function randomOf(text: string): () => number {
  let seed = 0x811c9dc5
  for (let at = 0; at < text.length; at++) seed = Math.imul(seed ^ text.charCodeAt(at), 0x01000193)
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Lets only so many begin at a time.
 *
 * A place is free again when its holder leaves, or when it has been held for `holdMsMax`: by then the holder only waits
 * for a backend, which costs nothing, and backends that never answer must not hold up the others.
 */
export class Gate {
  readonly #holdMsMax: number
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>()
  #places: number

  constructor(places: number, holdMsMax: number) {
    this.#places = places
    this.#holdMsMax = holdMsMax
  }

  /** Resolves with the function that gives the place back; to call it twice does no harm. */
  async enter(): Promise<() => void> {
    if (this.#places > 0) this.#places -= 1
    else await new Promise<void>((resolve) => this.#waiting.add(resolve))
    let isHeld = true
    const leave = (): void => {
      clearTimeout(timer)
      if (isHeld) this.#next()
      isHeld = false
    }
    const timer = setTimeout(leave, this.#holdMsMax)
    return leave
  }

  #next(): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#places += 1
      return
    }
    this.#waiting.delete(first)
    first()
  }
}
