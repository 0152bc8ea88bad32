import { setMaxListeners } from 'node:events'
// biome-ignore lint/style/noRestrictedImports: probes are few and run on the main thread, off the data path (D11)
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { type LoadReport, loadQuestion, parseLoadReport } from '../dataplane/load-report.ts'
import { sourceTowards } from '../linux/route.ts'
import type { Log } from '../telemetry/log.ts'
import { Availability } from './availability.ts'
import { afterProbe, type HealthState, type HealthThresholds, UNKNOWN_HEALTH } from './health-state.ts'

/** A TCP health check, with Compute Engine's fields. */
export type HealthCheckOptions = HealthThresholds & {
  /** From the start of one probe to the start of the next. */
  readonly checkIntervalMs: number
  /** For the backend to accept. */
  readonly timeoutMs: number
  /**
   * Backends are agents and are asked for the load of their host; one above this part of its processors (0 to 1) gets
   * connections only if all are. undefined: nobody is asked.
   */
  readonly maxUtilization: number | undefined
}

/** `discarded`: this process was too busy to tell, which says nothing about the backend. */
export type ProbeResult = 'success' | 'failure' | 'discarded'

const QUESTION = loadQuestion()

/** What a probe saw; `load` only of an agent that was asked. */
export type Probe = { readonly result: ProbeResult; readonly load?: LoadReport | undefined }

/** An answer is one short line. */
const ANSWER_LENGTH_MAX = 4_096
/** How late a timer may be before a missed deadline is our own fault (decision D11). */
const LAG_MS_MAX = 100

/** Probes every backend for ever, each on its own beat, and keeps its {@link Availability} up to date. */
export class HealthChecks {
  readonly #backends: readonly Endpoint[]
  readonly #availability: Int32Array
  readonly #options: HealthCheckOptions
  readonly #log: Log
  readonly #states: HealthState[]
  readonly #stop = new AbortController()
  /** Backends whose first state has been logged. */
  readonly #shown = new Set<number>()

  constructor(backends: readonly Endpoint[], availability: Int32Array, options: HealthCheckOptions, log: Log) {
    this.#backends = backends
    this.#availability = availability
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
    const { timeoutMs, maxUtilization } = this.#options
    const question = maxUtilization === undefined ? undefined : QUESTION
    const { result, load } = await probeTcp(this.#backends[index], timeoutMs, this.#stop.signal, question)
    if (result === 'discarded' || this.#stop.signal.aborted) return
    // An agent accepts whatever its app does; it says so itself.
    const hasSucceeded = result === 'success' && load?.app_listening !== false
    const state = afterProbe(this.#states[index], hasSucceeded, this.#options)
    this.#states[index] = state
    this.#show(index, availabilityOf(state, load, maxUtilization))
  }

  #show(index: number, availability: number): void {
    const before = Atomics.exchange(this.#availability, index, availability)
    const isFirst = !this.#shown.has(index)
    this.#shown.add(index)
    if (before === availability && !isFirst) return
    this.#log(availability === Availability.up ? 'info' : 'warn', 'backend health', {
      backend: formatEndpoint(this.#backends[index]),
      health: availability === Availability.down ? 'UNHEALTHY' : 'HEALTHY',
      isFull: availability === Availability.full ? true : undefined,
    })
  }
}

function availabilityOf(state: HealthState, load: LoadReport | undefined, maxUtilization: number | undefined): number {
  if (state.isHealthy !== true) return Availability.down
  const isFull = load !== undefined && maxUtilization !== undefined && load.cpu_utilization > maxUtilization
  return isFull ? Availability.full : Availability.up
}

/** Connects to `backend`, asks for its load if there is a `question`, and closes again. */
export async function probeTcp(
  backend: Endpoint,
  timeoutMs: number,
  signal: AbortSignal,
  question?: Uint8Array,
): Promise<Probe> {
  const first = await attempt(backend, timeoutMs, signal, question, undefined)
  if (first !== 'no-port') return first
  // All ephemeral ports are taken for connect(2); with an address bound first they can still be shared.
  const source = sourceTowards(backend)
  if (source === undefined) return { result: 'failure' }
  const second = await attempt(backend, timeoutMs, signal, question, formatIpAddress(source))
  return second === 'no-port' ? { result: 'discarded' } : second
}

function attempt(
  backend: Endpoint,
  timeoutMs: number,
  signal: AbortSignal,
  question: Uint8Array | undefined,
  localAddress: string | undefined,
): Promise<Probe | 'no-port'> {
  return new Promise((resolve) => {
    const deadlineMs = performance.now() + timeoutMs
    const host = formatIpAddress(backend.address)
    const socket = connect({ host, port: backend.port, ...(localAddress === undefined ? {} : { localAddress }) })
    const settle = (probe: Probe | 'no-port'): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(probe)
    }
    let isConnected = false
    const fail = (result: ProbeResult): void => settle({ result: isConnected ? 'success' : result })
    const abort = (): void => settle({ result: 'discarded' })
    const timer = setTimeout(() => {
      fail(performance.now() - deadlineMs > LAG_MS_MAX ? 'discarded' : 'failure')
    }, timeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    socket.once('connect', () => {
      if (question === undefined) return settle({ result: 'success' })
      // It has accepted; who does not answer is no agent, and its load is not known.
      isConnected = true
      readAnswer(socket, (answer) => settle({ result: 'success', load: parseLoadReport(answer) }))
      socket.write(question)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRNOTAVAIL' && !isConnected) settle('no-port')
      else fail('failure')
    })
  })
}

/** Calls `done` once with what the peer has sent when it ends or has sent too much. */
function readAnswer(socket: Socket, done: (answer: string) => void): void {
  let answer = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    answer += text
    if (answer.length > ANSWER_LENGTH_MAX) done('')
  })
  socket.once('end', () => done(answer))
}
