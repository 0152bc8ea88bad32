// The app of scale.full.test.ts, a program of its own: node scale-app.js ADDRESS PORT [ADDRESS PORT ...]
//
// It answers a client's number with the peer that it sees, one line. If the client then gives an order (scale-bytes.ts),
// both directions run at the same time, and the app ends its own only when it has read every announced byte and the
// client's FIN. Whatever is not as it must be is printed, and the connection reset.
import { createServer, type Socket } from 'node:net'
import { ID_BYTES, ORDER_BYTES, type Order, readOrder, ScaleBytes } from './scale-bytes.ts'

class Session {
  readonly #socket: Socket
  #id = -1
  /** What has arrived of the number or of the order. */
  #head: Buffer = Buffer.alloc(0)
  #fromClient: ScaleBytes | undefined
  #announcedBytes = 0
  #receivedBytes = 0
  #hasEnded = false
  #isSending = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#fail(error.message))
  }

  #onData(chunk: Buffer): void {
    if (this.#fromClient !== undefined) return this.#onPayload(this.#fromClient, chunk)
    this.#head = Buffer.concat([this.#head, chunk])
    if (this.#id < 0) {
      const number = this.#take(ID_BYTES)
      if (number === undefined) return
      this.#id = number.readUInt32BE()
      this.#socket.write(`${this.#socket.remoteAddress} ${this.#socket.remotePort}\n`)
    }
    const order = this.#take(ORDER_BYTES)
    if (order !== undefined) this.#onOrder(readOrder(order))
  }

  #onOrder({ bytesFromClient, bytesFromApp, pauseMs }: Order): void {
    this.#announcedBytes = bytesFromClient
    this.#fromClient = new ScaleBytes(this.#id, 'client')
    this.#isSending = true
    new ScaleBytes(this.#id, 'app').send(this.#socket, bytesFromApp, pauseMs, () => {
      this.#isSending = false
      this.#endWhenDone()
    })
    this.#onPayload(this.#fromClient, this.#head)
  }

  #onPayload(expected: ScaleBytes, chunk: Buffer): void {
    this.#receivedBytes += chunk.length
    if (!expected.isNext(chunk)) this.#fail(`a wrong byte before byte ${this.#receivedBytes}`)
    if (this.#receivedBytes > this.#announcedBytes) this.#fail(`more than ${this.#announcedBytes} bytes`)
  }

  #onEnd(): void {
    if (this.#receivedBytes !== this.#announcedBytes) {
      return this.#fail(`FIN after ${this.#receivedBytes} of ${this.#announcedBytes} bytes`)
    }
    this.#hasEnded = true
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#hasEnded && !this.#isSending) this.#socket.end()
  }

  #take(length: number): Buffer | undefined {
    if (this.#head.length < length) return undefined
    const taken = this.#head.subarray(0, length)
    this.#head = this.#head.subarray(length)
    return taken
  }

  #fail(problem: string): void {
    console.log(`connection ${this.#id}: ${problem}`)
    this.#socket.resetAndDestroy()
  }
}

const args = process.argv.slice(2)
for (let index = 0; index < args.length; index += 2) {
  const [host, port] = args.slice(index, index + 2)
  const server = createServer({ allowHalfOpen: true }, (socket) => new Session(socket))
  server.listen({ host, port: Number(port), backlog: 4_096 }, () => console.log(`listening on ${host}`))
}
