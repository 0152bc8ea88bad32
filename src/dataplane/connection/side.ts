import { EAGAIN, EINTR } from '../../linux/errno.ts'
import { type Pipe, splice } from '../../linux/pipe.ts'
import { peek, receive, transmit, transmitWithNext } from '../../linux/socket.ts'
import type { TlsSession } from '../../tls/session.ts'

/** One of the two sockets of a connection, and what is known about it without asking the kernel again. */
export class Side {
  fd = -1
  /** recv(2) may have something: set by events, unset by a short read. */
  isReadable = false
  /** The send queue has room: unset by a short send, set by events. */
  isWritable = true
  /** FIN or an error is behind the queued bytes, so a short read is not the end of reading. */
  isHungUp = false
  /** Everything that this side sent has been read. */
  hasEnded = false
  /** FIN has been sent to this side. */
  isFinished = false
  /** The error that broke this socket (a negated errno), 0 while it is whole. */
  failure = 0
  /** Bytes read from this side. */
  receivedBytes = 0
  /** Bytes of this side's that the kernel has taken. */
  sentBytes = 0
  /** Bytes for this side that the kernel has not taken yet. Nothing is read from the other side meanwhile. */
  queue: Uint8Array | null = null
  queueStart = 0
  /** A pipe with bytes for this side, and how many; like the queue, but they stay in the kernel. */
  pipe: Pipe | null = null
  pipedBytes = 0
  /** What its bytes are encrypted with; null: nothing, they are plain. See `transfer.ts`. */
  tls: TlsSession | null = null
  /** The last read from this side was a large one: the next bytes go through a pipe at once. */
  isBulk = false

  /** Makes the object fit for another socket. The queue stays: what could not be sent to one backend goes to the next. */
  attach(fd: number): void {
    this.fd = fd
    this.isReadable = false
    this.isWritable = true
    this.isHungUp = false
    this.hasEnded = false
    this.isFinished = false
    this.failure = 0
    this.receivedBytes = 0
    this.sentBytes = 0
    this.isBulk = false
  }

  /** Lets go of the socket, which the caller has closed, and of everything that was known of it. */
  detach(): void {
    this.attach(-1)
    if (this.tls !== null) {
      this.tls.close()
      this.tls = null
    }
    this.queue = null
    this.pipe = null
    this.pipedBytes = 0
  }
}

/** Notes that the socket broke. What it had received before can still be read; reading then ends with 0 or an error. */
export function breakSide(side: Side, failure: number): void {
  if (side.failure === 0) side.failure = failure
  side.isReadable = true
  side.isHungUp = true
}

/**
 * Reads once from the socket of `side` into `[start, end)` of `buffer` and keeps its state, but for `receivedBytes`.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveBytes(side: Side, buffer: Uint8Array, start: number, end: number): number {
  let count = receive(side.fd, buffer, start, end)
  while (count === EINTR) count = receive(side.fd, buffer, start, end)
  if (count > 0) {
    // A short read has emptied the queue; only a FIN or an error that came with it would give no further event.
    if (count < end - start && !side.isHungUp) side.isReadable = false
    return count
  }
  noteNothingRead(side, count)
  return 0
}

/** Looks at what {@link receiveBytes} would read, and leaves it where it is; 0 as there. */
export function peekFrom(side: Side, buffer: Uint8Array, start: number, end: number): number {
  let count = peek(side.fd, buffer, start, end)
  while (count === EINTR) count = peek(side.fd, buffer, start, end)
  if (count > 0) return count
  noteNothingRead(side, count)
  return 0
}

/** Keeps the state of a side from which recv(2) or splice(2) got no bytes but `result`: 0 or a negated errno. */
function noteNothingRead(side: Side, result: number): void {
  side.isReadable = false
  if (result === EAGAIN) return
  side.hasEnded = true
  if (result < 0) breakSide(side, result)
}

/** Reports whether bytes for `side` wait here because it is slow. */
export function isBackedUp(side: Side): boolean {
  return side.queue !== null || side.pipe !== null
}

/**
 * Reads once from `from` into an empty pipe for `to`; the pipe stays with `to` only if bytes came.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function fillPipe(from: Side, to: Side, pipe: Pipe): number {
  let count = splice(from.fd, pipe.writeFd, pipe.capacity)
  while (count === EINTR) count = splice(from.fd, pipe.writeFd, pipe.capacity)
  // A short count says nothing: a pipe is full when it has as many fragments as pages. Only EAGAIN means drained.
  if (count <= 0) {
    noteNothingRead(from, count)
    return 0
  }
  from.receivedBytes += count
  to.pipe = pipe
  to.pipedBytes = count
  return count
}

/** Sends what is in the pipe of `to`, as far as the kernel takes it; returns the pipe once it is empty. */
export function drainPipe(to: Side): Pipe | undefined {
  const { pipe } = to
  while (pipe !== null && to.pipedBytes > 0) {
    const count = splice(pipe.readFd, to.fd, to.pipedBytes)
    if (count > 0) {
      to.pipedBytes -= count
      to.sentBytes += count
    } else if (count !== EINTR) {
      to.isWritable = false
      if (count !== EAGAIN) breakSide(to, count)
      return undefined
    }
  }
  to.pipe = null
  return pipe ?? undefined
}

/**
 * Sends `[start, end)` of `buffer` to the socket of `side`; keeps a copy of what the kernel does not take.
 *
 * @param mayWait nobody waits for these bytes: the kernel may hold them for 200 ms, to send them with the next
 */
export function sendBytes(side: Side, buffer: Uint8Array, start: number, end: number, mayWait = false): void {
  const sent = trySend(side, buffer, start, end, mayWait)
  if (start + sent < end) enqueue(side, buffer, start + sent, end)
}

/** Keeps a copy of `[start, end)` for `side`, to be sent by {@link flush}. */
export function enqueue(side: Side, buffer: Uint8Array, start: number, end: number): void {
  side.queue = buffer.slice(start, end)
  side.queueStart = 0
}

/** Sends what is kept for `side`, as far as the kernel takes it. */
export function flush(side: Side): void {
  const { queue } = side
  if (queue === null) return
  side.queueStart += trySend(side, queue, side.queueStart, queue.length, false)
  if (side.queueStart === queue.length) side.queue = null
}

function trySend(side: Side, buffer: Uint8Array, start: number, end: number, mayWait: boolean): number {
  let count: number
  do {
    count = mayWait ? transmitWithNext(side.fd, buffer, start, end) : transmit(side.fd, buffer, start, end)
  } while (count === EINTR)
  if (count >= 0) {
    side.isWritable = count === end - start
    side.sentBytes += count
    return count
  }
  side.isWritable = false
  if (count !== EAGAIN) breakSide(side, count)
  return 0
}
