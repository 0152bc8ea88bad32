import { EAGAIN, EINTR } from '../linux/errno.ts'
import { receive, transmit } from '../linux/socket.ts'

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
  }

  /** Lets go of the socket, which the caller has closed, and of everything that was known of it. */
  detach(): void {
    this.attach(-1)
    this.queue = null
  }
}

/** Notes that the socket broke. What it had received before can still be read; reading then ends with 0 or an error. */
export function breakPeer(peer: Peer, failure: number): void {
  if (peer.failure === 0) peer.failure = failure
  peer.isReadable = true
  peer.isHungUp = true
}

/**
 * Reads once from `peer` into `[start, end)` of `buffer` and keeps its state.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveFrom(peer: Peer, buffer: Uint8Array, start: number, end: number): number {
  let count = receive(peer.fd, buffer, start, end)
  while (count === EINTR) count = receive(peer.fd, buffer, start, end)
  if (count > 0) {
    peer.receivedBytes += count
    // A short read has emptied the queue; only a FIN or an error that came with it would give no further event.
    if (count < end - start && !peer.isHungUp) peer.isReadable = false
    return count
  }
  peer.isReadable = false
  if (count === EAGAIN) return 0
  peer.hasEnded = true
  if (count < 0) breakPeer(peer, count)
  return 0
}

/** Sends `[start, end)` of `buffer` to `peer`; keeps a copy of what the kernel does not take. */
export function sendTo(peer: Peer, buffer: Uint8Array, start: number, end: number): void {
  const sent = trySend(peer, buffer, start, end)
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
  peer.queueStart += trySend(peer, queue, peer.queueStart, queue.length)
  if (peer.queueStart === queue.length) peer.queue = null
}

function trySend(peer: Peer, buffer: Uint8Array, start: number, end: number): number {
  let count = transmit(peer.fd, buffer, start, end)
  while (count === EINTR) count = transmit(peer.fd, buffer, start, end)
  if (count >= 0) {
    peer.isWritable = count === end - start
    peer.sentBytes += count
    return count
  }
  peer.isWritable = false
  if (count !== EAGAIN) breakPeer(peer, count)
  return 0
}
