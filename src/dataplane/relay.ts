import { finish, unsentBytes } from '../linux/socket.ts'
import { flush, type Peer, receiveFrom, sendTo } from './peer.ts'

/** What one turn of a connection may move in one direction before others have theirs. */
const TURN_BYTES = 256 * 1024

/**
 * Moves bytes from one peer to the other until either side has no more to give or take.
 *
 * Never holds more than one read: while the receiver is slow, the sender is not read, and TCP slows it down.
 *
 * @returns true when the turn is used up and there may be more
 */
export function relay(from: Peer, to: Peer, buffer: Uint8Array): boolean {
  if (to.queue !== null && to.isWritable) flush(to)
  let movedBytes = 0
  while (from.isReadable && !from.hasEnded && to.queue === null && to.failure === 0) {
    if (movedBytes >= TURN_BYTES) return true
    const count = receiveFrom(from, buffer, 0, buffer.length)
    if (count > 0) sendTo(to, buffer, 0, count)
    movedBytes += count
  }
  return false
}

/** Reports whether everything that `from` sent is in the hands of the kernel on the way to `to`. */
export function isDelivered(from: Peer, to: Peer): boolean {
  return from.hasEnded && to.queue === null
}

/** Passes the end of `from` on as FIN, behind its last byte. */
export function passFinish(from: Peer, to: Peer): void {
  if (to.isFinished || !isDelivered(from, to)) return
  to.isFinished = true
  finish(to.fd)
}

/** Reports whether a reset may follow: nothing that came before it is on its way any more. */
export function isReceived(from: Peer, to: Peer): boolean {
  return to.failure !== 0 || (isDelivered(from, to) && unsentBytes(to.fd) <= 0)
}
