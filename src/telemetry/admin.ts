import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { messageOf } from '../text/error-message.ts'
import type { AgentStatus } from './agent-status.ts'
import type { EdgeControl } from './edge-status.ts'
import { type ListenAddress, listenOn } from './listen.ts'
import type { LogFields } from './log.ts'
import { isLoopbackName } from './loopback-name.ts'
import { PacedAnswers } from './paced-answers.ts'
import type { Metrics } from './registry.ts'

/** Fewer than the descriptors that are kept back for it and the rest of the process; those beyond are closed. */
const CONNECTIONS_MAX = 24
/** For whoever connects and says nothing. */
const HEADERS_TIMEOUT_MS = 5_000
const PAGES = ['/metrics', '/healthz', '/readyz']
const EDGE_PAGES = '/status, /why?client=ADDRESS and, with POST, /backends/NAME/drain and /backends/NAME/enable'
const WHY_PATH = /^\/why(\?|$)/
const STEER_PATH = /^\/backends\/(.+)\/(drain|enable)$/

/** Connections of one answer. */
const LIST_MAX = 1_000
/** For whoever asks to take the answer. */
const SEND_TIMEOUT_MS = 30_000
const LIST_REFUSED = text(
  400,
  `Give /connections?limit=N, at most ${LIST_MAX}; the header Link of an answer names the page behind it`,
)

type ConnectionList = { readonly connections: readonly LogFields[]; readonly next: string | undefined }

/** What the admin server shows. */
export type AdminSource = {
  readonly metrics: Metrics
  /** Whether new connections or requests are accepted. */
  isReady(): boolean
  /** What keeps this process from serving although it lives; undefined: nothing. */
  problem?(): string | undefined
  /**
   * Only where connections are relayed: so many at most of those that are open now, as plain data, and what to give as
   * `after` for those behind; undefined: `after` is none.
   */
  readonly connections?: ((countMax: number, after?: string) => Promise<ConnectionList | undefined>) | undefined
  /** Only where an edge is served: the edge, or undefined as long as it has not come up. */
  readonly edge?: (() => EdgeControl | undefined) | undefined
  /** Only where an agent is served: its status, or undefined as long as it has not come up. */
  readonly agentStatus?: (() => AgentStatus | undefined) | undefined
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` (the process and its workers live) and `/readyz` (it accepts
 * connections); of an edge and an agent also `/connections` (those that are open, JSON) and `/status` (JSON); of an edge
 * also `/why` (JSON), `POST /backends/NAME/drain` and `enable`.
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
      (error: unknown) => send(response, text(500, messageOf(error))),
    )
  })
  server.maxConnections = CONNECTIONS_MAX
  server.unref()
  // The new process of an upgrade takes the socket over from the old one.
  await listenOn(server, address, 'The admin server', 'taken over')
  return server
}

type Reply = {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
  /** The rest is at this address. */
  readonly next?: string
}

class AdminAnswers {
  readonly #source: AdminSource
  /** What may take long: nobody who asks may take the time of health checks, or of clients. */
  readonly #paced = new PacedAnswers<Reply>()

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
    const problem = this.#source.problem?.()
    switch (url) {
      case '/metrics':
        return this.#paced.take(url, async () => bytes(metrics.contentType, await metrics.text()))
      case '/healthz':
        return problem === undefined ? text(200, 'ok') : text(503, problem)
      case '/readyz':
        if (!this.#source.isReady()) return text(503, 'draining')
        return problem === undefined ? text(200, 'ready') : text(503, problem)
      case '/status':
        if (edge !== undefined) return this.#paced.take(url, () => statusReply(edge()))
        if (agentStatus !== undefined) return this.#paced.take(url, () => agentReply(agentStatus()))
        break
    }
    if (edge !== undefined && WHY_PATH.test(url)) return whyReply(edge(), url)
    if (connections !== undefined && /^\/connections(\?|$)/.test(url)) {
      const list = readList(url)
      return list === undefined ? LIST_REFUSED : this.#paced.take(url, () => listReply(list, connections))
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

type ListQuery = { readonly limit: number; readonly after: string | undefined }

/** Of `/connections?limit=N&after=PLACE`; undefined: that cannot be read. */
function readList(url: string): ListQuery | undefined {
  const query = new URLSearchParams(url.slice('/connections'.length))
  const limit = query.get('limit') ?? `${LIST_MAX}`
  const isKnown = [...query.keys()].every((key) => key === 'limit' || key === 'after')
  const count = /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  return isKnown && count > 0 && count <= LIST_MAX
    ? { limit: count, after: query.get('after') ?? undefined }
    : undefined
}

async function listReply(
  { limit, after }: ListQuery,
  connections: NonNullable<AdminSource['connections']>,
): Promise<Reply> {
  const list = await connections(limit, after)
  if (list === undefined) return LIST_REFUSED
  const reply = bytes('application/json', `${JSON.stringify(list.connections)}\n`)
  return list.next === undefined ? reply : { ...reply, next: `/connections?limit=${limit}&after=${list.next}` }
}

function statusReply(edge: EdgeControl | undefined): Reply {
  return edge === undefined
    ? json(503, { error: 'The edge is starting; ask again' })
    : bytes('application/json', `${JSON.stringify(edge.status())}\n`)
}

function whyReply(edge: EdgeControl | undefined, url: string): Reply {
  if (edge === undefined) return statusReply(edge)
  const query = new URLSearchParams(url.slice('/why'.length))
  const answer = edge.why({ client: query.get('client') ?? '', frontend: query.get('frontend') ?? undefined })
  return answer.kind === 'refused' ? json(400, { error: answer.problem }) : json(200, answer)
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
      return json(404, {
        error: `There is no backend "${name}"; ${wordsOf(result.backends)}`,
        backends: result.backends,
      })
    case 'ambiguous':
      return json(409, {
        error: `"${name}" is more than one backend; name one in full: ${result.backends.join(', ')}`,
        backends: result.backends,
      })
  }
}

function wordsOf(backends: readonly string[]): string {
  return backends.length === 0 ? 'there are none' : `give an address, or one of ${backends.join(', ')}`
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

/** One copy for all who get it. */
function bytes(type: string, body: string): Reply {
  return { status: 200, type, body: Buffer.from(body) }
}

function send(response: ServerResponse, { status, type, body, next }: Reply): void {
  response.writeHead(status, { 'content-type': type, ...(next === undefined ? {} : { link: `<${next}>; rel="next"` }) })
  const timer = setTimeout(() => response.destroy(), SEND_TIMEOUT_MS).unref()
  response.once('close', () => clearTimeout(timer))
  response.end(body)
}
