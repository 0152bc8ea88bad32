import * as net from 'node:net'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, parseIpAddress } from '../address/ip-address.ts'
import { checked } from '../linux/errno.ts'
import { bindTo, close, openStream, setReuseAddress } from '../linux/socket.ts'
import { runInNamespace } from './enter.ts'

const CONNECT_TIMEOUT_MS = 10_000

/**
 * A connection to open: `to` is "192.0.2.1:80" or "[2001:db8::1]:80"; `from` the local address (default: as
 * routed), `port` the local port (default: any), `timeoutMs` the limit for connecting (default 10 s).
 */
export type ConnectOptions = {
  readonly to: string
  readonly from?: string
  readonly port?: number
  readonly timeoutMs?: number
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return endpoint
}

/**
 * Opens a socket where this thread is, bound and ready for listening.
 *
 * @throws SystemCallError when the endpoint cannot be bound
 */
export function bindHere(endpointText: string): number {
  const { address, port } = endpointOf(endpointText)
  const opened = checked('socket', openStream(address.family))
  try {
    checked('setsockopt', setReuseAddress(opened))
    checked(`Listening on "${endpointText}"`, bindTo(opened, address, port))
    return opened
  } catch (error) {
    close(opened)
    throw error
  }
}

/**
 * Opens a listening server inside the network namespace at `namespacePath`; connections allow half-open.
 *
 * @throws SystemCallError when the endpoint cannot be bound
 */
export async function listenInNamespace(
  namespacePath: string,
  endpointText: string,
  onConnection: (socket: net.Socket) => void,
): Promise<net.Server> {
  // server.listen() opens its socket only after an asynchronous look-up, even for an address: too late.
  const fd = runInNamespace(namespacePath, () => bindHere(endpointText))
  const server = net.createServer({ allowHalfOpen: true }, onConnection)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ fd }, resolve)
  })
  return server
}

/**
 * Opens a connection from inside the network namespace at `namespacePath`; it allows half-open.
 *
 * Rejects with the error of node:net (`code`: ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, ETIMEDOUT, …).
 */
export function connectInNamespace(namespacePath: string, options: ConnectOptions): Promise<net.Socket> {
  const { from, port, timeoutMs = CONNECT_TIMEOUT_MS } = options
  const to = endpointOf(options.to)
  if (from !== undefined && parseIpAddress(from) === undefined) throw new TypeError(`"${from}" is not an address`)
  const socket = new net.Socket({ allowHalfOpen: true })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const timeout = new Error(`"${formatEndpoint(to)}" did not accept within ${timeoutMs} ms`)
      socket.destroy(Object.assign(timeout, { code: 'ETIMEDOUT' }))
    }, timeoutMs)
    const onError = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', onError)
      resolve(socket)
    })
    runInNamespace(namespacePath, () => {
      socket.connect({
        // Only a host name that is looked up synchronously opens the socket before connect() returns: an address
        // is connected to on the next tick, outside the namespace. Held by a test, on every supported node.
        host: 'in-namespace',
        lookup: (_host, _options, found) => found(null, formatIpAddress(to.address), to.address.family),
        autoSelectFamily: false,
        port: to.port,
        ...(from === undefined ? {} : { localAddress: from }),
        ...(port === undefined ? {} : { localPort: port }),
      })
    })
  })
}

/**
 * Collects all that arrives until the peer's FIN, and leaves our own direction open.
 *
 * `text()` and `for await` would destroy the socket at the peer's FIN. Rejects with the socket's error, such as
 * ECONNRESET.
 */
export function readToEnd(socket: net.Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('end', () => resolve(Buffer.concat(chunks)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('The socket was closed before the peer had ended')))
  })
}
