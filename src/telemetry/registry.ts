import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { EDGE_METRICS } from './edge-metrics.ts'
import type { EdgeControl, EdgeStatus } from './edge-status.ts'
import { BUILD_INFO, LOG_DROPPED, METRICS, type Metric, WORKER_STALLS, WORKER_UP } from './metrics.ts'
import type { Sample, StatusMetric } from './status-metric.ts'

/** What `/metrics` answers. */
export type Metrics = {
  readonly contentType: string
  /** Every metric there is, with values as of now. */
  text(): Promise<string>
}

/** What the metrics of a data plane are read from. */
export type DataPlaneSource = {
  /** The value of a slot of `METRICS`. */
  read(slot: number): number
  /** Records that the log has dropped. */
  droppedRecords(): number
  /** Of truepeer. */
  readonly version: string
  /** How many workers there are, which of them are stuck, and how often one was. */
  liveness(): { readonly workers: number; readonly stuck: readonly number[]; readonly stalls: number }
  /** Only where an edge is served: the edge, or undefined as long as it has not come up. */
  readonly edge?: (() => EdgeControl | undefined) | undefined
}

/** Makes the metrics of an edge or an agent. */
export function dataPlaneMetrics(source: DataPlaneSource): Metrics {
  const registry = new Registry()
  /** For the metrics of one scrape. */
  let status: EdgeStatus | undefined
  collectDefaultMetrics({ register: registry })
  for (const metric of Object.values<Metric>(METRICS)) register(registry, metric, source)
  if (source.edge !== undefined) for (const metric of EDGE_METRICS) registerStatusMetric(registry, metric, () => status)
  registerTotal(registry, LOG_DROPPED, () => source.droppedRecords())
  registerBuildInfo(registry, source.version)
  registerLiveness(registry, source)
  return {
    contentType: registry.contentType,
    text: () => {
      status = source.edge?.()?.status()
      return registry.metrics()
    },
  }
}

/** Adds the metric that says what is running. */
export function registerBuildInfo(registry: Registry, version: string): void {
  const { labels, ...metric } = BUILD_INFO
  new Gauge({ ...metric, labelNames: [...labels], registers: [registry] }).labels(version, process.versions.node).set(1)
}

/** Adds a counter without labels, whose value is kept elsewhere. */
export function registerTotal(
  registry: Registry,
  metric: { readonly name: string; readonly help: string },
  total: () => number,
): void {
  new Counter({
    ...metric,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(total())
    },
  })
}

function registerLiveness(registry: Registry, { liveness }: DataPlaneSource): void {
  new Gauge({
    name: WORKER_UP.name,
    help: WORKER_UP.help,
    labelNames: [...WORKER_UP.labels],
    registers: [registry],
    collect() {
      const { workers, stuck } = liveness()
      for (let worker = 0; worker < workers; worker++) this.set({ worker }, stuck.includes(worker) ? 0 : 1)
    },
  })
  registerTotal(registry, WORKER_STALLS, () => liveness().stalls)
}

/** The values live in the workers' shared memory; they are copied over when somebody asks. */
function register(registry: Registry, metric: Metric, source: DataPlaneSource): void {
  const labelNames = metric.label === '' ? [] : [metric.label]
  const labels = (value: string): Record<string, string> => (metric.label === '' ? {} : { [metric.label]: value })
  const configuration = { name: metric.name, help: metric.help, labelNames, registers: [registry] }
  if (metric.kind === 'gauge') {
    new Gauge({
      ...configuration,
      collect() {
        for (const [value, slot] of Object.entries(metric.slots)) this.set(labels(value), source.read(slot))
      },
    })
    return
  }
  new Counter({
    ...configuration,
    collect() {
      this.reset()
      for (const [value, slot] of Object.entries(metric.slots)) this.inc(labels(value), source.read(slot))
    },
  })
}

/** Adds a metric that is read from a status; undefined: it has no values yet. */
export function registerStatusMetric<Status>(
  registry: Registry,
  metric: StatusMetric<Status>,
  status: () => Status | undefined,
): void {
  const { name, help, kind, labels } = metric
  const configuration = { name, help, labelNames: [...labels], registers: [registry] }
  const samples = (): Iterable<Sample> => {
    const current = status()
    return current === undefined ? [] : metric.samples(current)
  }
  if (kind === 'gauge') {
    new Gauge({
      ...configuration,
      collect() {
        this.reset()
        for (const [values, value] of samples()) this.labels(...values).set(value)
      },
    })
    return
  }
  new Counter({
    ...configuration,
    collect() {
      this.reset()
      for (const [values, value] of samples()) this.labels(...values).inc(value)
    },
  })
}
