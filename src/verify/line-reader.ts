import type { Socket } from 'node:net'
import { LINE_BYTES_MAX } from './whoami-protocol.ts'

/** Reads lines and counts of bytes from a socket, each within a time. */
export class LineReader {
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #hasEnded = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#wake()
    })
    const end = (): void => {
      this.#hasEnded = true
      this.#wake()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  /** The other side has closed, and everything that it sent was read. */
  get isOver(): boolean {
    return this.#hasEnded && this.#bytes.length === 0
  }

  /** Something has come that was not read. */
  get hasBytes(): boolean {
    return this.#bytes.length > 0
  }

  /** Waits until something has come, or the other side has closed. */
  async untilHeard(timeoutMs: number): Promise<void> {
    await this.#until(() => this.hasBytes, timeoutMs)
  }

  /** The next line without its end; undefined: there is none in time, or what comes is no line. */
  async line(timeoutMs: number): Promise<string | undefined> {
    const isThere = (): boolean => this.#bytes.includes(0x0a) || this.#bytes.length > LINE_BYTES_MAX
    await this.#until(isThere, timeoutMs)
    const end = this.#bytes.indexOf(0x0a)
    if (end < 0 || end > LINE_BYTES_MAX) return undefined
    const line = this.#bytes.subarray(0, end).toString('latin1').replace(/\r$/, '')
    this.#bytes = this.#bytes.subarray(end + 1)
    return line
  }

  /** Takes up to `count` bytes for at most `timeoutMs`; returns how many came. */
  async take(count: number, timeoutMs: number): Promise<number> {
    let taken = 0
    const takeAll = (): boolean => {
      taken += this.#bytes.length
      this.#bytes = Buffer.alloc(0)
      return taken >= count
    }
    await this.#until(takeAll, timeoutMs)
    return taken
  }

  async #until(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    while (!isDone() && !this.#hasEnded) {
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0 || this.#socket.destroyed) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
