import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import { classifyAddress } from '../../address/address-class.ts'
import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { parseIpAddress } from '../../address/ip-address.ts'
import type { RefusalReason } from '../../telemetry/controller-metrics.ts'
import { type ListenAddress, listenOn } from '../../telemetry/listen.ts'
import { ClientPlaces } from './client-places.ts'
import type { Access } from './door.ts'
import { quietLog } from './quiet-log.ts'
import { RequestHandler, type RequestHandlerOptions } from './request-handler.ts'

type Socket = IncomingMessage['socket']

/** For the TLS handshake, and for the headers of a request, before anybody is known. */
const HEADERS_TIMEOUT_MS = 10_000
const LIMITS = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  // For a client to send the whole of a request.
  requestTimeout: 60_000,
  // How often it is looked for clients that are late.
  connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
  // For the next request on a connection: longer than a proxy in between keeps one, so that it is not closed on a request.
  keepAliveTimeout: 72_000,
} as const
/** Connections at a time; more are closed, and of those that nobody knows each address has a share. */
export const CONNECTIONS_MAX = 4_096

/** A certificate chain and its key in PEM. */
export type TlsIdentity = { readonly cert: string; readonly key: string }

/** Where a server listens, and what is behind it. */
export type HttpServerOptions = RequestHandlerOptions & {
  readonly address: ListenAddress
  /** undefined: the API is served in the clear. */
  readonly tls: TlsIdentity | undefined
  readonly isTrustedPeer?: IsTrustedPeer | undefined
  /** Told why a connection was closed. */
  readonly onRefusedConnection?: RefusalListener | undefined
  readonly connectionsMax?: number | undefined
}

/** Told why a connection was closed. */
export type RefusalListener = (reason: RefusalReason) => void

/** Says whether who has opened a connection on loopback, by its ends, needs no token; without it nobody there needs one. */
export type IsTrustedPeer = (client: Endpoint, server: Endpoint) => boolean

/** A server that answers. */
export type HttpServer = {
  /** What a client puts before a path: `http://127.0.0.1:8080`, `unix:/run/controller.sock`. */
  readonly url: string
  /** Uses another certificate from now on, for connections to come. */
  renewTls(tls: TlsIdentity): void
  /** Ends what is idle and stops listening; requests that are being answered are. */
  close(): Promise<void>
}

/** Whoever reaches this address needs no token. */
export function isTrustedAddress(address: ListenAddress): boolean {
  return address.kind === 'unix' || classifyAddress(address.endpoint.address) === 'loopback'
}

/** Serves the API on one address. @throws Error with its remedy when it cannot be listened on */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, tls, connectionsMax = CONNECTIONS_MAX } = options
  const access: Access = {
    scheme: tls === undefined ? 'http' : 'https',
    isTrusted: isTrustedAddress(address),
    isLoopback: address.kind === 'tcp' && isTrustedAddress(address),
  }
  const places = new ClientPlaces(connectionsMax)
  const handler = new RequestHandler(options, {
    accessOf: accessOf(access, options),
    isClosing: () => !server.listening,
    onLetIn: ({ socket }) => places.know(socket),
  })
  const server = makeServer(tls, inOrder(handler))
  server.maxConnections = connectionsMax
  limitConnections(server, access.isTrusted ? undefined : places, options)
  await listenOn(server, address, 'The controller', 'kept')
  return {
    url: urlOf(server, address, access.scheme),
    renewTls: ({ cert, key }) => {
      if (server instanceof TlsServer) server.setSecureContext({ cert, key })
    },
    // Closing what is closed is no error.
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}

/** Asks of each connection once. */
function accessOf(access: Access, { isTrustedPeer }: HttpServerOptions): (socket: Socket) => Access {
  if (isTrustedPeer === undefined || !access.isLoopback) return () => access
  const known = new WeakMap<Socket, Access>()
  return (socket) => {
    const found = known.get(socket)
    if (found !== undefined) return found
    const client = endpointOf(socket.remoteAddress, socket.remotePort)
    const server = endpointOf(socket.localAddress, socket.localPort)
    const isTrusted = client !== undefined && server !== undefined && isTrustedPeer(client, server)
    const asked = isTrusted ? access : { ...access, isTrusted: false }
    known.set(socket, asked)
    return asked
  }
}

function endpointOf(text = '', port = 0): Endpoint | undefined {
  const address = parseIpAddress(text)
  return address && { address, port }
}

/** Where no token is needed, all clients are on one host: a share for each address would be one for all of them. */
function limitConnections(server: Server, places: ClientPlaces | undefined, options: HttpServerOptions): void {
  const { log, onRefusedConnection } = options
  const tell = quietLog(log)
  server.on('drop', () => {
    onRefusedConnection?.('limit')
    tell('connections are closed: there are as many as there may be', { connectionsMax: server.maxConnections })
  })
  if (places === undefined) return
  server.on('connection', (socket: IncomingMessage['socket']) => {
    const { remoteAddress, remotePort } = socket
    const peer = { remoteAddress, remotePort }
    socket.once('close', () => places.leave(peer))
    places.enter(peer, () => {
      onRefusedConnection?.('client-limit')
      tell('connections of a client are closed: without a token, it may have no more of them', { peer: remoteAddress })
      socket.destroy()
    })
  })
}

/**
 * One after the other on each connection: who sends a second request before the first is answered means it to come after.
 * So a connection holds one answer at most, and an answer that says that it is the last one is.
 */
function inOrder(handler: RequestHandler): RequestListener {
  const lastOf = new WeakMap<IncomingMessage['socket'], Promise<void>>()
  return (request, response) => {
    const { socket } = request
    const before = lastOf.get(socket) ?? Promise.resolve()
    const isSent = new Promise<void>((resolve) => void response.once('close', resolve))
    const next = before.then(async () => {
      if (!socket.writable) return
      await handler.handle(request, response)
      await isSent
    })
    lastOf.set(socket, next)
  }
}

function makeServer(tls: TlsIdentity | undefined, listener: RequestListener): Server {
  if (tls === undefined) return createServer(LIMITS, listener)
  return createTlsServer({ ...LIMITS, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: HEADERS_TIMEOUT_MS }, listener)
}

function urlOf(server: Server, address: ListenAddress, scheme: string): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.endpoint.port
  return `${scheme}://${formatEndpoint({ ...address.endpoint, port })}`
}
