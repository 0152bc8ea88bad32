// UDP sockets on hosts, and apps that answer datagrams.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { formatEndpoint, parseEndpoint } from '../../src/address/endpoint.ts'
import { formatIpAddress } from '../../src/address/ip-address.ts'
import type { Host } from '../../src/lab/host.ts'
import { readProxyDatagram } from '../../src/proxy-protocol/read-proxy-header.ts'

const ANSWER_MS = 10_000
/** A name for the address that a socket is bound to. */
const HERE = 'here'

/** A datagram that came, and from where, as "192.0.2.1:80". */
export type Received = { readonly text: string; readonly from: string }

/** A UDP socket on a host; what comes is kept until it is asked for. */
export class TestDatagrams {
  readonly socket: Socket
  readonly received: Received[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('message', (bytes, peer) => {
      this.received.push({ text: bytes.toString('latin1'), from: textOf(peer) })
    })
  }

  send(text: string, to: string): void {
    const { address, port } = endpointOf(to)
    this.socket.send(Buffer.from(text, 'latin1'), port, formatIpAddress(address))
  }

  /** The next datagram that comes, or has come and was not asked for. */
  async next(): Promise<Received> {
    for (;;) {
      const received = this.received.shift()
      if (received !== undefined) return received
      await once(this.socket, 'message', { signal: AbortSignal.timeout(ANSWER_MS) })
    }
  }

  /** Sends a datagram and returns what comes next. */
  async ask(text: string, to: string): Promise<string> {
    this.send(text, to)
    return (await this.next()).text
  }
}

/** Opens a UDP socket on a host, bound to an endpoint such as "192.0.2.1:53"; it is closed with the test. */
export function openDatagrams(t: TestContext, host: Host, endpointText: string): TestDatagrams {
  const { address, port } = endpointOf(endpointText)
  const socket = host.enter(() => {
    const opened = createSocket({
      type: address.family === 4 ? 'udp4' : 'udp6',
      // Only where the name is looked up at once, the socket is opened before bind() returns: inside of the namespace.
      lookup: (name, _options, found) => found(null, name === HERE ? formatIpAddress(address) : name, address.family),
    })
    opened.bind({ port, address: HERE, exclusive: true })
    return opened
  })
  let isClosed = false
  socket.once('close', () => {
    isClosed = true
  })
  t.after(() => {
    if (!isClosed) socket.close()
  })
  return new TestDatagrams(socket)
}

/** What an app has seen. */
export type DatagramApp = {
  readonly endpoint: string
  /** Of each datagram: the client in its header, or who sent it, and the text behind that. */
  readonly seen: Received[]
  /** The edge's sockets, in the order in which they came. */
  readonly peers: Set<string>
  close(): void
}

/** An app that answers with its endpoint, the client that it sees in the header, if there is one, and the text. */
export function startDatagramApp(t: TestContext, host: Host, endpoint: string): DatagramApp {
  const datagrams = openDatagrams(t, host, endpoint)
  const { socket } = datagrams
  const app = {
    endpoint,
    seen: [] as Received[],
    peers: new Set<string>(),
    close: () => socket.removeAllListeners('message').close(),
  }
  socket.removeAllListeners('message')
  socket.on('message', (bytes, peer) => {
    app.peers.add(textOf(peer))
    const header = readProxyDatagram(bytes, 0, bytes.length, { v2LengthMax: 4_096 })
    const isProxied = header.kind === 'proxied'
    const from = isProxied ? formatEndpoint(header.source) : textOf(peer)
    const text = bytes.toString('latin1', isProxied ? header.bytesRead : 0)
    app.seen.push({ text, from })
    socket.send(Buffer.from(`${endpoint} ${from} ${text}`, 'latin1'), peer.port, peer.address)
  })
  return app
}

function textOf({ address, port }: RemoteInfo): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function endpointOf(text: string): NonNullable<ReturnType<typeof parseEndpoint>> {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return endpoint
}
