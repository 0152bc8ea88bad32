// Reading from a peer and sending to it: through its TLS session where it has one.

import { EPROTO } from '../linux/errno.ts'
import { produced, producedBytes, RECORD_PAYLOAD_MAX, received } from '../linux/openssl.ts'
import type { HandshakeStep, TlsSession } from '../tls/session.ts'
import { breakPeer, isBackedUp, type Peer, receiveBytes, sendBytes } from './peer.ts'

/** What a peer may make us say unasked (alerts, key updates) while it does not read: more is an attack. */
const UNASKED_BYTES_MAX = 16 * 1024

/**
 * Reads once from `peer` into `[start, end)` of `buffer` and keeps its state. With TLS, the range has to be larger than
 * a record.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveFrom(peer: Peer, buffer: Uint8Array, start: number, end: number): number {
  const { tls } = peer
  const count = tls === null ? receiveBytes(peer, buffer, start, end) : receiveRecords(peer, tls, buffer, start, end)
  peer.receivedBytes += count
  return count
}

/** Sends `[start, end)` of `buffer` to `peer`, to whom nothing is queued; keeps what the kernel does not take. */
export function sendTo(peer: Peer, buffer: Uint8Array, start: number, end: number): void {
  const { tls } = peer
  if (tls === null) return sendBytes(peer, buffer, start, end)
  if (tls.send(buffer, start, end)) sendBytes(peer, produced, 0, producedBytes())
  else breakPeer(peer, EPROTO)
}

function receiveRecords(peer: Peer, tls: TlsSession, buffer: Uint8Array, start: number, end: number): number {
  const front = tls.restore()
  // Behind what is kept, and so little that all of it fits once it is decrypted, with a record that came in part before.
  const room = Math.min(received.length, end - start - RECORD_PAYLOAD_MAX)
  // While there is more here than one call takes, the socket is not asked.
  const ciphertext = front < room && !tls.hasMore ? receiveBytes(peer, received, front, room) : 0
  const count = tls.receive(front + ciphertext, buffer, start, end)
  if (producedBytes() > 0) sendUnasked(peer)
  if (tls.failure !== undefined) {
    peer.hasEnded = true
    breakPeer(peer, EPROTO)
  } else if (tls.hasEnded) {
    peer.hasEnded = true
  } else if (tls.hasMore) {
    peer.isReadable = true
  } else if (peer.hasEnded && peer.failure === 0) {
    // FIN without close_notify: anybody on the way can have sent it, so that it must not pass for the end (RFC 8446 §6.1).
    // It is passed on as what it is, a FIN; see `relay`.
    tls.isTruncated = true
  }
  return count
}

/**
 * Sends what reading has produced. The peer may be slow at this time, so that something may be queued already.
 *
 * @param mayWait nobody waits for it; see {@link sendBytes}
 */
export function sendUnasked(peer: Peer, mayWait = false): void {
  const count = producedBytes()
  const { queue, queueStart } = peer
  if (queue === null) return sendBytes(peer, produced, 0, count, mayWait)
  const waiting = queue.length - queueStart
  if (waiting + count > produced.length + UNASKED_BYTES_MAX) return breakPeer(peer, EPROTO)
  const longer = new Uint8Array(waiting + count)
  longer.set(queue.subarray(queueStart))
  longer.set(produced.subarray(0, count), waiting)
  peer.queue = longer
  peer.queueStart = 0
}

/** Tells a peer with TLS that it has everything, once it has: behind its last byte, and before FIN. */
export function closeNotify(peer: Peer): void {
  const { tls } = peer
  if (tls === null || tls.isFinished || isBackedUp(peer) || peer.failure !== 0) return
  tls.finish()
  if (producedBytes() > 0) sendBytes(peer, produced, 0, producedBytes())
}

/**
 * Goes on with the handshake of a peer as far as there are bytes, or one turn may. Where the answer is `wait` and the peer
 * is readable all the same, the turn is used up, and there is more.
 */
export function shakeHands(peer: Peer, tls: TlsSession): HandshakeStep {
  while (peer.isReadable) {
    const front = tls.restore()
    const count = tls.hasMore ? 0 : receiveBytes(peer, received, front, received.length)
    if (count === 0 && !tls.hasMore) {
      if (!peer.hasEnded) break
      tls.failure = peer.failure === 0 ? 'closed' : 'reset'
      return 'failed'
    }
    const step = tls.step(front + count)
    if (producedBytes() > 0) sendUnasked(peer, step === 'open' && tls.endsWithTickets)
    if (tls.hasMore) peer.isReadable = true
    if (step !== 'wait' || tls.hasMore) return step
  }
  return 'wait'
}
