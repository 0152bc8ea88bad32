import type { Endpoint } from '../address/endpoint.ts'
import { Poller } from '../linux/poller.ts'
import { clearWakeup } from '../linux/socket.ts'
import type { Log } from '../telemetry/log.ts'
import { type Counters, type EndReason, METRICS } from '../telemetry/metrics.ts'
import { begin, Connection, drive, end, onDeadline, onEvent, Phase } from './connection.ts'
import { Listener } from './listener.ts'
import type { Role } from './role.ts'
import type { Timed } from './timer-wheel.ts'
import { TimerWheel } from './timer-wheel.ts'

/** The largest read; small messages pass through this one buffer and stay in the processor's cache. */
const BUFFER_BYTES = 64 * 1024

// Tokens of epoll events: listeners and the wake-up are negative, a connection's two sockets are 2i and 2i + 1.
const WAKEUP_TOKEN = -1
const FIRST_LISTENER_TOKEN = -2

/** Bounds of every connection. All times in milliseconds; 0 means none where noted. */
export type Limits = {
  /** From accept to the complete header, absolute. */
  readonly headerTimeoutMs: number
  /** To reach a backend; see {@link Role.sharesConnectTimeout}. */
  readonly connectTimeoutMs: number
  /** Silence in both directions; 0: none. */
  readonly idleTimeoutMs: number
  /** Silence after one side's FIN; 0: none. */
  readonly halfClosedTimeoutMs: number
  /** Connections of one worker at once. */
  readonly connectionsPerWorkerMax: number
  /** Connections of all workers at once. */
  readonly connectionsMax: number
}

/** What an {@link EventLoop} is made of. */
export type EventLoopOptions = {
  readonly role: Role
  readonly limits: Limits
  readonly counters: Counters
  /** One cell, shared by all workers: connections open now. */
  readonly openTotal: Int32Array
  readonly log: Log
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** An eventfd by which the main thread interrupts {@link EventLoop.step}. */
  readonly wakeupFd: number
  /** Called once per ended connection, after it was counted. */
  readonly onEnd: (connection: Connection, reason: EndReason) => void
}

/**
 * The event loop of one worker: its listeners, its connections, its timers, one epoll instance.
 *
 * Connections live in slots that are used again, so that steady traffic allocates nothing. An event names its
 * connection by slot and generation; one that was meant for an earlier user of the slot is dropped.
 */
export class EventLoop {
  readonly role: Role
  readonly limits: Limits
  readonly counters: Counters
  readonly log: Log
  readonly timers: TimerWheel
  /** Shared by all connections: nothing in it outlives the handling of one event. */
  readonly buffer = new Uint8Array(BUFFER_BYTES)
  /** The clock as of this turn. */
  nowMs: number

  readonly #options: EventLoopOptions
  readonly #poller = new Poller()
  readonly #listeners: Listener[] = []
  readonly #connections: Connection[] = []
  readonly #free: Connection[] = []
  readonly #fire = (timed: Timed): void => this.#onTimer(timed)
  #openCount = 0
  #isAwakened = false
  /** What has more to do than one turn allowed, and those of the turn that is being handled. */
  #ready: Connection[] = []
  #readyNow: Connection[] = []
  #acceptReady: Listener[] = []

  constructor(options: EventLoopOptions) {
    this.#options = options
    this.role = options.role
    this.limits = options.limits
    this.counters = options.counters
    this.log = options.log
    this.nowMs = options.clock()
    this.timers = new TimerWheel(this.nowMs)
    this.#poller.addReadable(options.wakeupFd, WAKEUP_TOKEN)
  }

  /** Connections open now. */
  get openCount(): number {
    return this.#openCount
  }

  /** Takes over a listening socket. */
  addListener(fd: number): void {
    const listener = new Listener(fd)
    const error = this.#poller.addReadable(fd, FIRST_LISTENER_TOKEN - this.#listeners.length)
    if (error < 0) throw new Error(`epoll_ctl of a listener failed with errno ${-error}`)
    this.#listeners.push(listener)
  }

  /** Takes what is queued at the listeners, then closes them: another process on the port serves from now on. */
  closeListeners(): void {
    for (const listener of this.#listeners.splice(0)) {
      listener.resume(this)
      while (listener.accept(this));
      listener.close(this)
    }
    this.#acceptReady = []
  }

  /** Waits for events for at most `waitMs` (-1: as long as no timer is due), handles them and the due timers. */
  step(waitMs = -1): void {
    const timerMs = this.timers.waitMs(this.nowMs)
    const hasReady = this.#ready.length > 0 || this.#acceptReady.length > 0
    const shortestMs = timerMs === -1 || (waitMs !== -1 && waitMs < timerMs) ? waitMs : timerMs
    const count = this.#poller.wait(hasReady ? 0 : shortestMs)
    this.nowMs = this.#options.clock()
    for (let index = 0; index < count; index++) this.#dispatch(index)
    this.#continueReady()
    this.timers.advance(this.nowMs, this.#fire)
  }

  /** Reports whether the main thread has woken this loop since the last call. */
  takeWakeup(): boolean {
    const wasAwakened = this.#isAwakened
    this.#isAwakened = false
    return wasAwakened
  }

  /** Ends every connection and closes the loop. */
  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close(this)
    for (const connection of this.#connections) {
      if (connection.phase !== Phase.None) end(this, connection, 'shutdown')
    }
    this.#poller.close()
  }

  /** Takes a place for one more connection; reports whether the limits leave one, whatever other workers do now. */
  takePlace(): boolean {
    if (this.#openCount >= this.limits.connectionsPerWorkerMax) return false
    if (Atomics.add(this.#options.openTotal, 0, 1) < this.limits.connectionsMax) return true
    this.givePlaceBack()
    return false
  }

  /** Gives back what {@link takePlace} has taken. */
  givePlaceBack(): void {
    Atomics.sub(this.#options.openTotal, 0, 1)
  }

  /** Begins a connection on an accepted socket, in a place that has been taken. */
  open(fd: number, peer: Endpoint): void {
    const connection = this.#free.pop() ?? this.#addSlot()
    this.#openCount += 1
    this.counters.add(METRICS.accepted.slot)
    this.counters.add(METRICS.open.slot)
    const { generation } = connection
    begin(this, connection, fd, peer)
    // Registered last: most probes and refusals are over by now, and epoll reports what has happened meanwhile.
    if (connection.generation !== generation) return
    if (!this.watch(fd, connection, true)) end(this, connection, 'out-of-resources')
  }

  /** Has epoll report events of a connection's socket; reports whether the kernel could. */
  watch(fd: number, connection: Connection, isClient: boolean): boolean {
    return this.#poller.add(fd, connection.index * 2 + (isClient ? 0 : 1), connection.generation) === 0
  }

  /** Gives the connection another turn in the next step, after others have had theirs. */
  continueLater(connection: Connection): void {
    if (connection.isReady) return
    connection.isReady = true
    this.#ready.push(connection)
  }

  /** Gives the listener another turn in the next step. */
  acceptLater(listener: Listener): void {
    this.#acceptReady.push(listener)
  }

  /** Takes a connection's slot back; its sockets are closed. */
  release(connection: Connection, reason: EndReason): void {
    this.counters.add(METRICS.ended.slots[reason])
    this.counters.add(METRICS.open.slot, -1)
    this.#options.onEnd(connection, reason)
    connection.generation = (connection.generation + 1) | 0
    this.#openCount -= 1
    this.givePlaceBack()
    this.#free.push(connection)
    for (const listener of this.#listeners) listener.onPlaceFreed(this)
  }

  #addSlot(): Connection {
    const connection = new Connection(this.#connections.length)
    this.#connections.push(connection)
    return connection
  }

  #dispatch(index: number): void {
    const token = this.#poller.token(index)
    if (token >= 0) {
      const connection = this.#connections[token >> 1]
      if (connection.generation !== this.#poller.generation(index)) return
      onEvent(this, connection, (token & 1) === 0, this.#poller.events(index))
    } else if (token === WAKEUP_TOKEN) {
      clearWakeup(this.#options.wakeupFd)
      this.#isAwakened = true
    } else {
      const listener = this.#listeners[FIRST_LISTENER_TOKEN - token]
      if (listener?.accept(this)) this.acceptLater(listener)
    }
  }

  #continueReady(): void {
    if (this.#acceptReady.length > 0) {
      for (const listener of this.#acceptReady.splice(0)) {
        if (listener.accept(this)) this.acceptLater(listener)
      }
    }
    const now = this.#ready
    if (now.length === 0) return
    this.#ready = this.#readyNow
    this.#readyNow = now
    for (const connection of now) {
      connection.isReady = false
      if (connection.phase !== Phase.None) drive(this, connection)
    }
    now.length = 0
  }

  #onTimer(timed: Timed): void {
    if (timed instanceof Connection) onDeadline(this, timed)
    else if (timed instanceof Listener) timed.resume(this)
  }
}
