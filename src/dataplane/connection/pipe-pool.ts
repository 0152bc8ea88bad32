import { closePipe, openPipe, type Pipe } from '../../linux/pipe.ts'
import type { Timed } from './timer-wheel.ts'

/** Pipes of one worker; each may hold a megabyte of kernel memory for a slow receiver. */
const PIPES_MAX = 64
/** How many requests go without a pipe after the kernel has refused one, before it is asked again. */
const REQUESTS_WITHOUT = 1_000

/**
 * The pipes of one worker. A connection holds one only while there are bytes in it.
 *
 * There are as many as the kernel grants, at most {@link PIPES_MAX}; a connection that gets none copies.
 */
export class PipePool implements Timed {
  readonly #empty: Pipe[] = []
  /** The fewest empty pipes since the last {@link trim}: so many were not needed. */
  #unneeded = 0
  #count = 0
  #requestsWithout = 0

  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  /** An empty pipe, or undefined when there is none to be had. */
  take(): Pipe | undefined {
    const pooled = this.#empty.pop()
    this.#unneeded = Math.min(this.#unneeded, this.#empty.length)
    if (pooled !== undefined) return pooled
    if (this.#count >= PIPES_MAX) return undefined
    if (this.#requestsWithout > 0) {
      this.#requestsWithout -= 1
      return undefined
    }
    const opened = openPipe()
    if (opened === undefined) this.#requestsWithout = REQUESTS_WITHOUT
    else this.#count += 1
    return opened
  }

  /** Takes back a pipe that is empty. */
  giveBack(pipe: Pipe): void {
    this.#empty.push(pipe)
  }

  /** How many pipes are kept for whoever comes next. */
  get emptyCount(): number {
    return this.#empty.length
  }

  /** Closes the pipes that nobody has needed since the last call. */
  trim(): void {
    for (const pipe of this.#empty.splice(0, this.#unneeded)) this.discard(pipe)
    this.#unneeded = this.#empty.length
  }

  /** Takes back a pipe that still holds bytes of a connection that has ended. */
  discard(pipe: Pipe): void {
    closePipe(pipe)
    this.#count -= 1
  }

  close(): void {
    for (const pipe of this.#empty.splice(0)) this.discard(pipe)
  }
}
