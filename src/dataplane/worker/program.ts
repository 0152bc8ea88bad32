import { type Endpoint, formatEndpoint, isSameEndpoint, type Protocol } from '../../address/endpoint.ts'
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

/** Where clients come: the ports of TCP and those of UDP have nothing to do with each other. */
export type ServedPort = { readonly endpoint: Endpoint; readonly protocol: Protocol }

/** A port as logs and answers name it: `203.0.113.10:110`; one of UDP has `/udp` behind it. */
export function formatServedPort({ endpoint, protocol }: ServedPort): string {
  return protocol === 'udp' ? `${formatEndpoint(endpoint)}/udp` : formatEndpoint(endpoint)
}

/** A listening TCP socket, or a UDP socket, that was passed to the process. */
export type InheritedSocket = ServedPort & { readonly fd: number }

/** The inherited sockets of a port. */
export function inheritedFor(port: ServedPort, inherited: readonly InheritedSocket[]): number[] {
  return inherited.filter((socket) => isSamePort(socket, port)).map(({ fd }) => fd)
}

/** Of which ports there are inherited sockets that nobody asks for, each once. */
export function strayedSockets(inherited: readonly InheritedSocket[], ports: readonly ServedPort[]): string[] {
  const strayed = inherited.filter((socket) => !ports.some((port) => isSamePort(socket, port)))
  return [...new Set(strayed.map(({ endpoint, protocol }) => `${formatEndpoint(endpoint)}${SUFFIXES[protocol]}`))]
}

/** Refuses a socket that nobody asks for: a client of it would wait for ever. @throws Error */
export function refuseStrayed(inherited: readonly InheritedSocket[], ports: readonly ServedPort[]): void {
  const [where] = strayedSockets(inherited, ports)
  if (where === undefined) return
  throw new Error(
    `The service manager passed a socket on "${where}", but no listener has that address; make both the same`,
  )
}

const SUFFIXES: Readonly<Record<Protocol, string>> = { tcp: '', udp: ' (UDP)' }

function isSamePort(a: ServedPort, b: ServedPort): boolean {
  return a.protocol === b.protocol && isSameEndpoint(a.endpoint, b.endpoint)
}

/** What an edge or an agent gets from the program's entry. */
export type ProgramContext = {
  readonly log: Log
  /** Sockets that the service manager has opened and passed. */
  readonly inherited: readonly InheritedSocket[]
  /** Takes the program as soon as it has workers, before it is ready: the process cannot end without stopping them. */
  readonly onWorkers: (program: Program) => void
  /** Ends the process with status 1 after stopping everything. */
  readonly onFatal: (error: Error) => void
  /** Ends the process with SIGABRT, for a core dump. */
  readonly abort: (error: Error) => never
}
