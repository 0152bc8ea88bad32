import { EAGAIN, EINTR, errnoName, isOutOfResources } from '../../linux/errno.ts'
import { accepted, acceptFrom, close } from '../../linux/socket.ts'
import { ACCEPT_ERRNOS, METRICS, type PAUSE_REASONS } from '../../telemetry/metrics.ts'
import type { Entrance } from '../connection/connection-state.ts'
import type { AcceptingLoop } from '../connection/loop.ts'
import type { Timed } from '../connection/timer-wheel.ts'

/** Connections taken in one turn before others have theirs. */
const ACCEPTS_PER_TURN = 64
/** How long the queue is left alone when descriptors or memory ran out: doubled each time, up to the maximum. */
const BACKOFF_MS = 50
const BACKOFF_MS_MAX = 800
/** How soon a listener that waits for a free place looks again, if no connection of its own worker ends before. */
const LIMIT_RETRY_MS = 20

type PauseReason = (typeof PAUSE_REASONS)[number]

/** A listening socket of one worker. It is closed by its owner here, though the main thread has opened it. */
export class Listener implements Timed {
  readonly fd: number
  /** Where connections that are taken from now on lead. */
  entrance: Entrance
  #isPaused = false
  #waitsForPlace = false
  #backoffMs = BACKOFF_MS

  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  constructor(fd: number, entrance: Entrance) {
    this.fd = fd
    this.entrance = entrance
  }

  /** Takes what is queued; reports whether there may be more for another turn. */
  accept(loop: AcceptingLoop): boolean {
    if (this.#isPaused) return false
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      if (!loop.takePlace()) {
        this.#pause(loop, 'limit', LIMIT_RETRY_MS)
        return false
      }
      const fd = acceptFrom(this.fd)
      if (fd < 0) loop.givePlaceBack()
      if (fd === EAGAIN) return false
      if (fd >= 0) {
        this.#backoffMs = BACKOFF_MS
        if (accepted.address !== undefined) {
          loop.open(fd, { address: accepted.address, port: accepted.port }, this.entrance)
        }
      } else if (fd !== EINTR && !this.#survives(loop, fd)) {
        return false
      }
    }
    return true
  }

  /** The pause is over. */
  resume(loop: AcceptingLoop): void {
    if (!this.#isPaused) return
    this.#endPause(loop)
    if (this.accept(loop)) loop.acceptLater(this)
  }

  /** A connection has ended: whoever waits for its place gets a turn. */
  onPlaceFreed(loop: AcceptingLoop): void {
    if (!this.#waitsForPlace) return
    this.#endPause(loop)
    loop.acceptLater(this)
  }

  close(loop: AcceptingLoop): void {
    loop.timers.clear(this)
    close(this.fd)
  }

  /** Counts an error of accept4(2); reports whether the next connection can be tried at once. */
  #survives(loop: AcceptingLoop, error: number): boolean {
    const name = errnoName(error)
    const known = ACCEPT_ERRNOS.find((candidate) => candidate === name) ?? 'other'
    loop.counters.add(METRICS.acceptErrors.slots[known])
    // Errors of the one connection that was about to be taken (accept(2)): the next may be well.
    if (!isOutOfResources(error)) return true
    loop.log('warn', `Accepting paused for ${this.#backoffMs} ms: ${name}`, {
      errno: name,
      remedy: 'raise the limit of open files (LimitNOFILE=, ulimit -n) or lower --max-connections',
    })
    this.#pause(loop, 'resources', this.#backoffMs)
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX)
    return false
  }

  #endPause(loop: AcceptingLoop): void {
    this.#isPaused = false
    this.#waitsForPlace = false
    loop.timers.clear(this)
  }

  #pause(loop: AcceptingLoop, reason: PauseReason, pauseMs: number): void {
    this.#isPaused = true
    this.#waitsForPlace = reason === 'limit'
    loop.counters.add(METRICS.acceptPauses.slots[reason])
    loop.timers.set(this, loop.nowMs + pauseMs)
  }
}
