import { type Cipher, createCipheriv } from 'node:crypto'
import type { Socket } from 'node:net'

/** What a client begins with: its number, 32 bits. */
export const ID_BYTES = 4

/** What may follow: what both sides send from then on. As three doubles in this order. */
export type Order = {
  /** Infinity: until the connection breaks. */
  readonly bytesFromClient: number
  readonly bytesFromApp: number
  /** Between two pieces; 0: as fast as the other side takes them. */
  readonly pauseMs: number
}
export const ORDER_BYTES = 24

/** A paced sender sends so many bytes at a time. */
const PACED_BYTES = 16 * 1024
const ZEROS = Buffer.alloc(64 * 1024)

export function writeOrder(order: Order): Buffer {
  const { bytesFromClient, bytesFromApp, pauseMs } = order
  return Buffer.from(new Float64Array([bytesFromClient, bytesFromApp, pauseMs]).buffer)
}

export function readOrder(bytes: Buffer): Order {
  const [bytesFromClient, bytesFromApp, pauseMs] = new Float64Array(new Uint8Array(bytes).buffer)
  return { bytesFromClient, bytesFromApp, pauseMs }
}

/**
 * The bytes that one end of connection `id` sends: they depend on the connection, the direction and the position, so
 * one that is lost, doubled, moved or of another connection does not match. Either end can make them (AES, CTR mode).
 */
export class ScaleBytes {
  readonly #cipher: Cipher

  constructor(id: number, sender: 'client' | 'app') {
    const key = Buffer.alloc(16)
    key.write(sender)
    key.writeUInt32BE(id, 12)
    this.#cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  }

  /** Reports whether `chunk` is what comes next. */
  isNext(chunk: Buffer): boolean {
    for (let start = 0; start < chunk.length; start += ZEROS.length) {
      const part = chunk.subarray(start, start + ZEROS.length)
      if (!part.equals(this.next(part.length))) return false
    }
    return true
  }

  /** Sends the next `count` bytes; then calls `done`, unless the socket broke. */
  send(socket: Socket, count: number, pauseMs: number, done: () => void): void {
    if (count === 0) return done()
    const length = Math.min(count, pauseMs === 0 ? ZEROS.length : PACED_BYTES)
    const more = (): void => this.send(socket, count - length, pauseMs, done)
    socket.write(this.next(length), (error) => {
      if (error != null) return
      // A write that succeeds at once calls back before any other socket has had its turn.
      if (pauseMs === 0) setImmediate(more)
      else setTimeout(more, pauseMs)
    })
  }

  /** The next `length` bytes, 64 KiB at most. */
  next(length: number): Buffer {
    return this.#cipher.update(ZEROS.subarray(0, length))
  }
}
