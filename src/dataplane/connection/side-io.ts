// All system calls on the socket of a side are made here, and what each says is kept in the side at once: whoever lets
// another engine read and write puts it in place of this file.

import type { Endpoint } from '../../address/endpoint.ts'
import { EAGAIN, EINTR } from '../../linux/errno.ts'
import { type Pipe, splice } from '../../linux/pipe.ts'
import {
  close,
  closeWithReset,
  finish,
  localEndpoint,
  peek,
  progress,
  readProgress,
  receive,
  roundTripMs,
  takeError,
  transmit,
  transmitWithNext,
  unsentBytes,
} from '../../linux/socket.ts'
import { breakSide, type Side } from './side.ts'

/**
 * Reads once from the socket of `side` into `[start, end)` of `buffer` and keeps its state, but for `receivedBytes`.
 *
 * @returns the number of bytes; 0 when there is nothing (now or ever: see `hasEnded`)
 */
export function receiveBytes(side: Side, buffer: Uint8Array, start: number, end: number): number {
  let count = receive(side.fd, buffer, start, end)
  while (count === EINTR) count = receive(side.fd, buffer, start, end)
  if (count > 0) {
    // A short read has emptied the queue; only a FIN or an error that came with it would give no further event. Or it
    // stopped in front of an urgent byte; one that nobody has told of yet will have an event of its own.
    if (count < end - start && !side.isHungUp && !side.hasUrgent) side.isReadable = false
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

/** Keeps the state of a side from which recv(2) got no bytes but `result`: 0 or a negated errno. */
function noteNothingRead(side: Side, result: number): void {
  side.isReadable = false
  side.hasUrgent = false
  if (result === EAGAIN) return
  side.hasEnded = true
  if (result < 0) breakSide(side, result)
}

/**
 * Reads once from `from` into an empty pipe for `to`; the pipe stays with `to` only if bytes came.
 *
 * @returns the number of bytes; 0 when there is nothing now, or when only {@link receiveBytes} can say what is there
 */
export function fillPipe(from: Side, to: Side, pipe: Pipe): number {
  let count = splice(from.fd, pipe.writeFd, pipe.capacity)
  while (count === EINTR) count = splice(from.fd, pipe.writeFd, pipe.capacity)
  if (count > 0) {
    from.receivedBytes += count
    to.pipe = pipe
    to.pipedBytes = count
    return count
  }
  // A short count says nothing: a pipe is full when it has as many fragments as pages. Only EAGAIN means drained; where
  // an urgent byte has come that splice(2) cannot pass, the event is still to come.
  if (count === EAGAIN) from.isReadable = false
  // In front of an urgent byte, splice(2) takes what came behind it, FIN or reset, for the end of what can be read.
  else from.isBulk = false
  if (count < 0 && count !== EAGAIN) breakSide(from, count)
  return 0
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

/** Sends FIN behind everything sent before, once. */
export function finishSide(side: Side): void {
  if (side.isFinished) return
  side.isFinished = true
  finish(side.fd)
}

/** Reports whether this side has acknowledged all that the kernel has taken for it; a dead socket has nothing to say. */
export function hasAcknowledged(side: Side): boolean {
  return unsentBytes(side.fd) <= 0
}

/**
 * How long ago bytes last left for this side, in milliseconds; Infinity when none have since the last call. The kernel
 * tells of room only when there is much of it, so a slow reader may take bytes for a long time without an event.
 */
export function sinceDeparture(side: Side): number {
  if (!readProgress(side.fd) || progress.acknowledgedBytes === side.acknowledgedBytes) return Number.POSITIVE_INFINITY
  side.acknowledgedBytes = progress.acknowledgedBytes
  return progress.sinceMs
}

/** Takes the error that an event has told of; a side without one stays whole. */
export function takeFailure(side: Side): void {
  const error = takeError(side.fd)
  if (error < 0) breakSide(side, error)
}

/** The address and port of this host that the side is connected to; undefined when the kernel will not say. */
export function localEndpointOf({ fd }: Side): Endpoint | undefined {
  return localEndpoint(fd)
}

/** What TCP has measured of the round trip to the other end, in milliseconds; undefined when the kernel will not say. */
export function roundTripOf({ fd }: Side): number | undefined {
  return roundTripMs(fd)
}

/** Closes the socket of a side that has one: in order, or with a reset. */
export function closeSide(side: Side, isOrderly: boolean): void {
  if (side.fd < 0) return
  if (isOrderly) close(side.fd)
  else closeWithReset(side.fd)
  side.fd = -1
}
