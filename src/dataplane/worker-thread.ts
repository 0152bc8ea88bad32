import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Log } from '../telemetry/log.ts'
import { Counters, type EndReason } from '../telemetry/metrics.ts'
import type { Connection } from './connection.ts'
import { EventLoop, type Limits } from './event-loop.ts'
import type { Role } from './role.ts'

/** What the main thread gives a worker at its start. `RoleOptions` and what `configure` takes are plain data. */
export type WorkerData<RoleOptions> = {
  readonly roleOptions: RoleOptions
  readonly limits: Limits
  /** Open listening sockets; the worker closes them. */
  readonly listenerFds: readonly number[]
  readonly wakeupFd: number
  readonly counters: SharedArrayBuffer
  readonly openTotal: Int32Array
  /** One cell: 1 once the worker has left its loop and the thread can be ended. */
  readonly acknowledged: Int32Array
}

/** Main thread to worker; each is followed by a wake-up. */
export type ToWorker =
  | { readonly kind: 'configure'; readonly value: unknown }
  /** Take what is queued, stop listening, leave once the last connection has ended. */
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
  | { readonly kind: 'drained' }

/** A role as a worker runs it. */
export type WorkerRole = Role & {
  /** Takes a changed configuration for connections to come. */
  configure(value: unknown): void
  /** Sees each connection once more, at its end. */
  onEnd(connection: Connection, reason: EndReason): void
}

/** Runs a worker thread from start to end: `makeRole` gives it its role. Returns when it has been told to leave. */
export function runWorker<RoleOptions>(
  makeRole: (options: RoleOptions, context: { readonly log: Log; readonly counters: Counters }) => WorkerRole,
): void {
  const port = parentPort
  if (port === null) throw new Error('This file is the entry of a worker thread; run "truepeer" instead')
  const data = workerData as WorkerData<RoleOptions>
  const send = (message: FromWorker): void => port.postMessage(message)
  const log: Log = (level, message, fields) => send({ kind: 'log', level, message, fields })
  const counters = new Counters(data.counters)
  const role = makeRole(data.roleOptions, { log, counters })
  const loop = new EventLoop({
    role,
    limits: data.limits,
    counters,
    openTotal: data.openTotal,
    log,
    clock: () => performance.now(),
    wakeupFd: data.wakeupFd,
    onEnd: (connection, reason) => role.onEnd(connection, reason),
  })
  for (const fd of data.listenerFds) loop.addListener(fd)

  let isDraining = false
  let isStopped = false
  const handle = (message: ToWorker): void => {
    if (message.kind === 'configure') role.configure(message.value)
    if (message.kind === 'stop') isStopped = true
    if (message.kind === 'drain') {
      isDraining = true
      loop.closeListeners()
    }
  }
  while (!isStopped && !(isDraining && loop.openCount === 0)) {
    loop.step()
    if (!loop.takeWakeup()) continue
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      handle(next.message as ToWorker)
    }
  }
  loop.close()
  send({ kind: 'drained' })
  Atomics.store(data.acknowledged, 0, 1)
  Atomics.notify(data.acknowledged, 0)
}
