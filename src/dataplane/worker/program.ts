import { type Endpoint, formatEndpoint, isSameEndpoint } from '../../address/endpoint.ts'
import type { AgentStatus } from '../../telemetry/agent-status.ts'
import type { Log } from '../../telemetry/log.ts'
import type { OpenConnection } from '../connection/report.ts'

/** A running edge or agent, as the program's entry holds it. */
export type Program = {
  /** Applies what has changed in the configuration files (SIGHUP); keeps what was there on any error. Never rejects. */
  reload(): void | Promise<void>
  /** Accepts what is queued, stops listening and resolves when the last connection has ended. */
  drain(): Promise<void>
  /** Ends everything at once; afterwards the process can exit, unless a worker is stuck. */
  stopNow(): void
  /** The sum of a counter (a slot of `METRICS`) over all workers. */
  read(slot: number): number
  /** Only of an agent: what its `/status` shows. */
  agentStatus?(): AgentStatus
  liveness(): WorkerLiveness
  /** So many of the connections that are open now; see `WorkerPool.connections`. */
  connections(countMax: number, after?: string): Promise<ConnectionPage | undefined>
}

/** Some of the open connections. */
export type ConnectionPage = {
  readonly connections: readonly OpenConnection[]
  /** What to give for those behind; undefined: there are none. */
  readonly next: string | undefined
}

/** What becomes of workers that do not come round any more. */
export type WorkerWatch = {
  /** For so long a worker may give no sign of life, in milliseconds. */
  readonly timeoutMs: number
  /** The process is aborted then, for a core dump and a restart. */
  readonly aborts: boolean
}

/** What a watchdog is told of this. */
export function watchdogOf({ timeoutMs, aborts }: WorkerWatch, { abort }: Pick<ProgramContext, 'abort'>) {
  const onStuck = (worker: number): void =>
    abort(new Error(`Worker ${worker} is stuck: it has not answered for ${timeoutMs} ms`))
  return { timeoutMs, onStuck: aborts ? onStuck : undefined }
}

/** Which workers are stuck, from 0 on, and how often one was. */
export type WorkerLiveness = { readonly workers: number; readonly stuck: readonly number[]; readonly stalls: number }

/** A listening socket that was passed to the process, and where it listens. */
export type InheritedSocket = { readonly fd: number; readonly endpoint: Endpoint }

/** The inherited sockets that listen on `endpoint`. */
export function inheritedFor(endpoint: Endpoint, inherited: readonly InheritedSocket[]): number[] {
  return inherited.filter((socket) => isSameEndpoint(socket.endpoint, endpoint)).map(({ fd }) => fd)
}

/** Where inherited sockets listen that nobody asks for, each once. */
export function strayedSockets(inherited: readonly InheritedSocket[], endpoints: readonly Endpoint[]): string[] {
  const strayed = inherited.filter((socket) => !endpoints.some((endpoint) => isSameEndpoint(endpoint, socket.endpoint)))
  return [...new Set(strayed.map(({ endpoint }) => formatEndpoint(endpoint)))]
}

/** Refuses a socket that nobody asks for: a client of it would wait for ever. @throws Error */
export function refuseStrayed(inherited: readonly InheritedSocket[], endpoints: readonly Endpoint[]): void {
  const [where] = strayedSockets(inherited, endpoints)
  if (where === undefined) return
  throw new Error(
    `The service manager passed a socket on "${where}", but no listener has that address; make both the same`,
  )
}

/** What an edge or an agent gets from the program's entry. */
export type ProgramContext = {
  readonly log: Log
  /** Listening sockets that the service manager has opened and passed. */
  readonly inherited: readonly InheritedSocket[]
  /** Takes the program as soon as it has workers, before it is ready: the process cannot end without stopping them. */
  readonly onWorkers: (program: Program) => void
  /** Ends the process with status 1 after stopping everything. */
  readonly onFatal: (error: Error) => void
  /** Ends the process with SIGABRT, for a core dump. */
  readonly abort: (error: Error) => never
}
