import type { Endpoint } from '../../address/endpoint.ts'
import { SystemCallError } from '../../linux/errno.ts'
import { EVENTS_PER_WAIT, Poller } from '../../linux/poller.ts'
import { clearWakeup } from '../../linux/socket.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Counters, METRICS } from '../../telemetry/metrics.ts'
import { begin, drive, end, onDeadline, onEvent } from '../connection/connection.ts'
import type { Entrance } from '../connection/connection-state.ts'
import { Connection, Phase } from '../connection/connection-state.ts'
import type { Acceptor } from '../connection/loop.ts'
import { PipePool } from '../connection/pipe-pool.ts'
import type { Timed } from '../connection/timer-wheel.ts'
import { TimerWheel } from '../connection/timer-wheel.ts'
import { type DatagramEntrance, Flow } from '../flow/datagram-entrance.ts'
import { Flows } from '../flow/flows.ts'
import type { Port } from '../flow/port.ts'
import { Listener } from './listener.ts'
import type { LoopClock } from './loop-clock.ts'
import type { ConnectionLimits, WorkerLoop } from './worker-loop.ts'

/** The largest read; small messages pass through this one buffer and stay in the processor's cache. */
const BUFFER_BYTES = 64 * 1024

/** For how long a worker says nothing after it has said that there is no place for a client. */
const LIMIT_QUIET_MS = 60_000

/** While there are deadlines, no wait is longer, so that one in which the process was stopped is seen to be overlong. */
const WAIT_MS_MAX = 1_000

/** Places that are looked at for a list of connections before others have their turn. */
const PLACES_PER_LOOK = 4_096

/** How long datagrams wait for each other where they are many: 6.9 µs of CPU for each and its answer become 4.9. */
const PAUSE_MS = 0.05
/** What nobody wakes. */
const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/** How often pipes that nobody needs are closed. */
const PIPE_TRIM_MS = 500

// Tokens of epoll events: those of listeners and the wake-up are negative, and far below them those of UDP ports; a
// connection's two sockets are 2i and 2i + 1, and far above them are flows.
const WAKEUP_TOKEN = -1
const FIRST_LISTENER_TOKEN = -2
const FIRST_PORT_TOKEN = -0x40000000
const FIRST_FLOW_TOKEN = 0x40000000

/** What an {@link EventLoop} is made of. */
export type EventLoopOptions = {
  readonly limits: ConnectionLimits
  readonly counters: Counters
  /** One cell, shared by all workers: connections open now. */
  readonly openTotal: Int32Array
  readonly log: Log
  readonly clock: LoopClock
  /** The same for flows of datagrams. */
  readonly flowTotal: Int32Array
  readonly workers: number
  /** An eventfd by which the main thread interrupts {@link EventLoop.step}. */
  readonly wakeupFd: number
}

/**
 * The event loop of one worker: its listeners, its connections, its UDP ports and their flows, its timers, one epoll
 * instance.
 *
 * Connections live in slots that are used again, so that steady traffic allocates nothing. An event names its
 * connection by slot and generation; one that was meant for an earlier user of the slot is dropped.
 */
export class EventLoop implements WorkerLoop {
  readonly limits: ConnectionLimits
  readonly counters: Counters
  readonly log: Log
  readonly timers: TimerWheel
  /** Shared by all connections: nothing in it outlives the handling of one event. */
  readonly buffer = new Uint8Array(BUFFER_BYTES)
  readonly pipes = new PipePool()
  readonly #options: EventLoopOptions
  /** Where the clock writes; a field of the object would be a new number on the heap at each turn. */
  readonly #time = new Float64Array(1)
  readonly #poller = new Poller()
  /** By token; the place of one that was closed is used again. */
  readonly #listeners: (Listener | undefined)[] = []
  readonly #connections: Connection[] = []
  readonly #free: Connection[] = []
  readonly #fire = (timed: Timed): void => this.#onTimer(timed)
  #openCount = 0
  #limitQuietUntilMs = 0
  #isAwakened = false
  #heardCount = 0
  /** What has more to do than one turn allowed, and those of the turn that is being handled. */
  #ready: Connection[] = []
  #readyNow: Connection[] = []
  #acceptReady: Acceptor[] = []
  /** null until there is a UDP port: its memory is large. */
  #flows: Flows | null = null

  constructor(options: EventLoopOptions) {
    this.#options = options
    this.limits = options.limits
    this.counters = options.counters
    this.log = options.log
    options.clock(-1, this.#time)
    this.timers = new TimerWheel(this.nowMs)
    this.#poller.addReadable(options.wakeupFd, WAKEUP_TOKEN)
    // To V8 an array that has never held an object is of another kind: what it compiles has to know the kind that lasts.
    this.#free.push(this.#addSlot())
  }

  /** The clock as of this turn. */
  get nowMs(): number {
    return this.#time[0]
  }

  /** Connections open now. */
  get openCount(): number {
    return this.#openCount
  }

  /** Takes over a listening socket that leads to `entrance`. */
  addListener(fd: number, entrance: Entrance): Listener {
    const listener = new Listener(fd, entrance)
    const free = this.#listeners.indexOf(undefined)
    const index = free === -1 ? this.#listeners.length : free
    const error = this.#poller.addReadable(fd, FIRST_LISTENER_TOKEN - index)
    if (error < 0) throw new SystemCallError('epoll_ctl of a listener', error)
    this.#listeners[index] = listener
    return listener
  }

  /** Takes what is queued at a listener, then closes it: another process on the port serves from now on. */
  closeListener(listener: Listener): void {
    listener.resume(this)
    while (listener.accept(this));
    // A socket that was passed to this process stays open elsewhere, and would stay in epoll under its old number.
    this.#poller.remove(listener.fd)
    listener.close(this)
    this.#listeners[this.#listeners.indexOf(listener)] = undefined
    this.#acceptReady = this.#acceptReady.filter((ready) => ready !== listener)
  }

  /** Takes over the socket of a UDP port that leads to `entrance`. */
  addPort(fd: number, endpoint: Endpoint, entrance: DatagramEntrance): Port {
    this.#flows ??= new Flows(this, { ...this.#options, flowsMax: this.limits.flowsMax })
    return this.#flows.addPort(fd, endpoint, entrance)
  }

  /** Takes what is queued at a port, then closes it; peers of flows go on by sockets of their own. */
  closePort(port: Port): void {
    this.#flows?.closePort(port)
  }

  /** The flows of datagrams; null: there has been no UDP port. */
  get flows(): Flows | null {
    return this.#flows
  }

  /**
   * Waits for events for at most `waitMs` (-1: as long as no timer is due), handles them and the due timers.
   *
   * @returns the number of events
   */
  step(waitMs = -1): number {
    const timerMs = this.timers.waitMs(this.nowMs)
    const hasReady = this.#ready.length > 0 || this.#acceptReady.length > 0 || this.#flows?.hasMore === true
    const shortestMs = timerMs === -1 || (waitMs !== -1 && waitMs < timerMs) ? waitMs : timerMs
    const askedMs = hasReady ? 0 : timerMs === -1 ? shortestMs : Math.min(shortestMs, WAIT_MS_MAX)
    const count = this.#poller.wait(askedMs)
    this.#options.clock(askedMs, this.#time)
    // Those of the last step first: who becomes ready now has had a turn.
    this.#continueReady()
    for (let index = 0; index < count; index++) this.#dispatch(index)
    if (this.#flows !== null) this.#turnFlows(this.#flows)
    if (this.#hasHeardAll(count)) this.timers.advance(this.nowMs, this.#fire)
    if (this.pipes.emptyCount > 0 && this.pipes.deadlineMs === Number.POSITIVE_INFINITY) {
      this.timers.set(this.pipes, this.nowMs + PIPE_TRIM_MS)
    }
    return count
  }

  /** With a pause behind many datagrams, unless somebody has more to do: a network card waits in the same way. */
  #turnFlows(flows: Flows): void {
    flows.turn()
    const isIdle = this.#ready.length === 0 && this.#acceptReady.length === 0
    if (isIdle && flows.isBusy) Atomics.wait(PAUSE, 0, 0, PAUSE_MS)
  }

  /**
   * Reports whether every socket has been heard that had something to say, so that deadlines may pass: as many as have
   * come by now. The kernel tells of each in turn, and of no more than so many at once.
   */
  #hasHeardAll(count: number): boolean {
    this.#heardCount += count
    if (count === EVENTS_PER_WAIT && this.#heardCount < 2 * this.#openCount + (this.#flows?.openCount ?? 0))
      return false
    this.#heardCount = 0
    return true
  }

  /** The connections that are open now; valid until the next {@link step}. */
  openConnections(): Connection[] {
    return this.#connections.filter((connection) => connection.phase !== Phase.None)
  }

  /** As many of them at most, from a place on, and the place from which on there may be more; -1: there are none. */
  openConnectionsFrom(place: number, countMax: number): { readonly connections: Connection[]; readonly next: number } {
    const connections: Connection[] = []
    const end = Math.min(place + PLACES_PER_LOOK, this.#connections.length)
    let next = place
    while (next < end && connections.length < countMax) {
      const connection = this.#connections[next++]
      if (connection.phase !== Phase.None) connections.push(connection)
    }
    return { connections, next: next < this.#connections.length ? next : -1 }
  }

  /** Reports whether the main thread has woken this loop since the last call. */
  takeWakeup(): boolean {
    const wasAwakened = this.#isAwakened
    this.#isAwakened = false
    return wasAwakened
  }

  /** Ends every connection and closes the loop. */
  close(): void {
    for (const listener of this.#listeners.splice(0)) listener?.close(this)
    for (const connection of this.#connections) {
      if (connection.phase !== Phase.None) end(this, connection, 'shutdown')
    }
    this.#flows?.close()
    this.pipes.close()
    this.#poller.close()
  }

  /** Takes a place for one more connection; reports whether the limits leave one, whatever other workers do now. */
  takePlace(): boolean {
    const { connectionsMax, connectionsPerWorkerMax } = this.limits
    if (this.#openCount >= connectionsPerWorkerMax) return this.#refusePlace()
    if (Atomics.add(this.#options.openTotal, 0, 1) < connectionsMax) return true
    this.givePlaceBack()
    return this.#refusePlace()
  }

  /** Says it once in a while. */
  #refusePlace(): false {
    if (this.nowMs < this.#limitQuietUntilMs) return false
    this.#limitQuietUntilMs = this.nowMs + LIMIT_QUIET_MS
    this.log('warn', 'All places are taken: further clients wait until a connection ends', {
      open: Atomics.load(this.#options.openTotal, 0),
      ...this.limits,
      remedy: 'raise --max-connections and the limit of open files (LimitNOFILE=, ulimit -n), or look who holds them',
    })
    return false
  }

  /** Gives back what {@link takePlace} has taken. */
  givePlaceBack(): void {
    Atomics.sub(this.#options.openTotal, 0, 1)
  }

  /** Begins a connection on an accepted socket, in a place that has been taken. */
  open(fd: number, peer: Endpoint, entrance: Entrance): void {
    const connection = this.#free.pop() ?? this.#addSlot()
    this.#openCount += 1
    this.counters.add(METRICS.accepted.slot)
    this.counters.add(METRICS.open.slot)
    const { generation } = connection
    begin(this, connection, fd, peer, entrance)
    // Registered last: most probes and refusals are over by now, and epoll reports what has happened meanwhile.
    if (connection.generation !== generation) return
    if (!this.watch(fd, connection, true)) end(this, connection, 'out-of-resources')
  }

  /** Has epoll report events of a connection's socket; reports whether the kernel could. */
  watch(fd: number, connection: Connection, isClient: boolean): boolean {
    return this.#poller.add(fd, connection.index * 2 + (isClient ? 0 : 1), connection.generation) === 0
  }

  /** See `FlowLoop`. */
  watchPort(fd: number, index: number): number {
    return this.#poller.addReadable(fd, FIRST_PORT_TOKEN - index)
  }

  /** See `FlowLoop`. */
  watchFlow(fd: number, index: number, generation: number): number {
    return this.#poller.addReadable(fd, FIRST_FLOW_TOKEN + index, generation)
  }

  /** See `FlowLoop`. */
  unwatch(fd: number): void {
    this.#poller.remove(fd)
  }

  /** Gives the connection another turn in the next step, after others have had theirs. */
  continueLater(connection: Connection): void {
    if (connection.isReady) return
    connection.isReady = true
    this.#ready.push(connection)
  }

  /** Gives the listener another turn in the next step. */
  acceptLater(listener: Acceptor): void {
    this.#acceptReady.push(listener)
  }

  /** Takes a connection's slot back; its sockets are closed. */
  release(connection: Connection): void {
    this.counters.add(METRICS.open.slot, -1)
    connection.entrance = null
    connection.service = null
    connection.generation = (connection.generation + 1) | 0
    this.#openCount -= 1
    this.givePlaceBack()
    this.#free.push(connection)
    for (const listener of this.#listeners) listener?.onPlaceFreed(this)
  }

  #addSlot(): Connection {
    const connection = new Connection(this.#connections.length)
    this.#connections.push(connection)
    return connection
  }

  #dispatch(index: number): void {
    const token = this.#poller.token(index)
    if (token >= FIRST_FLOW_TOKEN) {
      this.#flows?.onFlowEvent(token - FIRST_FLOW_TOKEN, this.#poller.generation(index))
    } else if (token >= 0) {
      const connection = this.#connections[token >> 1]
      if (connection.generation !== this.#poller.generation(index)) return
      onEvent(this, connection, (token & 1) === 0, this.#poller.events(index))
    } else if (token === WAKEUP_TOKEN) {
      clearWakeup(this.#options.wakeupFd)
      this.#isAwakened = true
    } else if (token <= FIRST_PORT_TOKEN) {
      this.#flows?.onPortEvent(FIRST_PORT_TOKEN - token)
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
    else if (timed instanceof Flow) this.#flows?.onDeadline(timed)
    else this.pipes.trim()
  }
}
