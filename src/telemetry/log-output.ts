import { constants, fstatSync, openSync, write, writeSync } from 'node:fs'

/** How soon a full pipe is tried again. */
const RETRY_MS = 20
/** How long {@link LogOutput.flush} waits for a reader that does not read. */
const FLUSH_MS_MAX = 500

/**
 * Writes lines to a descriptor without ever blocking the caller.
 *
 * A reader that is too slow, or gone, loses lines, which are counted; it neither stops the program nor keeps it alive.
 */
export class LogOutput {
  /** Lines that nobody will read. */
  dropped = 0
  readonly #fd: number
  readonly #bytesMax: number
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** What is being written: its first bytes have been taken, or a full pipe has to be tried again. */
  #current = Buffer.alloc(0)
  #isInKernel = false
  #retry: NodeJS.Timeout | undefined

  /** @param bytesMax how much may wait before further lines are dropped */
  constructor(fd: number, bytesMax: number) {
    this.#fd = withoutBlocking(fd)
    this.#bytesMax = bytesMax
  }

  /** Takes one line with its newline. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#waitingBytes + bytes.length > this.#bytesMax) {
      this.dropped += 1
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (!this.#isInKernel && this.#retry === undefined) this.#writeNext()
  }

  /** Writes what waits, as far as there is somebody to read it within half a second. */
  flush(): void {
    // What is in the kernel's hands already must not be written twice.
    let rest = Buffer.concat([...(this.#isInKernel ? [] : [this.#current]), ...this.#waiting])
    this.#waiting = []
    for (const deadlineMs = performance.now() + FLUSH_MS_MAX; rest.length > 0 && performance.now() < deadlineMs; ) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest))
      } catch (error) {
        if (!isFull(error)) return
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
      }
    }
  }

  #writeNext(): void {
    this.#retry = undefined
    if (this.#current.length === 0) {
      this.#current = Buffer.concat(this.#waiting)
      this.#waiting = []
    }
    if (this.#current.length === 0) return
    this.#isInKernel = true
    write(this.#fd, this.#current, (error, count) => this.#onWritten(error, count))
  }

  #onWritten(error: NodeJS.ErrnoException | null, count: number): void {
    this.#isInKernel = false
    if (isFull(error)) {
      this.#retry = setTimeout(() => this.#writeNext(), RETRY_MS).unref()
      return
    }
    if (error !== null) this.dropped += linesIn(this.#current)
    const takenBytes = error === null ? count : this.#current.length
    this.#waitingBytes -= takenBytes
    this.#current = this.#current.subarray(takenBytes)
    this.#writeNext()
  }
}

/** A pipe is opened once more: O_NONBLOCK on the description that we were given would reach all who share it. */
function withoutBlocking(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return fd
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}

function linesIn(bytes: Buffer): number {
  let count = 0
  for (const byte of bytes) if (byte === 0x0a) count += 1
  return count
}
