import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, parseIpAddress, unmapAddress } from '../address/ip-address.ts'
import { greetingFor, LINE_BYTES_MAX, readRequest } from './whoami-protocol.ts'

const CONNECTIONS_MAX = 1_000
const SILENCE_MS = 60_000
const CHUNK = Buffer.alloc(64 * 1024, 'x')

/**
 * Starts the app that tells each client the address that it sees.
 *
 * @param onConnection is told each peer, and a PROXY header that reached the app
 * @throws Error that names the address when it cannot be listened on
 */
export async function startWhoami(endpoint: Endpoint, onConnection: (line: string) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => new Whoami(socket, onConnection))
  server.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = formatEndpoint(endpoint)
      reject(new Error(`Listening on "${where}": ${cause.message}; give another --listen`, { cause }))
    })
    server.listen({ host: formatIpAddress(endpoint.address), port: endpoint.port }, resolve)
  })
  return server
}

/** One client of the app. */
class Whoami {
  readonly #socket: Socket
  readonly #greeting: string
  readonly #onConnection: (line: string) => void
  readonly #peer: string
  #line = ''
  /** Bytes of a `take` that are still to come. */
  #taking = 0
  #takenCount = 0
  /** An answer is still to be written; what comes meanwhile waits. */
  #isBusy = false

  constructor(socket: Socket, onConnection: (line: string) => void) {
    this.#socket = socket
    this.#onConnection = onConnection
    this.#peer = peerOf(socket)
    this.#greeting = `${greetingFor(this.#peer)}\n`
    socket.setTimeout(SILENCE_MS, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.write(this.#greeting)
    onConnection(`peer ${this.#peer}`)
  }

  #read(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0 && !this.#socket.destroyed) {
      if (this.#isBusy) return void this.#socket.unshift(rest)
      if (this.#taking > 0) {
        const count = Math.min(this.#taking, rest.length)
        this.#taking -= count
        rest = rest.subarray(count)
        if (this.#taking === 0) this.#write(`taken ${this.#takenCount}\n`)
        continue
      }
      const end = rest.indexOf(0x0a)
      this.#line += rest.subarray(0, end < 0 ? rest.length : end).toString('latin1')
      if (this.#line.length > LINE_BYTES_MAX) return void this.#socket.destroy()
      if (end < 0) return
      rest = rest.subarray(end + 1)
      const line = this.#line
      this.#line = ''
      this.#answer(line)
    }
  }

  #answer(line: string): void {
    const request = readRequest(line)
    switch (request.kind) {
      case 'ping':
        return this.#write(`pong ${request.text}\n`)
      case 'send':
        return this.#send(request.count)
      case 'take':
        this.#taking = request.count
        this.#takenCount = request.count
        return
      case 'header':
        this.#onConnection(`peer ${this.#peer} sent ${JSON.stringify(request.line)}`)
        return this.#write(`header ${request.line}\n`)
      case 'other':
        return this.#write(this.#greeting)
    }
  }

  /** A client that does not read is not read either. */
  #write(text: string): void {
    if (this.#socket.write(text, 'latin1')) return
    this.#pause()
    this.#socket.once('drain', () => this.#resume())
  }

  #pause(): void {
    this.#isBusy = true
    this.#socket.pause()
  }

  #resume(): void {
    this.#isBusy = false
    this.#socket.resume()
  }

  #send(count: number): void {
    this.#pause()
    let left = count
    const sendMore = (): void => {
      while (left > 0 && !this.#socket.destroyed) {
        const piece = CHUNK.subarray(0, Math.min(left, CHUNK.length))
        left -= piece.length
        if (!this.#socket.write(piece)) return void this.#socket.once('drain', sendMore)
      }
      this.#resume()
    }
    sendMore()
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  const address = parseIpAddress(remoteAddress ?? '')
  if (address === undefined) return 'gone'
  return formatEndpoint({ address: unmapAddress(address), port: remotePort ?? 0 })
}
