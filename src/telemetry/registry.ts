import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { AdminSource } from './admin.ts'
import { EDGE_METRICS, type EdgeMetric, type Sample } from './edge-metrics.ts'
import type { EdgeStatus } from './edge-status.ts'
import { LOG_DROPPED, METRICS, type Metric } from './metrics.ts'

/**
 * Makes the registry that `/metrics` shows: every metric there is, with values as of the moment when they are asked for.
 *
 * @param status what the metrics of an edge are read from; undefined: they have no values yet
 */
export function makeRegistry(source: AdminSource, status: () => EdgeStatus | undefined): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const metric of Object.values<Metric>(METRICS)) register(registry, metric, source)
  if (source.edge !== undefined) for (const metric of EDGE_METRICS) registerEdgeMetric(registry, metric, status)
  new Counter({
    ...LOG_DROPPED,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(source.droppedRecords())
    },
  })
  return registry
}

/** The values live in the workers' shared memory; they are copied over when somebody asks. */
function register(registry: Registry, metric: Metric, source: AdminSource): void {
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

function registerEdgeMetric(registry: Registry, metric: EdgeMetric, status: () => EdgeStatus | undefined): void {
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
