import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionPage, Program, ProgramContext, WorkerLiveness } from '../dataplane/worker/program.ts'
import { type AdminSource, startAdmin } from '../telemetry/admin.ts'
import type { EdgeControl } from '../telemetry/edge-status.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import { openLog } from '../telemetry/log.ts'
import { dataPlaneMetrics } from '../telemetry/registry.ts'
import { asError } from '../text/error-message.ts'
import { programVersion } from './program-version.ts'
import { findServiceManager, logForm } from './service-manager.ts'

/** What the life of the process depends on, beside the program itself. */
export type ServeOptions = {
  /** How long open connections may go on after SIGTERM, in milliseconds; 0: until they end. */
  readonly drainTimeoutMs: number
  readonly admin: ListenAddress | undefined
  /** Only for an edge: the edge, or undefined as long as it has not come up. */
  readonly edge?: (() => EdgeControl | undefined) | undefined
}

const NO_WORKERS: WorkerLiveness = { workers: 0, stuck: [], stalls: 0 }
const NO_CONNECTIONS: ConnectionPage = { connections: [], next: undefined }

/**
 * Runs an edge or an agent until a signal ends it.
 *
 * SIGTERM and SIGINT drain, a second one ends at once, both with status 0; SIGHUP reloads. An error nobody has caught
 * stops the workers before the process exits with status 1: a worker inside the kernel would keep it alive.
 */
export async function serve(
  options: ServeOptions,
  start: (context: ProgramContext) => Promise<Program>,
): Promise<void> {
  const { log, dropped, flush } = openLog(logForm())
  let program: Program | undefined
  const liveness = (): WorkerLiveness => program?.liveness() ?? NO_WORKERS
  const exit = (status: number): never => {
    const isStuck = liveness().stuck.length > 0
    program?.stopNow()
    flush()
    // Exiting waits for every thread.
    if (isStuck) process.kill(process.pid, 'SIGKILL')
    process.exit(status)
  }
  const abort = (error: Error): never => {
    log('fatal', error.message)
    flush()
    process.abort()
  }
  const onFatal = (error: Error): void => {
    log('fatal', error.message, { stack: error.stack })
    exit(1)
  }
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', (reason) => onFatal(asError(reason)))

  let isReady = false
  let running: Program | undefined
  const problem = (): string | undefined => {
    const { stuck } = liveness()
    return stuck.length === 0 ? undefined : `workers that do not answer: ${stuck.join(', ')}`
  }
  // Before the ports of clients: whoever has seen "listening" can ask for the metrics.
  if (options.admin !== undefined) {
    const read = (slot: number): number => program?.read(slot) ?? 0
    const connections: AdminSource['connections'] = async (countMax, after) =>
      program === undefined ? NO_CONNECTIONS : program.connections(countMax, after)
    const { edge } = options
    const agentStatus = edge === undefined ? () => running?.agentStatus?.() : undefined
    const metrics = dataPlaneMetrics({ read, droppedRecords: dropped, version: programVersion(), liveness, edge })
    await startAdmin(options.admin, { metrics, connections, problem, isReady: () => isReady, edge, agentStatus })
  }
  const service = findServiceManager(log)
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (!isReady || program === undefined) return exit(0)
    isReady = false
    service.tell('stopping')
    log('info', 'draining', { signal, drainTimeoutMs: options.drainTimeoutMs })
    const isDrained = await Promise.race([program.drain().then(() => true), timeout(options.drainTimeoutMs)])
    log('info', 'stopped', { drained: isDrained })
    exit(0)
  }
  process.on('SIGTERM', (signal) => void stop(signal))
  process.on('SIGINT', (signal) => void stop(signal))
  let isReloadDue = false
  const reload = async (): Promise<void> => {
    // Whoever sends SIGHUP during the start means the configuration that is there afterwards.
    isReloadDue = running === undefined
    if (running === undefined || !isReady) return
    service.tell('reloading')
    await running.reload()
    if (isReady) service.tell('ready')
  }
  process.on('SIGHUP', () => void reload())
  const onWorkers = (started: Program): void => {
    program = started
  }
  running = await start({ log, inherited: service.inherited, onWorkers, onFatal, abort })
  isReady = true
  service.tell('ready')
  service.watch(() => problem() === undefined)
  if (isReloadDue) await reload()
}

async function timeout(drainTimeoutMs: number): Promise<false> {
  if (drainTimeoutMs === 0) return new Promise(() => undefined)
  await sleep(drainTimeoutMs)
  return false
}
