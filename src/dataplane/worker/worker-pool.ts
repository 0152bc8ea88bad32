import { Worker } from 'node:worker_threads'
import type { Endpoint } from '../../address/endpoint.ts'
import { adoptPort, openPort } from '../../linux/datagram.ts'
import type { Liveness } from '../../linux/liveness.ts'
import { adoptListener, close, type ListenerOptions, openListener, openWakeup, wake } from '../../linux/socket.ts'
import type { Log } from '../../telemetry/log.ts'
import { Counters } from '../../telemetry/metrics.ts'
import { asError } from '../../text/error-message.ts'
import type { OpenConnection } from '../connection/report.ts'
import type { ConnectionPage, WorkerLiveness } from './program.ts'
import type { RoleOptions } from './role.ts'
import { makePulse, type Pulse, Watchdog } from './watchdog.ts'
import type { ConnectionLimits } from './worker-loop.ts'
import type { CutOffReason, FromWorker, ToWorker, WorkerData } from './worker-thread.ts'

/** Connections that a worker describes before its clients have their turn. */
const LIST_PIECE = 50
/** How long {@link WorkerPool.stopNow} waits for a worker to leave its loop. */
const ACKNOWLEDGE_MS = 2_000
/** Steady traffic makes no garbage; V8 would let the space for new objects grow to 48 MiB on the first crowd of clients. */
const YOUNG_GENERATION_MB = 3

/** What a {@link WorkerPool} is made of. */
export type WorkerPoolOptions<Options extends RoleOptions> = {
  /** The file that calls `runWorker` for the role. */
  readonly entry: URL
  readonly role: Options['worker']
  readonly workers: number
  readonly limits: ConnectionLimits
  readonly log: Log
  /** Workers warm up while they have nothing else to do; see `warm-up.ts`. */
  readonly warmsUp: boolean
  readonly watchdog: { readonly timeoutMs: number; readonly onStuck: ((worker: number) => void) | undefined }
  /** Called when a worker thread dies of an error of ours; the program cannot go on. */
  readonly onFatal: (error: Error) => void
}

/** Where an entrance is; every worker has a listening socket of its own on it. */
export type ListenOptions = {
  readonly endpoint: Endpoint
  readonly liveness: Liveness
  /** Listening sockets on it that the service manager has opened, spread over the workers; empty: the pool opens them. */
  readonly inheritedFds: readonly number[]
}

/** Where an entrance for datagrams is. */
export type DatagramListenOptions = ListenerOptions & {
  readonly endpoint: Endpoint
  /** UDP sockets on it that the service manager has opened; empty: the pool opens them. */
  readonly inheritedFds: readonly number[]
}

/** What connections of an entrance get. */
export type ServeOptions<Options extends RoleOptions> = {
  /** The name of the service that they are led to, as far as it is known beforehand. */
  readonly service: string
  readonly options: Options['entrance']
}

type WorkerAnswer = Pick<Extract<FromWorker, { readonly kind: 'answer' }>, 'connections' | 'next'>
type Question = { readonly kind: 'ping' } | { readonly kind: 'list'; readonly from: number; readonly countMax: number }

/** A question that has not been answered yet. */
type Pending = {
  readonly worker: number
  readonly kind: Question['kind']
  readonly resolve: (answer: WorkerAnswer) => void
}

const NO_ANSWER: WorkerAnswer = { connections: [], next: -1 }

type Member = {
  readonly pulse: Pulse
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
export class WorkerPool<Options extends RoleOptions> {
  readonly #members: Member[] = []
  readonly #log: Log
  readonly #watchdog: Watchdog
  readonly #pending = new Map<number, Pending>()
  readonly #left = new Set<number>()
  #nextRequest = 0

  constructor(options: WorkerPoolOptions<Options>) {
    this.#log = options.log
    const openTotal = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    const flowTotal = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    for (let index = 0; index < options.workers; index++) {
      this.#members.push(startMember(options, index, { openTotal, flowTotal }, this.#receive))
    }
    const watched = this.#members.map(({ pulse, wakeupFd }) => ({ pulse, wake: () => wake(wakeupFd) }))
    const { timeoutMs, onStuck } = options.watchdog
    this.#watchdog = new Watchdog(watched, timeoutMs, options.log, (worker) => {
      this.#giveUp(worker, 'list')
      onStuck?.(worker)
    })
    for (const [index, { exited }] of this.#members.entries()) {
      void exited.then(() => {
        this.#watchdog.leave(index)
        this.#left.add(index)
        this.#giveUp(index, 'list')
        this.#giveUp(index, 'ping')
      })
    }
  }

  /** Gives a name to a service, for connections to come; one that has the name is replaced. */
  define(name: string, options: Options['service']): void {
    for (const member of this.#members) tell(member, { kind: 'define', name, options })
  }

  /** Forgets a service; nothing that listens may lead to it any more. */
  remove(name: string): void {
    for (const member of this.#members) tell(member, { kind: 'remove', name })
  }

  /**
   * Starts to listen, one socket for each worker, or for none.
   *
   * @throws SystemCallError when the endpoint cannot be listened on
   */
  listen(name: string, listen: ListenOptions, serve: ServeOptions<Options>): void {
    const opened: number[] = []
    try {
      for (const index of this.#members.keys()) opened.push(openOrAdopt(listen, index))
    } catch (error) {
      for (const fd of opened) close(fd)
      throw error
    }
    for (const [index, member] of this.#members.entries()) {
      tell(member, { kind: 'serve', name, listenerFds: [opened[index]], ...serve })
    }
  }

  /** Puts another entrance behind the sockets of this name, for connections to come. */
  change(name: string, serve: ServeOptions<Options>): void {
    for (const member of this.#members) tell(member, { kind: 'serve', name, listenerFds: [], ...serve })
  }

  /**
   * Starts to receive datagrams, by one socket for each worker. Of inherited sockets each is for one worker: there may be
   * workers without one.
   *
   * @throws SystemCallError when the endpoint cannot be received on
   */
  listenForDatagrams(name: string, listen: DatagramListenOptions, options: Options['datagramEntrance']): void {
    const { endpoint, inheritedFds } = listen
    const opened: number[] = []
    try {
      for (const fd of inheritedFds.slice(0, this.#members.length)) opened.push(adoptPort(fd, endpoint))
      while (inheritedFds.length === 0 && opened.length < this.#members.length) opened.push(openPort(endpoint, listen))
    } catch (error) {
      for (const fd of opened) close(fd)
      throw error
    }
    for (const [index, member] of this.#members.entries()) {
      const port = index < opened.length ? { fd: opened[index], endpoint } : null
      tell(member, { kind: 'serve-datagrams', name, port, options })
    }
  }

  /** Puts another entrance behind the UDP ports of this name; flows go on. */
  changeDatagrams(name: string, options: Options['datagramEntrance']): void {
    for (const member of this.#members) tell(member, { kind: 'serve-datagrams', name, port: null, options })
  }

  /** Takes what is queued at an entrance, of either kind, and stops listening; its connections and flows go on. */
  unlisten(name: string): void {
    for (const member of this.#members) tell(member, { kind: 'unlisten', name })
  }

  /** Ends the connections and flows to these backends (ids of the role's own) at once, with resets. */
  endConnections(backendIds: readonly number[], reason: CutOffReason): void {
    for (const member of this.#members) tell(member, { kind: 'end-connections', backendIds, reason })
  }

  /** The sum of one counter over all workers. */
  read(slot: number): number {
    return this.#members.reduce((sum, member) => sum + member.counters.read(slot), 0)
  }

  /**
   * The open connections and flows of all workers, so many at most: piece by piece, so that no client waits for it. A
   * worker that is stuck is passed over.
   *
   * @param after `next` of the page before; undefined: from the first on
   * @returns undefined: `after` is none
   */
  async connections(countMax: number, after?: string): Promise<ConnectionPage | undefined> {
    const cursor = /^(\d{1,3})\.(\d{1,9})$/.exec(after ?? '0.0')
    if (cursor === null) return undefined
    const connections: OpenConnection[] = []
    let place = Number(cursor[2])
    for (let worker = Number(cursor[1]); worker < this.#members.length; worker++, place = 0) {
      while (place >= 0) {
        if (connections.length === countMax) return { connections, next: `${worker}.${place}` }
        const pieceMax = Math.min(countMax - connections.length, LIST_PIECE)
        const answer = await this.#ask(worker, { kind: 'list', from: place, countMax: pieceMax })
        connections.push(...answer.connections)
        place = answer.next
      }
    }
    return { connections, next: undefined }
  }

  /** Resolves once every worker has come round to answering. */
  async respond(): Promise<void> {
    await Promise.all(this.#members.map((_, worker) => this.#ask(worker, { kind: 'ping' })))
  }

  /** The workers that do not come round any more, and how often one did not. */
  liveness(): WorkerLiveness {
    return { workers: this.#members.length, stuck: this.#watchdog.stuck, stalls: this.#watchdog.stalls }
  }

  #ask(index: number, question: Question): Promise<WorkerAnswer> {
    // A worker that has left will not answer. One that is stuck would be asked again and again, and hear all of that
    // once it is back.
    const isStuck = question.kind === 'list' && this.#watchdog.stuck.includes(index)
    if (isStuck || this.#left.has(index)) return Promise.resolve(NO_ANSWER)
    return new Promise((resolve) => {
      const request = this.#nextRequest++
      this.#pending.set(request, { worker: index, kind: question.kind, resolve })
      tell(this.#members[index], { ...question, request })
    })
  }

  /** Answers what a worker was asked and will not answer in time, if ever. */
  #giveUp(worker: number, kind: Question['kind']): void {
    for (const [request, pending] of this.#pending) {
      if (pending.worker !== worker || pending.kind !== kind) continue
      this.#pending.delete(request)
      pending.resolve(NO_ANSWER)
    }
  }

  /** Stops listening and resolves once the last connection has ended. */
  async drain(): Promise<void> {
    for (const member of this.#members) tell(member, { kind: 'drain' })
    await Promise.all(this.#members.map((member) => member.exited))
  }

  /** Ends every connection at once; returns when no worker is inside the kernel any more, unless one is stuck. */
  stopNow(): void {
    this.#watchdog.stop()
    for (const member of this.#members) tell(member, { kind: 'stop' })
    for (const member of this.#members) Atomics.wait(member.acknowledged, 0, 0, ACKNOWLEDGE_MS)
  }

  readonly #receive = (message: FromWorker): void => {
    if (message.kind === 'log') return this.#log(message.level, message.message, message.fields)
    this.#pending.get(message.request)?.resolve(message)
    this.#pending.delete(message.request)
  }
}

/** Where there are fewer inherited sockets than workers, some workers serve one queue together. */
function openOrAdopt({ endpoint, liveness, inheritedFds }: ListenOptions, worker: number): number {
  if (inheritedFds.length === 0) return openListener(endpoint, liveness)
  return adoptListener(inheritedFds[worker % inheritedFds.length], liveness)
}

function startMember<Options extends RoleOptions>(
  options: WorkerPoolOptions<Options>,
  workerIndex: number,
  totals: Pick<WorkerData, 'openTotal' | 'flowTotal'>,
  receive: (message: FromWorker) => void,
): Member {
  const wakeupFd = openWakeup()
  const counters = new Counters()
  const acknowledged = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const pulse = makePulse()
  const workerData: WorkerData = {
    workerIndex,
    limits: options.limits,
    workers: options.workers,
    wakeupFd,
    counters: counters.shared,
    ...totals,
    acknowledged,
    pulse,
    warmsUp: options.warmsUp,
    role: options.role,
  }
  const worker = new Worker(options.entry, {
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  })
  worker.on('message', receive)
  worker.on('error', (error) => {
    // The thread is gone: nobody will acknowledge for it.
    Atomics.store(acknowledged, 0, 1)
    options.onFatal(asError(error))
  })
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => resolve())
  })
  return { worker, wakeupFd, counters, acknowledged, pulse, exited }
}

function tell<Options extends RoleOptions>(member: Member, message: ToWorker<Options>): void {
  member.worker.postMessage(message)
  wake(member.wakeupFd)
}
