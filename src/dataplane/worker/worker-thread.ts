import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Endpoint, receivedEndpoint } from '../../address/endpoint.ts'
import { SystemCallError } from '../../linux/errno.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { Log } from '../../telemetry/log.ts'
import { Counters } from '../../telemetry/metrics.ts'
import { end } from '../connection/connection.ts'
import type { Entrance, Service } from '../connection/connection-state.ts'
import { type OpenConnection, openConnection } from '../connection/report.ts'
import type { DatagramEntrance } from '../flow/datagram-entrance.ts'
import { openFlow } from '../flow/flow-report.ts'
import type { Port } from '../flow/port.ts'
import { EventLoop } from './event-loop.ts'
import type { Listener } from './listener.ts'
import { loopClock } from './loop-clock.ts'
import type { Role, RoleContext, RoleOptions } from './role.ts'
import { Services } from './services.ts'
import { WarmUp } from './warm-up.ts'
import { answerPulse, type Pulse } from './watchdog.ts'
import type { ConnectionLimits, WorkerLoop } from './worker-loop.ts'

/** What the main thread gives a worker at its start. */
export type WorkerData = {
  /** From 0 on. */
  readonly workerIndex: number
  readonly limits: ConnectionLimits
  readonly wakeupFd: number
  readonly counters: SharedArrayBuffer
  readonly openTotal: Int32Array
  readonly flowTotal: Int32Array
  readonly workers: number
  /** One cell: 1 once the worker has left its loop and the thread can be ended. */
  readonly acknowledged: Int32Array
  readonly pulse: Pulse
  /** It warms up while it has nothing else to do; see `warm-up.ts`. */
  readonly warmsUp: boolean
  /** See {@link RoleOptions}. */
  readonly role: unknown
}

/** Why the main thread has connections ended. */
export type CutOffReason = Extract<EndReason, 'drained' | 'backend-unhealthy'>

/** Main thread to worker; each is followed by a wake-up. Connections that have begun notice nothing of a change. */
export type ToWorker<Options extends RoleOptions> =
  /** Make a service under this name, or put it in the place of the one that has it. */
  | { readonly kind: 'define'; readonly name: string; readonly options: Options['service'] }
  /** Forget a service to which no entrance leads any more. */
  | { readonly kind: 'remove'; readonly name: string }
  /** Make an entrance under this name: for new listening sockets, and for those that listen under it. */
  | {
      readonly kind: 'serve'
      readonly name: string
      readonly listenerFds: readonly number[]
      /** The name of the service whose options a warm-up follows; it has been defined. */
      readonly service: string
      readonly options: Options['entrance']
    }
  /** Make an entrance for datagrams under this name: for the socket of a UDP port, or for the one that has this name. */
  | {
      readonly kind: 'serve-datagrams'
      readonly name: string
      /** null: this worker has no further socket. */
      readonly port: { readonly fd: number; readonly endpoint: Endpoint } | null
      readonly options: Options['datagramEntrance']
    }
  /** Take what is queued under this name and stop listening. */
  | { readonly kind: 'unlisten'; readonly name: string }
  /** Answer with some of the open connections, those in places from this one on. */
  | { readonly kind: 'list'; readonly request: number; readonly from: number; readonly countMax: number }
  /** Answer. */
  | { readonly kind: 'ping'; readonly request: number }
  /** End the connections and flows whose `choice` is one of these. */
  | { readonly kind: 'end-connections'; readonly backendIds: readonly number[]; readonly reason: CutOffReason }
  /** Stop listening altogether and leave once the last connection has ended. */
  | { readonly kind: 'drain' }
  /** End every connection and leave. */
  | { readonly kind: 'stop' }

/** Worker to main thread. */
export type FromWorker =
  | {
      readonly kind: 'log'
      readonly level: Parameters<Log>[0]
      readonly message: string
      readonly fields: Parameters<Log>[2]
    }
  | {
      readonly kind: 'answer'
      readonly request: number
      readonly connections: readonly OpenConnection[]
      /** The place from which on the list goes on; -1: that was all. */
      readonly next: number
    }

/** The warm-up rests for so long after anything happened to a client: what it plays must not take a client's time. */
const WARM_UP_REST_MS = 20
/** It is given up after so long: whom clients have kept from it is warm by then. */
const WARM_UP_MS_MAX = 10_000

/** Where the places of flows begin in a list: no worker has so many connections. */
const FIRST_FLOW_PLACE = 500_000_000

/** Monotonic milliseconds. */
const clock = (): number => performance.now()

/** Runs a worker thread from start to end. Returns when it has been told to leave. */
export function runWorker<Options extends RoleOptions, S extends Service>(
  makeRole: (options: Options['worker'], context: RoleContext) => Role<Options, S>,
): void {
  const port = parentPort
  if (port === null) throw new Error('This file is the entry of a worker thread; run "truepeer" instead')
  const data = workerData as WorkerData
  const send = (message: FromWorker): void => port.postMessage(message)
  const log: Log = (level, message, fields) => send({ kind: 'log', level, message, fields })
  const counters = new Counters(data.counters)
  const { limits, openTotal, flowTotal, workers, wakeupFd, workerIndex } = data
  const loop = new EventLoop({ limits, counters, openTotal, flowTotal, workers, log, clock: loopClock(), wakeupFd })
  const context = { workerIndex, log, counters, openTotal, flowTotal }
  const worker = new WorkerThread(loop, makeRole(data.role, context), context, send, data.warmsUp)
  answerPulse(data.pulse)
  while (!worker.isDone) {
    const events = loop.step(worker.waitMs)
    const isWoken = loop.takeWakeup()
    worker.warmUp(isWoken ? events - 1 : events)
    if (!isWoken) continue
    answerPulse(data.pulse)
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      worker.handle(next.message as ToWorker<Options>)
    }
  }
  worker.close()
  Atomics.store(data.acknowledged, 0, 1)
  Atomics.notify(data.acknowledged, 0)
}

/** Ends the connections and flows whose service has chosen one of these backends. */
export function endConnections(loop: WorkerLoop, backendIds: readonly number[], reason: CutOffReason): void {
  const ids = new Set(backendIds)
  for (const connection of loop.openConnections()) {
    if (ids.has(connection.choice)) end(loop, connection, reason)
  }
  loop.flows?.endThoseOf(ids, reason)
}

/** What the main thread has told a worker. */
class WorkerThread<Options extends RoleOptions, S extends Service> {
  readonly #loop: WorkerLoop
  readonly #role: Role<Options, S>
  readonly #context: RoleContext
  readonly #send: (message: FromWorker) => void
  readonly #warmsUp: boolean
  readonly #services = new Services<S>()
  /** What those services were made of. */
  readonly #serviceOptions = new Map<string, Options['service']>()
  readonly #entrances = new Map<string, Entrance>()
  readonly #listeners = new Map<string, Listener[]>()
  readonly #datagramEntrances = new Map<string, DatagramEntrance>()
  readonly #ports = new Map<string, Port[]>()
  /** Those that are not over, and the kinds of entrance of which there has been one. */
  readonly #warmUps: WarmUp[] = []
  readonly #warmed = new Set<'plain' | 'tls'>()
  #restsUntilMs = 0
  #warmUpEndsMs = 0
  #isDraining = false
  #isStopped = false

  constructor(
    loop: WorkerLoop,
    role: Role<Options, S>,
    context: RoleContext,
    send: (message: FromWorker) => void,
    warmsUp: boolean,
  ) {
    this.#loop = loop
    this.#role = role
    this.#context = context
    this.#send = send
    this.#warmsUp = warmsUp
  }

  /** Reports whether the worker may leave its loop. */
  get isDone(): boolean {
    return this.#isStopped || (this.#isDraining && this.#loop.openCount === 0 && !this.#hasFlows)
  }

  get #hasFlows(): boolean {
    const { flows } = this.#loop
    return flows !== null && flows.openCount > 0
  }

  /** For how long the loop may wait for an event; -1: for ever. */
  get waitMs(): number {
    if (this.#warmUps.length === 0) return -1
    return Math.max(0, Math.ceil(this.#restsUntilMs - this.#loop.nowMs))
  }

  /** Plays connections for about 2 ms, if there are any to play and nothing has happened to a client of late. */
  warmUp(clientEvents: number): void {
    if (this.#warmUps.length === 0) return
    const { nowMs } = this.#loop
    if (nowMs > this.#warmUpEndsMs) this.#endWarmUps()
    else if (clientEvents > 0) this.#restsUntilMs = nowMs + WARM_UP_REST_MS
    else if (this.waitMs === 0 && !this.#warmUps[0].step()) this.#warmUps.shift()?.close()
  }

  #endWarmUps(): void {
    for (const warmUp of this.#warmUps.splice(0)) warmUp.close()
  }

  /** Ends every connection. */
  close(): void {
    this.#endWarmUps()
    this.#loop.close()
  }

  handle(message: ToWorker<Options>): void {
    switch (message.kind) {
      case 'define':
        this.#services.set(message.name, this.#role.makeService(message.options))
        this.#serviceOptions.set(message.name, message.options)
        return
      case 'remove':
        this.#services.remove(message.name)
        this.#serviceOptions.delete(message.name)
        return
      case 'serve':
        return this.#serve(message)
      case 'serve-datagrams':
        return this.#serveDatagrams(message)
      case 'unlisten':
        return this.#unlisten(message.name)
      case 'end-connections':
        return endConnections(this.#loop, message.backendIds, message.reason)
      case 'list':
        return this.#list(message)
      case 'ping':
        return this.#send({ kind: 'answer', request: message.request, connections: [], next: -1 })
      case 'drain':
        this.#isDraining = true
        for (const name of [...this.#listeners.keys(), ...this.#ports.keys()]) this.#unlisten(name)
        return
      case 'stop':
        this.#isStopped = true
    }
  }

  #serve({ name, listenerFds, service, options }: Extract<ToWorker<Options>, { readonly kind: 'serve' }>): void {
    const entrance = this.#role.makeEntrance(options, this.#services)
    const listeners = this.#listeners.get(name) ?? []
    for (const listener of listeners) listener.entrance = entrance
    const before = this.#entrances.get(name)
    if (before !== undefined) {
      before.successor = entrance
      before.uses.retire()
    }
    this.#entrances.set(name, entrance)
    const added = listenerFds.map((fd) => this.#loop.addListener(fd, entrance))
    this.#listeners.set(name, [...listeners, ...added])
    const behind = this.#serviceOptions.get(service)
    if (this.#warmsUp && behind !== undefined) this.#prepareWarmUp(entrance, { entrance: options, service: behind })
  }

  /** The first entrance of each kind stands for all of them, with the service behind it. */
  #prepareWarmUp({ tls }: Entrance, options: Pick<Options, 'entrance' | 'service'>): void {
    const kind = tls === null ? 'plain' : 'tls'
    if (this.#warmed.has(kind)) return
    this.#warmed.add(kind)
    try {
      const warmUp = new WarmUp(
        (app, shared) => this.#role.warmUp(options, app, { ...this.#context, ...shared, log: () => {} }),
        this.#loop.limits,
        clock,
      )
      this.#warmUps.push(warmUp)
      this.#warmUpEndsMs = this.#loop.nowMs + WARM_UP_MS_MAX
    } catch (error) {
      // It still serves, only more slowly at first.
      if (!(error instanceof SystemCallError)) throw error
    }
  }

  #serveDatagrams({ name, port, options }: Extract<ToWorker<Options>, { readonly kind: 'serve-datagrams' }>): void {
    const entrance = this.#role.makeDatagramEntrance?.(options, this.#services)
    if (entrance === undefined) throw new Error('This role has no UDP ports')
    const ports = this.#ports.get(name) ?? []
    for (const before of ports) before.entrance = entrance
    this.#datagramEntrances.get(name)?.uses.retire()
    this.#datagramEntrances.set(name, entrance)
    if (port !== null) ports.push(this.#loop.addPort(port.fd, receivedEndpoint(port.endpoint), entrance))
    this.#ports.set(name, ports)
  }

  /** Connections first, then flows: the places of these come far behind. */
  #list({ request, from, countMax }: Extract<ToWorker<Options>, { readonly kind: 'list' }>): void {
    const { nowMs, flows } = this.#loop
    if (from < FIRST_FLOW_PLACE) {
      const page = this.#loop.openConnectionsFrom(from, countMax)
      const connections = page.connections.map((connection) => openConnection(connection, nowMs))
      const next = page.next === -1 && flows !== null ? FIRST_FLOW_PLACE : page.next
      return this.#send({ kind: 'answer', request, connections, next })
    }
    const page = flows?.from(from - FIRST_FLOW_PLACE, countMax)
    const connections = page?.flows.map((flow) => openFlow(flow, nowMs)) ?? []
    const next = page === undefined || page.next === -1 ? -1 : page.next + FIRST_FLOW_PLACE
    this.#send({ kind: 'answer', request, connections, next })
  }

  #unlisten(name: string): void {
    for (const listener of this.#listeners.get(name) ?? []) this.#loop.closeListener(listener)
    this.#listeners.delete(name)
    this.#entrances.get(name)?.uses.retire()
    this.#entrances.delete(name)
    for (const port of this.#ports.get(name) ?? []) this.#loop.closePort(port)
    this.#ports.delete(name)
    this.#datagramEntrances.get(name)?.uses.retire()
    this.#datagramEntrances.delete(name)
  }
}
