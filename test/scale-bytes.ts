import { type Cipher, createCipheriv } from 'node:crypto'
import type { Socket } from 'node:net'

/** What a client begins with: its number, 32 bits. */
export const ID_BYTES = 4
/** What may follow: how many bytes the client will send and how many it wants, two doubles. Infinity: without end. */
export const ORDER_BYTES = 16

const ZEROS = Buffer.alloc(64 * 1024)

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
      if (!part.equals(this.#next(part.length))) return false
    }
    return true
  }

  /** Sends the next `count` bytes as fast as the other end takes them; then calls `done`, unless the socket broke. */
  send(socket: Socket, count: number, done: () => void): void {
    if (count === 0) return done()
    const length = Math.min(count, ZEROS.length)
    socket.write(this.#next(length), (error) => {
      // A write that succeeds at once calls back before any other socket has had its turn.
      if (error == null) setImmediate(() => this.send(socket, count - length, done))
    })
  }

  #next(length: number): Buffer {
    return this.#cipher.update(ZEROS.subarray(0, length))
  }
}
