import { setTimeout as sleep } from 'node:timers/promises'
import { formatEndpoint } from '../address/endpoint.ts'
import type { ConnectionLimits } from '../dataplane/event-loop.ts'
import { inheritedFor, type Program, type ProgramContext, refuseStrayed } from '../dataplane/program.ts'
import type { Timeouts } from '../dataplane/service.ts'
import { WorkerPool } from '../dataplane/worker-pool.ts'
import { TlsServer, type TlsServerOptions } from '../tls/server.ts'
import { TICKET_ROTATION_MS, TicketKeys } from '../tls/ticket-keys.ts'
import type { EdgeRoleOptions } from './edge-role.ts'
import { type HealthCheckOptions, HealthChecks } from './health-check.ts'

/** How long the first round of health checks may hold up listening (decision D11). */
const FIRST_ROUND_MS = 1_000

/** The install configuration of an edge in its one-line form. */
export type EdgeOptions = Omit<EdgeRoleOptions, 'healthy'> & {
  readonly workers: number
  readonly limits: ConnectionLimits
  readonly timeouts: Timeouts
  /** TLS is terminated here; null: what clients send is passed on as it is. */
  readonly tls: Omit<TlsServerOptions, 'tickets'> | null
  readonly healthCheck: HealthCheckOptions
}

/**
 * Starts an edge: probes its backends, opens its port after the first round, and serves until told otherwise.
 *
 * @throws SystemCallError when the port cannot be opened, TlsOptionsError or CertificateError when there can be no TLS;
 *   nothing is left running then
 */
export async function startEdge(options: EdgeOptions, context: ProgramContext): Promise<Program> {
  const { log } = context
  const { workers, limits, timeouts, healthCheck, tls, ...role } = options
  const { backends, listen, liveness } = options
  const keys = new TicketKeys()
  const rotation = setInterval(() => keys.rotate(), TICKET_ROTATION_MS).unref()
  const served = tls === null ? null : { ...tls, tickets: keys.table }
  // Workers make the same later: what is wrong with it is said here.
  if (served !== null) new TlsServer(served).retire()
  const healthy = new Int32Array(new SharedArrayBuffer(backends.length * Int32Array.BYTES_PER_ELEMENT))
  const checks = new HealthChecks(backends, healthy, healthCheck, log)
  await Promise.race([checks.start(), sleep(FIRST_ROUND_MS, undefined, { ref: false })])
  const pool = new WorkerPool<EdgeRoleOptions>({
    entry: new URL('./worker.js', import.meta.url),
    workers,
    limits,
    log,
    onFatal: context.onFatal,
  })
  const stopNow = (): void => {
    clearInterval(rotation)
    checks.stop()
    pool.stopNow()
  }
  const program: Program = {
    reload: () => log('info', 'Nothing to reload: this edge is configured by its command line'),
    async drain() {
      await pool.drain()
      checks.stop()
    },
    stopNow,
    respond: () => pool.respond(),
    read: (slot) => pool.read(slot),
    connections: () => pool.connections(),
  }
  context.onWorkers(program)
  try {
    refuseStrayed(context.inherited, [listen])
    const inheritedFds = inheritedFor(listen, context.inherited)
    pool.listen(
      'frontend',
      { endpoint: listen, liveness, inheritedFds },
      { timeouts, tls: served, roleOptions: { ...role, healthy } },
    )
  } catch (error) {
    stopNow()
    throw error
  }
  // Clients can connect by now; they are served once the threads have come up.
  await pool.respond()
  log('info', 'listening', {
    listen: formatEndpoint(listen),
    backends: backends.map(formatEndpoint),
    proxyHeader: options.proxyHeader,
    workers,
  })
  return program
}
