import { EAGAIN, EINTR } from '../linux/errno.ts'
import { type Pipe, splice } from '../linux/pipe.ts'
import { peek, receive, transmit, transmitWithNext } from '../linux/socket.ts'
import type { TlsSession } from '../tls/session.ts'

/** One of the two sockets of a connection, and what is known about it without asking the kernel again. */
export class Peer {
  fd = -1
  /** recv(2) may have something: set by events, unset by a short read. */
  isReadable = false
  /** The send queue has room: unset by a short send, set by events. */
  isWritable = true
  /** FIN or an error is behind the queued bytes, so a short read is not the end of reading. */
  isHungUp = false
  /** Everything that this peer sent has been read. */
  hasEnded = false
  /** FIN has been sent to this peer. */
  isFinished = false
  /** The error that broke this socket (a negated errno), 0 while it is whole. */
  failure = 0
  /** Bytes read from this peer. */
  receivedBytes = 0
  /** Bytes of this peer's that the kernel has taken. */
  sentBytes = 0
  /** Bytes for this peer that the kernel has not taken yet. Nothing is read from the other peer meanwhile. */
  queue: Uint8Array | null = null
  queueStart = 0
  /** A pipe with bytes for this peer, and how many; like the queue, but they stay in the kernel. */
  pipe: Pipe | null = null
  pipedBytes = 0
  /** What its bytes are encrypted with; null: nothing, they are plain. See `transfer.ts`. */
  tls: TlsSession | null = null
  /** The last read from this peer was a large one: the next bytes go through a pipe at once. */
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
export function breakPeer(peer: Peer, failure: number): void {
  if (peer.failure === 0) peer.failure = failure
  peer.isReadable = true
  peer.isHungUp = true
}

/**
 * Reads once from the socket of `peer` into `[start, end)` of `buffer` and keeps its state, but for `receivedBytes`.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveBytes(peer: Peer, buffer: Uint8Array, start: number, end: number): number {
  let count = receive(peer.fd, buffer, start, end)
  while (count === EINTR) count = receive(peer.fd, buffer, start, end)
  if (count > 0) {
    // A short read has emptied the queue; only a FIN or an error that came with it would give no further event.
    if (count < end - start && !peer.isHungUp) peer.isReadable = false
    return count
  }
  noteNothingRead(peer, count)
  return 0
}

/** Looks at what {@link receiveBytes} would read, and leaves it where it is; 0 as there. */
export function peekFrom(peer: Peer, buffer: Uint8Array, start: number, end: number): number {
  let count = peek(peer.fd, buffer, start, end)
  while (count === EINTR) count = peek(peer.fd, buffer, start, end)
  if (count > 0) return count
  noteNothingRead(peer, count)
  return 0
}

/** Keeps the state of a peer from which recv(2) or splice(2) got no bytes but `result`: 0 or a negated errno. */
function noteNothingRead(peer: Peer, result: number): void {
  peer.isReadable = false
  if (result === EAGAIN) return
  peer.hasEnded = true
  if (result < 0) breakPeer(peer, result)
}

/** Reports whether bytes for `peer` wait here because it is slow. */
export function isBackedUp(peer: Peer): boolean {
  return peer.queue !== null || peer.pipe !== null
}

/**
 * Reads once from `from` into an empty pipe for `to`; the pipe stays with `to` only if bytes came.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function fillPipe(from: Peer, to: Peer, pipe: Pipe): number {
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
export function drainPipe(to: Peer): Pipe | undefined {
  const { pipe } = to
  while (pipe !== null && to.pipedBytes > 0) {
    const count = splice(pipe.readFd, to.fd, to.pipedBytes)
    if (count > 0) {
      to.pipedBytes -= count
      to.sentBytes += count
    } else if (count !== EINTR) {
      to.isWritable = false
      if (count !== EAGAIN) breakPeer(to, count)
      return undefined
    }
  }
  to.pipe = null
  return pipe ?? undefined
}

/**
 * Sends `[start, end)` of `buffer` to the socket of `peer`; keeps a copy of what the kernel does not take.
 *
 * @param mayWait nobody waits for these bytes: the kernel may hold them for 200 ms, to send them with the next
 */
export function sendBytes(peer: Peer, buffer: Uint8Array, start: number, end: number, mayWait = false): void {
  const sent = trySend(peer, buffer, start, end, mayWait)
  if (start + sent < end) enqueue(peer, buffer, start + sent, end)
}

/** Keeps a copy of `[start, end)` for `peer`, to be sent by {@link flush}. */
export function enqueue(peer: Peer, buffer: Uint8Array, start: number, end: number): void {
  peer.queue = buffer.slice(start, end)
  peer.queueStart = 0
}

/** Sends what is kept for `peer`, as far as the kernel takes it. */
export function flush(peer: Peer): void {
  const { queue } = peer
  if (queue === null) return
  peer.queueStart += trySend(peer, queue, peer.queueStart, queue.length, false)
  if (peer.queueStart === queue.length) peer.queue = null
}

function trySend(peer: Peer, buffer: Uint8Array, start: number, end: number, mayWait: boolean): number {
  let count: number
  do {
    count = mayWait ? transmitWithNext(peer.fd, buffer, start, end) : transmit(peer.fd, buffer, start, end)
  } while (count === EINTR)
  if (count >= 0) {
    peer.isWritable = count === end - start
    peer.sentBytes += count
    return count
  }
  peer.isWritable = false
  if (count !== EAGAIN) breakPeer(peer, count)
  return 0
}
