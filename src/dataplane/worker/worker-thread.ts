import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Endpoint } from '../../address/endpoint.ts'
import { SystemCallError } from '../../linux/errno.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { Log } from '../../telemetry/log.ts'
import { Counters } from '../../telemetry/metrics.ts'
import { TlsServer, type TlsServerOptions } from '../../tls/server.ts'
import { end } from '../connection/connection.ts'
import type { Connection, Role, Service, Timeouts } from '../connection/connection-state.ts'
import { type OpenConnection, openConnection } from '../connection/report.ts'
import { type ConnectionLimits, EventLoop } from './event-loop.ts'
import type { Listener } from './listener.ts'
import { WarmUp } from './warm-up.ts'

/** What the main thread gives a worker at its start. */
export type WorkerData = {
  /** From 0 on. */
  readonly workerIndex: number
  readonly limits: ConnectionLimits
  readonly wakeupFd: number
  readonly counters: SharedArrayBuffer
  readonly openTotal: Int32Array
  /** One cell: 1 once the worker has left its loop and the thread can be ended. */
  readonly acknowledged: Int32Array
  /** It warms up while it has nothing else to do; see `warm-up.ts`. */
  readonly warmsUp: boolean
}

/** Main thread to worker; each is followed by a wake-up. `RoleOptions` is plain data. */
export type ToWorker<RoleOptions> =
  /** Serve under this name: with new listening sockets, or with other options for connections to come. */
  | {
      readonly kind: 'serve'
      readonly name: string
      readonly listenerFds: readonly number[]
      readonly timeouts: Timeouts
      /** Clients speak TLS; null: they do not. */
      readonly tls: TlsServerOptions | null
      readonly roleOptions: RoleOptions
    }
  /** Take what is queued under this name and stop listening. */
  | { readonly kind: 'unlisten'; readonly name: string }
  /** Answer with the open connections, or with none. */
  | { readonly kind: 'list' | 'ping'; readonly request: number }
  /** End the connections whose `choice` is one of these. */
  | { readonly kind: 'end-connections'; readonly backendIds: readonly number[]; readonly reason: 'drained' }
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
  | { readonly kind: 'answer'; readonly request: number; readonly connections: readonly OpenConnection[] }

/** What a role may use of its worker. */
export type RoleContext = {
  /** Which of the workers this is, from 0 on. */
  readonly workerIndex: number
  readonly log: Log
  readonly counters: Counters
  /** One cell: connections open now in all workers. */
  readonly openTotal: Int32Array
}

/** How a worker comes to its roles. */
export type RoleMaker<RoleOptions> = {
  /** Makes the role of a service from its options. */
  readonly make: (options: RoleOptions, context: RoleContext) => Role
  /** Options like the given ones, for clients on loopback that are trusted and an app at `app`, and what clients say first. */
  readonly warmUp: (
    options: RoleOptions,
    app: Endpoint,
    workerIndex: number,
  ) => { readonly roleOptions: RoleOptions; readonly openings: readonly Uint8Array[] }
}

/** The warm-up rests for so long after anything happened to a client: what it plays must not take a client's time. */
const WARM_UP_REST_MS = 20
/** It is given up after so long: whom clients have kept from it is warm by then. */
const WARM_UP_MS_MAX = 10_000

/** Monotonic milliseconds. */
const clock = (): number => performance.now()

/** Runs a worker thread from start to end. Returns when it has been told to leave. */
export function runWorker<RoleOptions>(roleMaker: RoleMaker<RoleOptions>): void {
  const port = parentPort
  if (port === null) throw new Error('This file is the entry of a worker thread; run "truepeer" instead')
  const data = workerData as WorkerData
  const send = (message: FromWorker): void => port.postMessage(message)
  const log: Log = (level, message, fields) => send({ kind: 'log', level, message, fields })
  const counters = new Counters(data.counters)
  const { limits, openTotal, wakeupFd, workerIndex } = data
  const loop = new EventLoop({ limits, counters, openTotal, log, clock, wakeupFd })
  const context = { workerIndex, log, counters, openTotal }
  const worker = new WorkerThread(loop, roleMaker, context, send, data.warmsUp)
  while (!worker.isDone) {
    const events = loop.step(worker.waitMs)
    const isWoken = loop.takeWakeup()
    worker.warmUp(isWoken ? events - 1 : events)
    if (!isWoken) continue
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      worker.handle(next.message as ToWorker<RoleOptions>)
    }
  }
  worker.close()
  Atomics.store(data.acknowledged, 0, 1)
  Atomics.notify(data.acknowledged, 0)
}

/** Ends the connections whose role has chosen one of these backends. */
export function endConnections(loop: EventLoop, backendIds: readonly number[], reason: EndReason): void {
  const ids = new Set(backendIds)
  for (const connection of loop.openConnections()) {
    if (ids.has(connection.choice)) end(loop, connection, reason)
  }
}

/** What the main thread has told a worker. */
class WorkerThread<RoleOptions> {
  readonly #loop: EventLoop
  readonly #roleMaker: RoleMaker<RoleOptions>
  readonly #context: RoleContext
  readonly #send: (message: FromWorker) => void
  readonly #warmsUp: boolean
  readonly #listeners = new Map<string, Listener[]>()
  readonly #services = new Map<string, Service>()
  /** Those that are not over, and the kinds of service of which there has been one. */
  readonly #warmUps: WarmUp[] = []
  readonly #warmed = new Set<'plain' | 'tls'>()
  #restsUntilMs = 0
  #warmUpEndsMs = 0
  #isDraining = false
  #isStopped = false

  constructor(
    loop: EventLoop,
    roleMaker: RoleMaker<RoleOptions>,
    context: RoleContext,
    send: (message: FromWorker) => void,
    warmsUp: boolean,
  ) {
    this.#loop = loop
    this.#roleMaker = roleMaker
    this.#context = context
    this.#send = send
    this.#warmsUp = warmsUp
  }

  /** Reports whether the worker may leave its loop. */
  get isDone(): boolean {
    return this.#isStopped || (this.#isDraining && this.#loop.openCount === 0)
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

  handle(message: ToWorker<RoleOptions>): void {
    switch (message.kind) {
      case 'serve': {
        const { name, timeouts } = message
        const tls = message.tls === null ? null : new TlsServer(message.tls)
        const role = this.#roleMaker.make(message.roleOptions, this.#context)
        const service: Service = { role, timeouts, tls }
        const listeners = this.#listeners.get(name) ?? []
        for (const listener of listeners) listener.service = service
        this.#retire(name)
        this.#services.set(name, service)
        const added = message.listenerFds.map((fd) => this.#loop.addListener(fd, service))
        this.#listeners.set(name, [...listeners, ...added])
        if (this.#warmsUp) this.#prepareWarmUp(service, message.roleOptions)
        return
      }
      case 'unlisten':
        return this.#unlisten(message.name)
      case 'end-connections':
        return endConnections(this.#loop, message.backendIds, message.reason)
      case 'list':
        return this.#answer(message.request, this.#loop.openConnections())
      case 'ping':
        return this.#answer(message.request, [])
      case 'drain':
        this.#isDraining = true
        for (const name of [...this.#listeners.keys()]) this.#unlisten(name)
        return
      case 'stop':
        this.#isStopped = true
    }
  }

  /** The first service of each kind stands for all of them. */
  #prepareWarmUp({ timeouts, tls }: Service, options: RoleOptions): void {
    const kind = tls === null ? 'plain' : 'tls'
    if (this.#warmed.has(kind)) return
    this.#warmed.add(kind)
    try {
      const warmUp = new WarmUp(
        (app, shared) => {
          const { roleOptions, openings } = this.#roleMaker.warmUp(options, app, this.#context.workerIndex)
          const role = this.#roleMaker.make(roleOptions, { ...this.#context, ...shared, log: () => {} })
          return { service: { role, timeouts, tls }, openings }
        },
        this.#loop.limits,
        clock,
      )
      this.#warmUps.push(warmUp)
      this.#warmUpEndsMs = this.#loop.nowMs + WARM_UP_MS_MAX
    } catch (error) {
      // It serves all the same, only more slowly at first.
      if (!(error instanceof SystemCallError)) throw error
    }
  }

  #answer(request: number, open: readonly Connection[]): void {
    const connections = open.map((connection) => openConnection(connection, this.#loop.nowMs))
    this.#send({ kind: 'answer', request, connections })
  }

  #unlisten(name: string): void {
    for (const listener of this.#listeners.get(name) ?? []) this.#loop.closeListener(listener)
    this.#listeners.delete(name)
    this.#retire(name)
  }

  /** No connection begins with the service under this name any more; those that have keep its certificates. */
  #retire(name: string): void {
    const service = this.#services.get(name)
    service?.tls?.retire()
    service?.role.retire?.()
    this.#services.delete(name)
  }
}
