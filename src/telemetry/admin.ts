import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AgentStatus } from './agent-status.ts'
import type { EdgeControl } from './edge-status.ts'
import { type ListenAddress, listenOn } from './listen.ts'
import type { LogFields } from './log.ts'
import { isLoopbackName } from './loopback-name.ts'
import type { Metrics } from './registry.ts'

/** Fewer than the descriptors that are kept back for it and the rest of the process; those beyond are closed. */
const CONNECTIONS_MAX = 24
/** For whoever connects and says nothing. */
const HEADERS_TIMEOUT_MS = 5_000
const PAGES = ['/metrics', '/healthz', '/readyz']
const EDGE_PAGES = '/status and, with POST, /backends/NAME/drain and /backends/NAME/enable'
const STEER_PATH = /^\/backends\/(.+)\/(drain|enable)$/

/** What the admin server shows. */
export type AdminSource = {
  readonly metrics: Metrics
  /** Whether new connections or requests are accepted. */
  isReady(): boolean
  /** Only where connections are relayed: those that are open now, as plain data. */
  readonly connections?: (() => Promise<readonly LogFields[]>) | undefined
  /** Only where an edge is served: the edge, or undefined as long as it has not come up. */
  readonly edge?: (() => EdgeControl | undefined) | undefined
  /** Only where an agent is served: its status, or undefined as long as it has not come up. */
  readonly agentStatus?: (() => AgentStatus | undefined) | undefined
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` (the process lives) and `/readyz` (it accepts connections); of an edge
 * and an agent also `/connections` (those that are open, JSON); and `/status` (JSON); of an edge also `POST
 * /backends/NAME/drain` and `enable`.
 *
 * @param address of TCP only loopback: there is no login
 * @throws Error with its remedy when the address cannot be listened on
 */
export async function startAdmin(address: ListenAddress, source: AdminSource): Promise<Server> {
  const answers = new AdminAnswers(source)
  const limits = { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: HEADERS_TIMEOUT_MS }
  const server = createServer(limits, (request, response) => {
    // A browser cannot be made to ask on a UNIX socket.
    const refusal = address.kind === 'tcp' ? foreignRequest(request) : undefined
    // Nothing is expected behind the headers.
    request.resume()
    if (refusal !== undefined) return send(response, text(403, refusal))
    void answers.answer(request.method ?? '', request.url ?? '').then(
      (reply) => send(response, reply),
      (error: unknown) => send(response, text(500, String(error))),
    )
  })
  server.maxConnections = CONNECTIONS_MAX
  server.unref()
  // The new process of an upgrade takes the socket over from the old one.
  await listenOn(server, address, 'The admin server', 'taken over')
  return server
}

type Reply = { readonly status: number; readonly type: string; readonly body: string }

class AdminAnswers {
  readonly #source: AdminSource

  constructor(source: AdminSource) {
    this.#source = source
  }

  async answer(method: string, url: string): Promise<Reply> {
    const { edge, agentStatus, metrics, connections } = this.#source
    const steered = edge === undefined ? null : STEER_PATH.exec(url)
    if (edge !== undefined && steered !== null) {
      return method === 'POST' ? steer(edge(), steered[1], steered[2]) : text(405, 'Only POST is answered here')
    }
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'Only GET is answered here')
    switch (url) {
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.text() }
      case '/healthz':
        return text(200, 'ok')
      case '/readyz':
        return this.#source.isReady() ? text(200, 'ready') : text(503, 'draining')
      case '/connections':
        if (connections !== undefined) return json(200, await connections())
        break
      case '/status':
        if (edge !== undefined) return statusReply(edge())
        if (agentStatus !== undefined) return agentReply(agentStatus())
        break
    }
    const pages = [
      ...PAGES,
      ...(connections === undefined ? [] : ['/connections']),
      ...(agentStatus === undefined ? [] : ['/status']),
      ...(edge === undefined ? [] : [EDGE_PAGES]),
    ]
    return text(404, `Here are ${pages.join(', ')}`)
  }
}

function statusReply(edge: EdgeControl | undefined): Reply {
  return edge === undefined ? json(503, { error: 'The edge is starting; ask again' }) : json(200, edge.status())
}

function agentReply(status: AgentStatus | undefined): Reply {
  return status === undefined ? json(503, { error: 'The agent is starting; ask again' }) : json(200, status)
}

function steer(edge: EdgeControl | undefined, encodedName: string, action: string): Reply {
  if (edge === undefined) return statusReply(edge)
  const name = decoded(encodedName)
  const result = edge.steer(name, action === 'drain' ? 'drain' : 'enable')
  switch (result.kind) {
    case 'done':
      return json(200, { backend: result.backend, availability: result.availability, open: result.open })
    case 'unknown':
      return json(404, { error: `There is no backend "${name}"; "/status" lists them, as service/group/backend` })
    case 'ambiguous':
      return json(409, { error: `"${name}" is more than one backend; name one in full`, backends: result.backends })
  }
}

/** Slashes in a name may be encoded or not. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/**
 * Says why a request may come from a web page, and so not from the operator: undefined when it may not.
 *
 * A page of another site can make a browser ask here: its requests carry an Origin, or, when its name was made to lead
 * to this address (DNS rebinding), the name of that site as Host.
 */
function foreignRequest({ headers: { origin, host } }: IncomingMessage): string | undefined {
  if (origin !== undefined) return 'Requests from web pages (with an Origin) are not answered'
  if (host !== undefined && !isLoopbackName(host)) {
    return `"${host.slice(0, 80)}" is not a name of this server; use 127.0.0.1, [::1] or localhost`
  }
  return undefined
}

function text(status: number, body: string): Reply {
  return { status, type: 'text/plain', body: `${body}\n` }
}

function json(status: number, value: unknown): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': reply.type })
  response.end(reply.body)
}
