import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Log } from '../telemetry/log.ts'
import { Counters, type EndReason } from '../telemetry/metrics.ts'
import { TlsServer, type TlsServerOptions } from '../tls/server.ts'
import { type Connection, end } from './connection.ts'
import { type ConnectionLimits, EventLoop } from './event-loop.ts'
import type { Listener } from './listener.ts'
import { type OpenConnection, openConnection } from './report.ts'
import type { Role } from './role.ts'
import type { Service, Timeouts } from './service.ts'

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

/** Makes the role of a service from its options. */
export type MakeRole<RoleOptions> = (options: RoleOptions, context: RoleContext) => Role

/** Runs a worker thread from start to end. Returns when it has been told to leave. */
export function runWorker<RoleOptions>(makeRole: MakeRole<RoleOptions>): void {
  const port = parentPort
  if (port === null) throw new Error('This file is the entry of a worker thread; run "truepeer" instead')
  const data = workerData as WorkerData
  const send = (message: FromWorker): void => port.postMessage(message)
  const log: Log = (level, message, fields) => send({ kind: 'log', level, message, fields })
  const counters = new Counters(data.counters)
  const loop = new EventLoop({
    limits: data.limits,
    counters,
    openTotal: data.openTotal,
    log,
    clock: () => performance.now(),
    wakeupFd: data.wakeupFd,
  })
  const worker = new WorkerThread(
    loop,
    (options: RoleOptions) =>
      makeRole(options, { workerIndex: data.workerIndex, log, counters, openTotal: data.openTotal }),
    send,
  )
  while (!worker.isDone) {
    loop.step()
    if (!loop.takeWakeup()) continue
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      worker.handle(next.message as ToWorker<RoleOptions>)
    }
  }
  loop.close()
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
  readonly #makeRole: (options: RoleOptions) => Role
  readonly #send: (message: FromWorker) => void
  readonly #listeners = new Map<string, Listener[]>()
  readonly #services = new Map<string, Service>()
  #isDraining = false
  #isStopped = false

  constructor(loop: EventLoop, makeRole: (options: RoleOptions) => Role, send: (message: FromWorker) => void) {
    this.#loop = loop
    this.#makeRole = makeRole
    this.#send = send
  }

  /** Reports whether the worker may leave its loop. */
  get isDone(): boolean {
    return this.#isStopped || (this.#isDraining && this.#loop.openCount === 0)
  }

  handle(message: ToWorker<RoleOptions>): void {
    switch (message.kind) {
      case 'serve': {
        const { name, timeouts } = message
        const tls = message.tls === null ? null : new TlsServer(message.tls)
        const service: Service = { role: this.#makeRole(message.roleOptions), timeouts, tls }
        const listeners = this.#listeners.get(name) ?? []
        for (const listener of listeners) listener.service = service
        this.#retire(name)
        this.#services.set(name, service)
        const added = message.listenerFds.map((fd) => this.#loop.addListener(fd, service))
        this.#listeners.set(name, [...listeners, ...added])
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
