import type { PipePool } from './pipe-pool.ts'
import { isBackedUp, type Side } from './side.ts'
import { drainPipe, fillPipe, finishSide, flush, hasAcknowledged } from './side-io.ts'
import { closeNotify, receiveFrom, sendTo } from './transfer.ts'

/**
 * What one turn of a connection may move in one direction before others have theirs; a full pipe is one turn. With TLS,
 * records with little or no payload count as more than that.
 */
const TURN_BYTES = 256 * 1024
/** A read below this through a pipe costs more than copying would. */
const PIPE_READ_BYTES_MIN = 16 * 1024

/** What a worker's connections share to move bytes. */
export type RelayMeans = { readonly buffer: Uint8Array; readonly pipes: PipePool }

/**
 * Moves bytes from one side to the other until either side has no more to give or take.
 *
 * Small messages are copied through one buffer, which stays in the processor's cache; after a read that filled it,
 * bytes go through a pipe inside the kernel until reads turn small again. Never holds more than one read: while the
 * receiver is slow, the sender is not read, and TCP slows it down.
 *
 * @returns true when the turn is used up and there may be more
 */
export function relay(from: Side, to: Side, means: RelayMeans): boolean {
  if (to.isWritable) unblock(to, means.pipes)
  let work = 0
  while (from.isReadable && !from.hasEnded && !isBackedUp(to) && to.failure === 0) {
    if (work >= TURN_BYTES) return true
    work += from.isBulk && !from.hasUrgent ? pipeOnce(from, to, means) : copyOnce(from, to, means.buffer)
  }
  // close_notify would vouch for what nobody has said: a FIN that came without it goes on without it.
  if (from.hasEnded && from.failure === 0 && from.tls?.isTruncated !== true) closeNotify(to)
  return false
}

/** Sends what was kept while the receiver was slow. */
function unblock(to: Side, pipes: PipePool): void {
  if (to.queue !== null) flush(to)
  if (to.queue !== null || to.pipe === null) return
  const emptied = drainPipe(to)
  if (emptied !== undefined) pipes.giveBack(emptied)
}

/** Reads and sends once; returns what that cost, in bytes. */
function copyOnce(from: Side, to: Side, buffer: Uint8Array): number {
  const count = receiveFrom(from, buffer, 0, buffer.length)
  if (count > 0) sendTo(to, buffer, 0, count)
  // The kernel can move bytes by itself only where nothing is to be encrypted.
  from.isBulk = count === buffer.length && from.tls === null && to.tls === null
  return from.tls === null ? count : from.tls.work
}

function pipeOnce(from: Side, to: Side, means: RelayMeans): number {
  const pipe = means.pipes.take()
  if (pipe === undefined) return copyOnce(from, to, means.buffer)
  const count = fillPipe(from, to, pipe)
  if (count === 0) means.pipes.giveBack(pipe)
  else if (count < PIPE_READ_BYTES_MIN) from.isBulk = false
  unblock(to, means.pipes)
  return count
}

/** Reports whether everything that `from` sent is in the hands of the kernel on the way to `to`. */
export function isDelivered(from: Side, to: Side): boolean {
  return from.hasEnded && !isBackedUp(to)
}

/** Passes the end of `from` on as FIN, behind its last byte. */
export function passFinish(from: Side, to: Side): void {
  if (isDelivered(from, to)) finishSide(to)
}

/** Reports whether a reset may follow: nothing that came before it is on its way any more. */
export function isReceived(from: Side, to: Side): boolean {
  return to.failure !== 0 || (isDelivered(from, to) && hasAcknowledged(to))
}

/** Reports whether `to` lacks bytes that `from` has sent: they are here, or in the kernel. */
export function isUndelivered(from: Side, to: Side): boolean {
  return isBackedUp(to) || !hasAcknowledged(to) || from.tls?.isWithinRecord === true
}
