import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client'
import {
  CONTROLLER_METRICS,
  CONTROLLER_REFUSED_CONNECTIONS,
  CONTROLLER_REQUESTS,
  CONTROLLER_SECONDS,
  type ControllerStatus,
  REFUSAL_REASONS,
  type RefusalReason,
} from './controller-metrics.ts'
import { LOG_DROPPED } from './metrics.ts'
import { type Metrics, registerBuildInfo, registerStatusMetric, registerTotal } from './registry.ts'

/** The metrics of a controller: what it counts while it answers, and what it is like when somebody asks. */
export class ControllerMetrics implements Metrics {
  readonly #registry = new Registry()
  readonly #requests: Counter
  readonly #seconds: Histogram
  readonly #refusedConnections: Counter
  readonly #status: () => ControllerStatus | undefined
  /** For the metrics of one scrape. */
  #current: ControllerStatus | undefined

  /** @param status undefined: it has not started yet, and its metrics have no values */
  constructor(status: () => ControllerStatus | undefined, droppedRecords: () => number, version: string) {
    this.#status = status
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = new Counter({ ...configurationOf(CONTROLLER_REQUESTS), registers })
    const buckets = [...CONTROLLER_SECONDS.buckets]
    this.#seconds = new Histogram({ ...configurationOf(CONTROLLER_SECONDS), buckets, registers })
    this.#refusedConnections = new Counter({ ...configurationOf(CONTROLLER_REFUSED_CONNECTIONS), registers })
    for (const reason of REFUSAL_REASONS) this.#refusedConnections.labels(reason).inc(0)
    for (const metric of CONTROLLER_METRICS) registerStatusMetric(this.#registry, metric, () => this.#current)
    registerTotal(this.#registry, LOG_DROPPED, droppedRecords)
    registerBuildInfo(this.#registry, version)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Counts an answer. @param method of a bounded set */
  answered(method: string, status: number, tookMs: number): void {
    this.#requests.labels(method, String(status)).inc()
    this.#seconds.labels(method).observe(tookMs / 1_000)
  }

  /** Counts a connection that was closed for want of a place. */
  refusedConnection(reason: RefusalReason): void {
    this.#refusedConnections.labels(reason).inc()
  }

  text(): Promise<string> {
    this.#current = this.#status()
    return this.#registry.metrics()
  }
}

type Described = { readonly name: string; readonly help: string; readonly labels: readonly string[] }

/** Only what prom-client knows: it would take any other field for one of its own. */
function configurationOf({ name, help, labels }: Described): { name: string; help: string; labelNames: string[] } {
  return { name, help, labelNames: [...labels] }
}
