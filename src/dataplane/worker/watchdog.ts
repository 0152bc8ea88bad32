import type { Log } from '../../telemetry/log.ts'

/** Looks at the workers in the time in which each of them has to answer. */
const LOOKS = 5

/** Two cells that main thread and worker share: how often it was asked for a sign of life, and how often it was then. */
export type Pulse = Int32Array
const ASKED = 0
const ANSWERED = 1
/** A thread that is still loading. */
const NOT_UP = -1

export function makePulse(): Pulse {
  const pulse = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  pulse[ANSWERED] = NOT_UP
  return pulse
}

/** The worker's part: called when it comes up, and when it was woken. */
export function answerPulse(pulse: Pulse): void {
  Atomics.store(pulse, ANSWERED, Atomics.load(pulse, ASKED))
}

/** A worker as its watchdog sees it. */
export type WatchedWorker = {
  readonly pulse: Pulse
  /** Interrupts its wait for events. */
  readonly wake: () => void
}

type State = { missedLooks: number; hasLeft: boolean }

/**
 * Finds workers that do not come round any more: stuck in the kernel, stopped by a debugger, or in an endless loop of
 * ours. An idle worker is woken five times in the time that it has, which costs it some microseconds each.
 *
 * What counts are looks that were in vain, not the time in between: where the whole process was stopped, or the main
 * thread was late itself, no worker is to blame.
 */
export class Watchdog {
  readonly #workers: readonly WatchedWorker[]
  readonly #states: readonly State[]
  readonly #timeoutMs: number
  readonly #log: Log
  readonly #onStuck: ((worker: number) => void) | undefined
  readonly #timer: NodeJS.Timeout
  #stalls = 0

  /** @param onStuck called once for each worker that gets stuck */
  constructor(
    workers: readonly WatchedWorker[],
    timeoutMs: number,
    log: Log,
    onStuck: ((worker: number) => void) | undefined,
  ) {
    this.#workers = workers
    this.#states = workers.map(() => ({ missedLooks: 0, hasLeft: false }))
    this.#timeoutMs = timeoutMs
    this.#log = log
    this.#onStuck = onStuck
    this.#timer = setInterval(() => this.#look(), timeoutMs / LOOKS)
    this.#timer.unref()
  }

  /** Those that are stuck now, from 0 on. */
  get stuck(): readonly number[] {
    return [...this.#states.keys()].filter((worker) => this.#isStuck(worker))
  }

  /** How often a worker was found to be stuck. */
  get stalls(): number {
    return this.#stalls
  }

  /** The thread has ended as it should. */
  leave(worker: number): void {
    this.#states[worker].hasLeft = true
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #isStuck(worker: number): boolean {
    const { hasLeft, missedLooks } = this.#states[worker]
    return !hasLeft && missedLooks >= LOOKS
  }

  #look(): void {
    for (const [worker, { pulse, wake }] of this.#workers.entries()) {
      const state = this.#states[worker]
      const answered = Atomics.load(pulse, ANSWERED)
      if (state.hasLeft || answered === NOT_UP) continue
      const asked = Atomics.load(pulse, ASKED)
      if (answered === asked) {
        if (this.#isStuck(worker)) this.#log('info', 'a worker answers again', { worker })
        state.missedLooks = 0
        Atomics.store(pulse, ASKED, asked + 1)
        wake()
      } else if (++state.missedLooks === LOOKS) {
        this.#stalls += 1
        this.#log('error', 'a worker is stuck: its clients get no answers', {
          worker,
          timeoutMs: this.#timeoutMs,
          remedy: 'restart the process; --on-stuck-worker abort does that under a service manager',
        })
        this.#onStuck?.(worker)
      }
    }
  }
}
