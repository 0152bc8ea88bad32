import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { Limits } from '../dataplane/event-loop.ts'
import type { Program, ProgramContext } from '../dataplane/program.ts'
import { WorkerPool } from '../dataplane/worker-pool.ts'
import type { EdgeRoleOptions } from './edge-role.ts'
import { type HealthCheckOptions, HealthChecks } from './health-check.ts'

/** How long the first round of health checks may hold up listening (decision D11). */
const FIRST_ROUND_MS = 1_000

/** The install configuration of an edge in its one-line form. */
export type EdgeOptions = Omit<EdgeRoleOptions, 'healthy'> & {
  readonly workers: number
  readonly limits: Limits
  readonly healthCheck: HealthCheckOptions
}

/**
 * Starts an edge: probes its backends, opens its port after the first round, and serves until told otherwise.
 *
 * @throws SystemCallError when the port cannot be opened; nothing is left running then
 */
export async function startEdge(options: EdgeOptions, context: ProgramContext): Promise<Program> {
  const { log } = context
  const { workers, limits, healthCheck, ...role } = options
  const { backends } = options
  const healthy = new Int32Array(new SharedArrayBuffer(backends.length * Int32Array.BYTES_PER_ELEMENT))
  const checks = new HealthChecks(backends, healthy, healthCheck, log)
  await Promise.race([checks.start(), sleep(FIRST_ROUND_MS, undefined, { ref: false })])
  const pool = startPool()
  log('info', 'listening', {
    listen: formatEndpoint(options.listen),
    backends: backends.map((backend: Endpoint) => formatEndpoint(backend)),
    proxyHeader: options.proxyHeader,
    workers,
  })

  return {
    reload: () => log('info', 'Nothing to reload: this edge is configured by its command line'),
    async drain() {
      await pool.drain()
      checks.stop()
    },
    stopNow() {
      checks.stop()
      pool.stopNow()
    },
    read: (slot) => pool.read(slot),
  }

  function startPool(): WorkerPool<EdgeRoleOptions> {
    try {
      return new WorkerPool<EdgeRoleOptions>({
        entry: new URL('./worker.js', import.meta.url),
        workers,
        listen: [options.listen],
        liveness: options.liveness,
        limits,
        roleOptions: { ...role, healthy },
        log,
        onFatal: context.onFatal,
      })
    } catch (error) {
      checks.stop()
      throw error
    }
  }
}
