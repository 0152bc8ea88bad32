import { Worker } from 'node:worker_threads'
import type { Endpoint } from '../address/endpoint.ts'
import { close, type Liveness, openListener, openWakeup, wake } from '../linux/socket.ts'
import type { Log } from '../telemetry/log.ts'
import { Counters } from '../telemetry/metrics.ts'
import type { Limits } from './event-loop.ts'
import type { FromWorker, ToWorker, WorkerData } from './worker-thread.ts'

/** How long {@link WorkerPool.stopNow} waits for a worker to leave its loop. */
const ACKNOWLEDGE_MS = 2_000

/** What a {@link WorkerPool} is made of. */
export type WorkerPoolOptions<RoleOptions> = {
  /** The file that calls `runWorker` for the role. */
  readonly entry: URL
  readonly workers: number
  /** Every worker has a listening socket of its own on each of these. */
  readonly listen: readonly Endpoint[]
  readonly liveness: Liveness
  readonly limits: Limits
  readonly roleOptions: RoleOptions
  readonly log: Log
  /** Called when a worker thread dies of an error of ours; the program cannot go on. */
  readonly onFatal: (error: Error) => void
}

type Member = {
  readonly worker: Worker
  readonly wakeupFd: number
  readonly counters: Counters
  readonly acknowledged: Int32Array
  readonly exited: Promise<void>
}

/**
 * The main thread's hold on the workers.
 *
 * A worker blocks in the kernel and cannot be ended from outside (process.exit would hang): it is woken by its
 * eventfd, told to leave, and acknowledges before the process ends.
 */
export class WorkerPool<RoleOptions> {
  readonly #members: Member[] = []
  readonly #log: Log

  /** @throws SystemCallError when one of the addresses cannot be listened on; nothing is left open then */
  constructor(options: WorkerPoolOptions<RoleOptions>) {
    this.#log = options.log
    const openTotal = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    const listenerFds = openListeners(options)
    for (const fds of listenerFds) this.#members.push(startMember(options, fds, openTotal, this.#receive))
  }

  /** The sum of one counter over all workers. */
  read(slot: number): number {
    return this.#members.reduce((sum, member) => sum + member.counters.read(slot), 0)
  }

  /** Gives every worker a changed configuration, for connections to come. */
  configure(value: unknown): void {
    for (const member of this.#members) tell(member, { kind: 'configure', value })
  }

  /** Stops listening and resolves once the last connection has ended. */
  async drain(): Promise<void> {
    for (const member of this.#members) tell(member, { kind: 'drain' })
    await Promise.all(this.#members.map((member) => member.exited))
  }

  /** Ends every connection at once; returns when no worker is inside the kernel any more. */
  stopNow(): void {
    for (const member of this.#members) tell(member, { kind: 'stop' })
    for (const member of this.#members) Atomics.wait(member.acknowledged, 0, 0, ACKNOWLEDGE_MS)
  }

  readonly #receive = (message: FromWorker): void => {
    if (message.kind === 'log') this.#log(message.level, message.message, message.fields)
  }
}

/** Opens the listening sockets of all workers, or none. */
function openListeners<RoleOptions>(options: WorkerPoolOptions<RoleOptions>): number[][] {
  const opened: number[][] = []
  try {
    for (let index = 0; index < options.workers; index++) {
      const fds: number[] = []
      opened.push(fds)
      for (const endpoint of options.listen) fds.push(openListener(endpoint, options.liveness))
    }
    return opened
  } catch (error) {
    for (const fd of opened.flat()) close(fd)
    throw error
  }
}

function startMember<RoleOptions>(
  options: WorkerPoolOptions<RoleOptions>,
  listenerFds: readonly number[],
  openTotal: Int32Array,
  receive: (message: FromWorker) => void,
): Member {
  const wakeupFd = openWakeup()
  const counters = new Counters()
  const acknowledged = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const workerData: WorkerData<RoleOptions> = {
    roleOptions: options.roleOptions,
    limits: options.limits,
    listenerFds,
    wakeupFd,
    counters: counters.shared,
    openTotal,
    acknowledged,
  }
  const worker = new Worker(options.entry, { workerData })
  worker.on('message', receive)
  worker.on('error', (error) => {
    // The thread is gone: nobody will acknowledge for it.
    Atomics.store(acknowledged, 0, 1)
    options.onFatal(error instanceof Error ? error : new Error(String(error)))
  })
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => resolve())
  })
  return { worker, wakeupFd, counters, acknowledged, exited }
}

function tell(member: Member, message: ToWorker): void {
  member.worker.postMessage(message)
  wake(member.wakeupFd)
}
