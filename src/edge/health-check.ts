import { setMaxListeners } from 'node:events'
// biome-ignore lint/style/noRestrictedImports: probes are few and run on the main thread, off the data path (D11)
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { sourceTowards } from '../linux/route.ts'
import type { Log } from '../telemetry/log.ts'
import { afterProbe, type HealthState, type HealthThresholds, UNKNOWN_HEALTH } from './health-state.ts'

/** A TCP health check, with Compute Engine's fields. */
export type HealthCheckOptions = HealthThresholds & {
  /** From the start of one probe to the start of the next. */
  readonly checkIntervalMs: number
  /** For the backend to accept. */
  readonly timeoutMs: number
}

/** `discarded`: this process was too busy to tell, which says nothing about the backend. */
export type ProbeResult = 'success' | 'failure' | 'discarded'

/** How late a timer may be before a missed deadline is our own fault (decision D11). */
const LAG_MS_MAX = 100

/** Probes every backend for ever, each on its own beat, and keeps `healthy` up to date: 1 up, 0 down. */
export class HealthChecks {
  readonly #backends: readonly Endpoint[]
  readonly #healthy: Int32Array
  readonly #options: HealthCheckOptions
  readonly #log: Log
  readonly #states: HealthState[]
  readonly #stop = new AbortController()

  constructor(backends: readonly Endpoint[], healthy: Int32Array, options: HealthCheckOptions, log: Log) {
    this.#backends = backends
    this.#healthy = healthy
    this.#options = options
    this.#log = log
    this.#states = backends.map(() => UNKNOWN_HEALTH)
    // One listener per backend is no leak.
    setMaxListeners(0, this.#stop.signal)
  }

  /** Starts probing at once; resolves when every backend has been probed once. */
  async start(): Promise<void> {
    await Promise.all(
      this.#backends.map(async (_, index) => {
        const startedMs = performance.now()
        await this.#probe(index)
        void this.#repeat(index, performance.now() - startedMs)
      }),
    )
  }

  stop(): void {
    this.#stop.abort()
  }

  /** @param firstMs how long the first probe took */
  async #repeat(index: number, firstMs: number): Promise<void> {
    const { signal } = this.#stop
    let elapsedMs = firstMs
    while (!signal.aborted) {
      // Spread a little, so that the probes of many backends do not come as one burst.
      const intervalMs = this.#options.checkIntervalMs * (0.95 + Math.random() * 0.1)
      await sleep(Math.max(0, intervalMs - elapsedMs), undefined, { signal, ref: false }).catch(() => undefined)
      const startedMs = performance.now()
      await this.#probe(index)
      elapsedMs = performance.now() - startedMs
    }
  }

  async #probe(index: number): Promise<void> {
    if (this.#stop.signal.aborted) return
    const backend = this.#backends[index]
    const result = await probeTcp(backend, this.#options.timeoutMs, this.#stop.signal)
    if (result === 'discarded' || this.#stop.signal.aborted) return
    const before = this.#states[index]
    const after = afterProbe(before, result === 'success', this.#options)
    this.#states[index] = after
    if (before.isHealthy === after.isHealthy) return
    Atomics.store(this.#healthy, index, after.isHealthy === true ? 1 : 0)
    this.#log(after.isHealthy === true ? 'info' : 'warn', 'backend health', {
      backend: formatEndpoint(backend),
      health: after.isHealthy === true ? 'HEALTHY' : 'UNHEALTHY',
    })
  }
}

/** Connects to `backend` and closes again. */
export async function probeTcp(backend: Endpoint, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  const result = await attempt(backend, timeoutMs, signal, undefined)
  if (result !== 'no-port') return result
  // All ephemeral ports are taken for connect(2); with an address bound first they can still be shared.
  const source = sourceTowards(backend)
  if (source === undefined) return 'failure'
  const second = await attempt(backend, timeoutMs, signal, formatIpAddress(source))
  return second === 'no-port' ? 'discarded' : second
}

function attempt(
  backend: Endpoint,
  timeoutMs: number,
  signal: AbortSignal,
  localAddress: string | undefined,
): Promise<ProbeResult | 'no-port'> {
  return new Promise((resolve) => {
    const deadlineMs = performance.now() + timeoutMs
    const host = formatIpAddress(backend.address)
    const socket = connect({ host, port: backend.port, ...(localAddress === undefined ? {} : { localAddress }) })
    const settle = (result: ProbeResult | 'no-port'): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(result)
    }
    const abort = (): void => settle('discarded')
    const timer = setTimeout(() => {
      settle(performance.now() - deadlineMs > LAG_MS_MAX ? 'discarded' : 'failure')
    }, timeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    socket.once('connect', () => settle('success'))
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code === 'EADDRNOTAVAIL' ? 'no-port' : 'failure'))
  })
}
