import { unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import type { LogFields } from './log.ts'
import { LOG_DROPPED, METRICS, type Metric } from './metrics.ts'

/** Where the admin server listens. A TCP address must be loopback: there is no login. */
export type AdminAddress =
  | { readonly kind: 'tcp'; readonly endpoint: Endpoint }
  | { readonly kind: 'unix'; readonly path: string }

/** What the admin server shows. */
export type AdminSource = {
  /** The value of a slot of {@link METRICS}. */
  read(slot: number): number
  /** Records that the log has dropped. */
  droppedRecords(): number
  /** The connections that are open now, as plain data. */
  connections(): Promise<readonly LogFields[]>
  /** Whether new connections are accepted. */
  isReady(): boolean
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` (the process lives), `/readyz` (it accepts
 * connections) and `/connections` (those that are open, JSON).
 *
 * @throws when the address cannot be listened on
 */
export async function startAdmin(address: AdminAddress, source: AdminSource): Promise<Server> {
  const registry = makeRegistry(source)
  const server = createServer((request, response) => {
    void answer(request, registry, source).then(
      (reply) => send(response, reply),
      (error: unknown) => send(response, { status: 500, type: 'text/plain', body: `${String(error)}\n` }),
    )
  })
  server.unref()
  await listen(server, address)
  return server
}

type Reply = { readonly status: number; readonly type: string; readonly body: string }

async function answer(request: IncomingMessage, registry: Registry, source: AdminSource): Promise<Reply> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: 'text/plain', body: 'Only GET is answered here\n' }
  }
  switch (request.url) {
    case '/metrics':
      return { status: 200, type: registry.contentType, body: await registry.metrics() }
    case '/healthz':
      return { status: 200, type: 'text/plain', body: 'ok\n' }
    case '/readyz':
      return source.isReady()
        ? { status: 200, type: 'text/plain', body: 'ready\n' }
        : { status: 503, type: 'text/plain', body: 'draining\n' }
    case '/connections':
      return { status: 200, type: 'application/json', body: `${JSON.stringify(await source.connections())}\n` }
    default:
      return { status: 404, type: 'text/plain', body: 'Here are /metrics, /healthz, /readyz and /connections\n' }
  }
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': reply.type })
  response.end(reply.body)
}

function makeRegistry(source: AdminSource): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const metric of Object.values<Metric>(METRICS)) register(registry, metric, source)
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

async function listen(server: Server, address: AdminAddress): Promise<void> {
  if (address.kind === 'unix') removeSocket(address.path)
  const where =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: formatIpAddress(address.endpoint.address), port: address.endpoint.port }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const name = address.kind === 'unix' ? address.path : formatEndpoint(address.endpoint)
      reject(new Error(`The admin server cannot listen on "${name}": ${cause.message}`, { cause }))
    })
    // Owner only, from the first moment: the mask of the process decides the mode of a socket (unix(7)).
    const mask = process.umask(0o177)
    server.listen(where, resolve)
    process.umask(mask)
  })
}

/** A socket that a killed process left behind would make listening fail. */
function removeSocket(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Nothing was there; anything else shows up when listening.
  }
}
