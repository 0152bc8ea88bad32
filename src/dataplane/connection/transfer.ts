// Reading from a side and sending to it: through its TLS session where it has one.

import { EPROTO } from '../../linux/errno.ts'
import { produced, producedBytes, RECORD_PAYLOAD_MAX, received } from '../../linux/openssl.ts'
import type { HandshakeStep, TlsSession } from '../../tls/session.ts'
import { breakSide, isBackedUp, type Side } from './side.ts'
import { receiveBytes, sendBytes } from './side-io.ts'

/** What a side may make us say unasked (alerts, key updates) while it does not read: more is an attack. */
const UNASKED_BYTES_MAX = 16 * 1024

/**
 * Reads once from `side` into `[start, end)` of `buffer` and keeps its state. With TLS, the range has to be larger than
 * a record.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveFrom(side: Side, buffer: Uint8Array, start: number, end: number): number {
  const { tls } = side
  const count = tls === null ? receiveBytes(side, buffer, start, end) : receiveRecords(side, tls, buffer, start, end)
  side.receivedBytes += count
  return count
}

/** Sends `[start, end)` of `buffer` to `side`, to whom nothing is queued; keeps what the kernel does not take. */
export function sendTo(side: Side, buffer: Uint8Array, start: number, end: number): void {
  const { tls } = side
  if (tls === null) return sendBytes(side, buffer, start, end)
  if (tls.send(buffer, start, end)) sendBytes(side, produced, 0, producedBytes())
  else refuseSide(side)
}

function receiveRecords(side: Side, tls: TlsSession, buffer: Uint8Array, start: number, end: number): number {
  const front = tls.restore()
  // Behind what is kept, and so little that all of it fits once it is decrypted, with a record that came in part before.
  const room = Math.min(received.length, end - start - RECORD_PAYLOAD_MAX)
  // While there is more here than one call takes, the socket is not asked.
  const ciphertext = front < room && !tls.hasMore ? receiveBytes(side, received, front, room) : 0
  const count = tls.receive(front + ciphertext, buffer, start, end)
  if (producedBytes() > 0) sendUnasked(side)
  if (tls.failure !== undefined) {
    refuseSide(side)
  } else if (tls.hasEnded) {
    side.hasEnded = true
  } else if (tls.hasMore) {
    side.isReadable = true
  } else if (side.hasEnded && side.failure === 0) {
    // FIN without close_notify: anybody on the way can have sent it, so that it must not pass for the end (RFC 8446 §6.1).
    // It is passed on as what it is, a FIN; see `relay`.
    tls.isTruncated = true
  }
  return count
}

/** Breaks a side for what it does. Its socket is whole, so it could go on talking: nobody listens any more. */
function refuseSide(side: Side): void {
  side.hasEnded = true
  breakSide(side, EPROTO)
}

/**
 * Sends what reading has produced. The side may be slow at this time, so that something may be queued already.
 *
 * @param mayWait nobody waits for it; see {@link sendBytes}
 */
export function sendUnasked(side: Side, mayWait = false): void {
  const count = producedBytes()
  const { queue, queueStart } = side
  if (queue === null) return sendBytes(side, produced, 0, count, mayWait)
  const waiting = queue.length - queueStart
  if (waiting + count > produced.length + UNASKED_BYTES_MAX) return refuseSide(side)
  const longer = new Uint8Array(waiting + count)
  longer.set(queue.subarray(queueStart))
  longer.set(produced.subarray(0, count), waiting)
  side.queue = longer
  side.queueStart = 0
}

/** Tells a side with TLS that it has everything, once it has: behind its last byte, and before FIN. */
export function closeNotify(side: Side): void {
  const { tls } = side
  if (tls === null || tls.isFinished || isBackedUp(side) || side.failure !== 0) return
  tls.finish()
  if (producedBytes() > 0) sendBytes(side, produced, 0, producedBytes())
}

/**
 * Goes on with the handshake of a side as far as there are bytes, or one turn may. Where the answer is `wait` and the side
 * is still readable, the turn is used up, and there is more.
 */
export function shakeHands(side: Side, tls: TlsSession): HandshakeStep {
  while (side.isReadable) {
    const front = tls.restore()
    const count = tls.hasMore ? 0 : receiveBytes(side, received, front, received.length)
    if (count === 0 && !tls.hasMore) {
      if (!side.hasEnded) break
      tls.failure = side.failure === 0 ? 'closed' : 'reset'
      return 'failed'
    }
    const step = tls.step(front + count)
    if (producedBytes() > 0) sendUnasked(side, step === 'open' && tls.endsWithTickets)
    if (tls.hasMore) side.isReadable = true
    if (step !== 'wait' || tls.hasMore) return step
  }
  return 'wait'
}
