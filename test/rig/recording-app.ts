import type { Server, Socket } from 'node:net'
import { formatEndpoint } from '../../src/address/endpoint.ts'
import { parseIpAddress } from '../../src/address/ip-address.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { APP, APP6 } from './agent.ts'
import { pause } from './eventually.ts'

/** What an app has seen of one connection: its peer, as "192.0.2.1:80", and what it has received so far. */
export type SeenConnection = { readonly peer: string; received: Buffer }

/** An app that keeps what it sees, and answers a finished connection with its peer and all that it received. */
export type RecordingApp = { readonly seen: SeenConnection[]; readonly servers: readonly Server[] }

/** Starts a {@link RecordingApp} on each of `endpoints`; the lab ends it. */
export async function startRecordingApp(host: Host, endpoints: readonly string[] = [APP, APP6]): Promise<RecordingApp> {
  const seen: SeenConnection[] = []
  const onConnection = (socket: Socket): void => {
    // Reset before it was accepted: it has no peer, and nothing comes of it.
    if (socket.remoteAddress === undefined) return void socket.destroy()
    const connection: SeenConnection = { peer: peerOf(socket), received: Buffer.alloc(0) }
    seen.push(connection)
    socket.on('data', (chunk: Buffer) => {
      connection.received = Buffer.concat([connection.received, chunk])
    })
    socket.on('end', () => socket.end(answerOf(connection.peer, connection.received)))
    socket.on('error', () => undefined)
  }
  const servers = await Promise.all(endpoints.map((endpoint) => host.listen(endpoint, onConnection)))
  return { seen, servers }
}

/** What a {@link RecordingApp} answers a client that it sees as `peer`. */
export function answerOf(peer: string, received: string | Uint8Array): string {
  return `${peer} ${Buffer.from(received).toString('hex')}`
}

/** The other end of a socket, as "192.0.2.1:80". */
export function peerOf(socket: Socket): string {
  const address = parseIpAddress(socket.remoteAddress ?? '')
  if (address === undefined) throw new TypeError('The socket is not connected')
  return formatEndpoint({ address, port: socket.remotePort ?? 0 })
}

/** Everything that a socket brings until its end; a reset counts as an end. */
export function readUntilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return readToEnd(socket).catch(() => Buffer.concat(chunks))
}

/**
 * Sends `pieces` over a connection of its own, `pauseMs` apart, then FIN, and returns the whole answer as text. A reset
 * ends the answer, also one that comes before node has seen the connection made.
 */
export async function exchange(
  from: Host,
  to: string,
  pieces: string | Uint8Array | readonly (string | Uint8Array)[],
  pauseMs = 0,
): Promise<string> {
  const socket = await from.connect({ to }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') throw error
    return undefined
  })
  if (socket === undefined) return ''
  socket.setNoDelay(true)
  const answer = readUntilClosed(socket)
  const list = typeof pieces === 'string' || pieces instanceof Uint8Array ? [pieces] : pieces
  for (const [index, piece] of list.entries()) {
    if (index > 0 && pauseMs > 0) await pause(pauseMs, 'each piece is a segment and, if it can be, a read of its own')
    if (socket.writable) socket.write(piece)
  }
  if (socket.writable) socket.end()
  const text = (await answer).toString()
  socket.destroy()
  return text
}
