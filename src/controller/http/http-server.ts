import type { IncomingMessage, Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { classifyAddress } from '../../address/address-class.ts'
import { formatEndpoint } from '../../address/endpoint.ts'
import { type ListenAddress, listenOn } from '../../telemetry/listen.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { errorBody } from '../model/api-error.ts'
import type { AnswerListener } from '../model/world.ts'
import type { Identity } from '../store/token.ts'
import type { Access, Door } from './door.ts'
import { logInternalError } from './internal-error.ts'
import { isOwnPath, type OwnRoutes } from './own-routes.ts'

/** As the requests of the API are bounded: 10 MiB. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024
/** For a client to send the whole of a request. */
const REQUEST_TIMEOUT_MS = 60_000
/** For the TLS handshake, and for the headers of a request, before anybody is known. */
const HEADERS_TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 4_096

/** A certificate chain and its key in PEM. */
export type TlsIdentity = { readonly cert: string; readonly key: string }

/** What stands behind the server. */
export type HttpServerOptions = {
  readonly address: ListenAddress
  /** For every address that is not loopback. */
  readonly tls: TlsIdentity | undefined
  readonly door: Door
  readonly api: { handle(request: ApiRequest): Promise<ApiResponse> }
  readonly ownRoutes: OwnRoutes
  /** Told of answers that are not of the API. */
  readonly onAnswer?: AnswerListener | undefined
  readonly log: Log
}

/** A server that answers. */
export type HttpServer = {
  /** What a client puts before a path: `http://127.0.0.1:8080`, `unix:/run/controller.sock`. */
  readonly url: string
  /** Uses another certificate from now on, for connections to come. */
  renewTls(tls: TlsIdentity): void
  /** Ends what is idle and stops listening; requests that are being answered are. */
  close(): Promise<void>
}

/** Whoever reaches this address may do everything. */
export function isTrustedAddress(address: ListenAddress): boolean {
  return address.kind === 'unix' || classifyAddress(address.endpoint.address) === 'loopback'
}

/** Serves the API on one address. @throws Error with its remedy when it cannot be listened on */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, tls } = options
  const access: Access = {
    scheme: tls === undefined ? 'http' : 'https',
    isTrusted: isTrustedAddress(address),
    isLoopback: address.kind === 'tcp' && isTrustedAddress(address),
  }
  const app = makeApp(tls)
  new Routes(options, access).addTo(app)
  await app.ready()
  const server = app.server as Server
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = HEADERS_TIMEOUT_MS
  await listenOn(server, address, 'The controller', 'kept')
  return {
    url: urlOf(server, address, access.scheme),
    renewTls: ({ cert, key }) => (app.server as unknown as TlsServer).setSecureContext({ cert, key }),
    close: () => app.close(),
  }
}

function makeApp(tls: TlsIdentity | undefined): FastifyInstance {
  const options = {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Ours says what is wrong in Google's form.
    frameworkErrors: (error: FastifyError, _request: FastifyRequest, reply: FastifyReply) => sendError(reply, error),
  } as const
  // How often it is looked for clients that are late.
  const checks = { connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2 }
  if (tls === undefined) return fastify({ ...options, http: checks })
  const https = { ...tls, ...checks, minVersion: 'TLSv1.2', handshakeTimeout: HEADERS_TIMEOUT_MS } as const
  return fastify({ ...options, https }) as unknown as FastifyInstance
}

class Routes {
  readonly #options: HttpServerOptions
  readonly #access: Access
  readonly #identities = new WeakMap<IncomingMessage, Identity>()

  constructor(options: HttpServerOptions, access: Access) {
    this.#options = options
    this.#access = access
  }

  addTo(app: FastifyInstance): void {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.addHook('onRequest', (request, reply, done) => {
      if (this.#letIn(request, reply)) done()
    })
    app.setErrorHandler<FastifyError>((error, request, reply) => this.#onError(error, request, reply))
    app.setNotFoundHandler((request, reply) => this.#answer(request, reply))
    app.all('/*', (request, reply) => this.#answer(request, reply))
  }

  /** Before the body is read. */
  #letIn({ raw, socket }: FastifyRequest, reply: FastifyReply): boolean {
    const { host, origin, authorization } = raw.headers
    const peerAddress = socket.remoteAddress ?? ''
    const entered = this.#options.door.enter({ host, origin, authorization, peerAddress }, this.#access)
    if (!('status' in entered)) {
      this.#identities.set(raw, entered)
      return true
    }
    const { status, reason, message } = entered
    this.#options.onAnswer?.('none', status, 0)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    // Whatever body may follow is not waited for.
    reply.header('connection', 'close')
    send(reply, { status, body: errorBody({ status, message, details: [{ message, reason }] }) })
    return false
  }

  async #answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { raw } = request
    const identity = this.#identities.get(raw)
    if (identity === undefined) throw new Error('A request came in without passing the door')
    const [path, query = ''] = splitOnce(raw.url ?? '/', '?')
    const rawBody = request.body instanceof Uint8Array ? request.body : new Uint8Array(0)
    const asked = {
      method: request.method,
      path,
      query: new URLSearchParams(query),
      body: parseJson(rawBody),
    }
    if (isOwnPath(path)) {
      const beganMs = performance.now()
      const answer = await this.#options.ownRoutes.answer({ ...asked, identity, stream: () => takeOver(reply) })
      if (answer === undefined) return
      this.#options.onAnswer?.('truepeer', answer.status, performance.now() - beganMs)
      send(reply, answer)
      return
    }
    const { user, role } = identity
    if (role === 'edge' || role === 'agent') {
      this.#options.onAnswer?.('none', 403, 0)
      return send(reply, forbidden(role))
    }
    const contentType = raw.headers['content-type'] ?? ''
    const baseUrl = `${this.#access.scheme}://${raw.headers.host ?? 'localhost'}`
    send(reply, await this.#options.api.handle({ ...asked, rawBody, contentType, baseUrl, user, role }))
  }

  #onError(error: FastifyError, { raw, method }: FastifyRequest, reply: FastifyReply): void {
    const [path] = splitOnce(raw.url ?? '/', '?')
    if ((error.statusCode ?? 500) >= 500) logInternalError(this.#options.log, error, { method, path })
    this.#options.onAnswer?.('none', statusOf(error), 0)
    sendError(reply, error)
  }
}

function forbidden(role: string): ApiResponse {
  const message = `A token of the role ${role} may only follow the configuration; use one of viewer, operator or admin`
  return { status: 403, body: errorBody({ status: 403, message, details: [{ message, reason: 'forbidden' }] }) }
}

/** What went wrong before a request was complete, or inside of us. */
function sendError(reply: FastifyReply, error: FastifyError): void {
  const status = statusOf(error)
  const [reason, message] = describeError(status, error.message)
  send(reply, { status, body: errorBody({ status, message, details: [{ message, reason }] }) })
}

function statusOf({ statusCode = 500 }: FastifyError): number {
  return statusCode >= 400 && statusCode < 500 ? statusCode : 500
}

function describeError(status: number, cause: string): readonly [reason: string, message: string] {
  if (status === 413) return ['uploadTooLarge', `The request is larger than the limit of ${BODY_BYTES_MAX} bytes`]
  // What happened inside is in the log only.
  return status === 500 ? ['internalError', 'Internal error'] : ['badRequest', cause]
}

function send(reply: FastifyReply, response: ApiResponse): void {
  reply.code(response.status).headers({
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  })
  if (response.status === 204) void reply.send()
  else if ('bytes' in response) void reply.type(response.contentType).send(response.bytes)
  else void reply.type('application/json; charset=UTF-8').send(JSON.stringify(response.body))
}

function takeOver(reply: FastifyReply): FastifyReply['raw'] {
  reply.hijack()
  return reply.raw
}

/** undefined: there is none, or it is no JSON in UTF-8. */
function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    return undefined
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function urlOf(server: Server, address: ListenAddress, scheme: string): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.endpoint.port
  return `${scheme}://${formatEndpoint({ ...address.endpoint, port })}`
}
