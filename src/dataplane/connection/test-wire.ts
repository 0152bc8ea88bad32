import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import type { TestSocket } from './test-loop.ts'

/** Carries node's TLS over a socket of a test's. What arrives at the socket, the test pushes itself. */
export class Wire extends Duplex {
  readonly socket: TestSocket

  constructor(socket: TestSocket) {
    super()
    this.socket = socket
  }

  /** Sends what TLS has written. */
  protected transmit(bytes: Buffer): void {
    assert.equal(this.socket.send(bytes), bytes.length)
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.transmit(chunk)
    done()
  }
}
