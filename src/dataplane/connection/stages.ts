// What is done in each phase of a connection. A stage says what it saw; `drive` in connection.ts decides what follows.

import assert from 'node:assert/strict'
import { EPROTO, ETIMEDOUT } from '../../linux/errno.ts'
import { produced, producedBytes } from '../../linux/openssl.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import type { HandshakeFailure } from '../../tls/handshake-names.ts'
import type { HandshakeStep, TlsSession } from '../../tls/session.ts'
import type { Connection, Entrance, HeaderRead, Service } from './connection-state.ts'
import type { Loop } from './loop.ts'
import { isDelivered, isReceived, isUndelivered, relay } from './relay.ts'
import { breakSide, isBackedUp } from './side.ts'
import { closeSide, enqueue, finishSide, flush, peekFrom, sendBytes, sinceDeparture } from './side-io.ts'
import { closeNotify, receiveFrom, sendTo, shakeHands } from './transfer.ts'

/**
 * How often the send queue is looked at before a reset: at first, and after a while. The kernel has no event for "all
 * acknowledged".
 */
const RESET_POLL_MS = 10
const RESET_POLL_MS_MAX = 160
/** For how long the receiver of what a broken side sent may take nothing of it; less where the connection's own limit is. */
const RESET_SILENCE_MS = 5_000
/** Room for an incomplete header at first: every version 1 line, and most of version 2. */
const HEADER_BYTES_START = 128
const AWAIT_MORE: HeaderRead = { kind: 'incomplete', bytesNeeded: 0 }

/** Goes on with the client's TLS handshake; a failure is counted, and named in the record. */
export function handshake(loop: Loop, connection: Connection): HandshakeStep {
  const { client } = connection
  const { tls } = client
  assert(tls !== null, 'Who shakes hands has a session')
  flush(client)
  // Who has reset may have sent the end of the handshake before, and a message; who had no answer from us cannot.
  const step = client.failure === 0 || tls.hasBegun ? shakeHands(client, tls) : 'failed'
  if (step === 'wait' && client.isReadable) loop.continueLater(connection)
  if (step === 'failed') failHandshake(loop, connection, tls.failure ?? 'reset')
  if (step !== 'open') return step
  loop.timers.clear(connection)
  loop.counters.add((tls.isResumed ? METRICS.tlsResumed : METRICS.tlsHandshakes).slots[tls.version])
  return step
}

/** Counts a handshake that failed, and names the reason in the record. */
export function failHandshake(loop: Loop, connection: Connection, failure: HandshakeFailure): void {
  loop.counters.add(METRICS.tlsFailures.slots[failure])
  connection.refusal = failure
}

/** Reads as much of the header as there is. */
export function readHeader(loop: Loop, connection: Connection): HeaderRead {
  const { client } = connection
  const entrance = entranceOf(connection)
  const { buffer } = loop
  // What follows the header is then not for the relay, or not yet: it stays in the kernel until a session wants it.
  const isExact = entrance.tls !== null || entrance.mayHaveBackendTls
  while (client.isReadable) {
    // What came before is put in front of what comes now, so that the parser sees one range.
    const before = connection.headerEnd
    if (before > 0) buffer.set(connection.header.subarray(0, before))
    const count = isExact
      ? peekFrom(client, buffer, before, buffer.length)
      : receiveFrom(client, buffer, before, buffer.length)
    if (count === 0) {
      if (!client.hasEnded) break
      return { kind: 'refused', reason: before === 0 ? 'header-missing' : 'header-truncated' }
    }
    let received = before + count
    const read = entrance.readHeader(connection, buffer, received)
    if (isExact) {
      if (read.kind === 'complete') received = read.payloadStart
      receiveFrom(client, buffer, before, received)
    }
    if (read.kind === 'refused') {
      connection.headerBytes = received
      return read
    }
    if (read.kind !== 'incomplete') {
      connection.headerBytes = read.payloadStart
      connection.firstStart = read.payloadStart
      connection.firstEnd = received
      if (entrance.writesHeader && read.kind === 'complete' && !isExact) replaceHeader(loop, connection)
      return read
    }
    if (connection.header.length < received) {
      connection.header = new Uint8Array(Math.max(HEADER_BYTES_START, read.bytesNeeded))
    }
    connection.header.set(buffer.subarray(0, received))
    connection.headerEnd = received
  }
  return AWAIT_MORE
}

/** Goes on with an answer to a question; reports whether the peer has it, or has left. */
export function answer(loop: Loop, connection: Connection): boolean {
  const { client } = connection
  flush(client)
  // Closing with the peer's bytes unread would reset it, and it might lose the answer. Nobody wants them.
  while (client.isReadable && !client.hasEnded) receiveFrom(client, loop.buffer, 0, loop.buffer.length)
  if (client.failure !== 0 || client.hasEnded) return true
  closeNotify(client)
  if (!isBackedUp(client)) finishSide(client)
  return false
}

/** Opens a socket to a backend; on return, `backend.isWritable` says whether it is connected already. */
export function dial(loop: Loop, connection: Connection): 'connecting' | 'failed' | EndReason {
  const { backend } = connection
  connection.attempts += 1
  const service = serviceOf(connection)
  const dialled = service.dial(connection)
  if (dialled.kind === 'refused') return dialled.reason
  backend.attach(dialled.kind === 'connecting' ? dialled.fd : -1)
  if (dialled.kind === 'connecting' && service.backendTls !== undefined) {
    const session = service.backendTls.client.open()
    if (session === undefined) return 'out-of-resources'
    backend.tls = session
  }
  backend.isWritable = false
  if (dialled.kind === 'failed') breakSide(backend, dialled.error)
  // On one host connect(2) has often completed by now: sending at once saves a turn of the loop.
  else if (dialled.isLoopback) sendFirstBytes(loop, connection)
  // The loop's buffer is not ours beyond this turn.
  if (connection.firstStart < connection.firstEnd) keepFirstPayload(loop, connection)
  if (backend.failure !== 0) return 'failed'
  if (!loop.watch(backend.fd, connection, false)) return 'out-of-resources'
  loop.timers.clear(connection)
  loop.timers.set(connection, loop.nowMs + remainingConnectMs(loop, connection))
  return 'connecting'
}

/**
 * Reports whether the client has reset its connection and left nothing that a backend could still be given. One that
 * sends and closes with bytes of ours unread, such as a TLS ticket, resets too: its message is still delivered.
 */
export function hasLeft(loop: Loop, { client, backend }: Connection): boolean {
  if (client.failure === 0 || backend.queue !== null || client.tls?.hasMore === true) return false
  // Who has given a backend something of its own was connected to it: that is for the relay to end.
  const hasGiven = backend.fd >= 0 && backend.tls === null && backend.sentBytes > 0
  return !hasGiven && peekFrom(client, loop.buffer, 0, 1) === 0
}

/** An attempt has failed: closes its socket and says what follows. */
export function afterFailure(loop: Loop, connection: Connection): 'again' | 'later' | EndReason {
  const { backend } = connection
  const error = backend.failure
  closeSide(backend, true)
  if (backend.tls !== null) forgetTls(connection)
  backend.failure = 0
  loop.counters.add(METRICS.connectFailures.slot)
  followService(connection)
  const next = serviceOf(connection).afterFailure(connection, error, remainingConnectMs(loop, connection))
  if (next === 'give-up') return error === ETIMEDOUT ? 'connect-timeout' : 'connect-failed'
  loop.counters.add(METRICS.connectRetries.slot)
  if (next === 0) return 'again'
  loop.timers.clear(connection)
  loop.timers.set(connection, loop.nowMs + next)
  return 'later'
}

/** Leads a connection that has reached nobody to what its service is now: its backends of before may all be gone. */
function followService(connection: Connection): void {
  const entrance = entranceOf(connection)
  // What is kept for the next backend begins with the header of this entrance; another one may write another.
  if (entrance.successor !== null) return
  const before = serviceOf(connection)
  const now = entrance.route(connection)
  if (now === before || now.uses.isRetired) return
  if ((now.backendTls === undefined) !== (before.backendTls === undefined)) return
  now.uses.acquire()
  before.uses.release()
  connection.service = now
}

/** Another backend gets a session of its own, and nothing of what was to begin this one. */
function forgetTls(connection: Connection): void {
  const { backend } = connection
  backend.tls?.close()
  backend.tls = null
  backend.queue = null
  connection.hasFirstBytes = false
}

function remainingConnectMs(loop: Loop, connection: Connection): number {
  const { sharesConnectTimeout, timeouts } = serviceOf(connection)
  const spentMs = sharesConnectTimeout ? loop.nowMs - connection.dialSinceMs : 0
  return timeouts.connectTimeoutMs - spentMs
}

/** Sends what the backend gets first, the header and the client's first payload in one segment; or what is left of it. */
export function sendFirstBytes(loop: Loop, connection: Connection): void {
  const { client, backend } = connection
  if (connection.hasFirstBytes) return flush(backend)
  connection.hasFirstBytes = true
  if (backend.tls !== null && !backend.tls.isOpen) return beginBackendTls(loop, connection, backend.tls)
  if (connection.firstStart === connection.firstEnd) {
    connection.firstStart = 0
    connection.firstEnd = entranceOf(connection).writeHeader(connection, loop.buffer)
    if (client.isReadable) {
      connection.firstEnd += receiveFrom(client, loop.buffer, connection.firstEnd, loop.buffer.length)
    }
  }
  sendTo(backend, loop.buffer, connection.firstStart, connection.firstEnd)
  connection.firstStart = connection.firstEnd
}

/** Sends what begins TLS to a backend: the header, where it comes before the handshake, and the ClientHello. */
function beginBackendTls(loop: Loop, connection: Connection, tls: TlsSession): void {
  const { backendTls } = serviceOf(connection)
  const { buffer } = loop
  assert(connection.firstStart === connection.firstEnd, 'Who speaks TLS to backends reads no header from clients')
  const headerEnd =
    backendTls?.headerPlace === 'before-tls' ? entranceOf(connection).writeHeader(connection, buffer) : 0
  tls.step(0)
  buffer.set(produced.subarray(0, producedBytes()), headerEnd)
  sendBytes(connection.backend, buffer, 0, headerEnd + producedBytes())
}

/** Goes on with the handshake with a backend; once it is complete, the backend gets what comes first inside TLS. */
export function handshakeBackend(loop: Loop, connection: Connection): HandshakeStep {
  const { backend } = connection
  const { tls } = backend
  assert(tls !== null, 'Who shakes hands has a session')
  flush(backend)
  const step = backend.failure === 0 ? shakeHands(backend, tls) : 'failed'
  if (step === 'wait' && backend.isReadable) loop.continueLater(connection)
  if (step === 'open') connection.refusal = ''
  if (step === 'failed') {
    connection.refusal = tls.failure ?? (backend.failure === ETIMEDOUT ? 'timeout' : 'reset')
    breakSide(backend, EPROTO)
  }
  if (step === 'open' && serviceOf(connection).backendTls?.headerPlace === 'inside-tls') {
    connection.hasFirstBytes = false
    sendFirstBytes(loop, connection)
  }
  return step
}

/** Puts our own header in place of the one that was read, in front of the payload that came with it. */
function replaceHeader(loop: Loop, connection: Connection): void {
  const { backend } = connection
  const payload = loop.buffer.slice(connection.firstStart, connection.firstEnd)
  const headerEnd = entranceOf(connection).writeHeader(connection, loop.buffer)
  backend.queue = new Uint8Array(headerEnd + payload.length)
  backend.queue.set(loop.buffer.subarray(0, headerEnd))
  backend.queue.set(payload, headerEnd)
  backend.queueStart = 0
  connection.firstStart = connection.firstEnd
  connection.hasFirstBytes = true
}

/** Copies the payload that came with the header out of the loop's buffer, to be sent once the backend has accepted. */
function keepFirstPayload(loop: Loop, connection: Connection): void {
  enqueue(connection.backend, loop.buffer, connection.firstStart, connection.firstEnd)
  connection.firstStart = connection.firstEnd
  connection.hasFirstBytes = true
}

/** What the connection's listener led to. */
export function entranceOf(connection: Connection): Entrance {
  assert(connection.entrance !== null, 'A connection in use has an entrance')
  return connection.entrance
}

/** Where the connection is led to. */
export function serviceOf(connection: Connection): Service {
  assert(connection.service !== null, 'Who looks for a backend has a service')
  return connection.service
}

/** One side has broken: what it sent is delivered as long as the other side takes any of it. */
export function beginReset(loop: Loop, connection: Connection): void {
  connection.resetAtMs = loop.nowMs + resetSilenceMs(connection)
  connection.resetPollMs = RESET_POLL_MS
}

/** Delivers what a broken side sent; returns the reason of the end once that is done, or not to be done. */
export function deliverRest(loop: Loop, connection: Connection): EndReason | undefined {
  const { client, backend } = connection
  const isClient = client.failure !== 0
  const [broken, other] = isClient ? [client, backend] : [backend, client]
  const hasMore = relay(broken, other, loop)
  const reason = isClient ? 'client-reset' : 'backend-reset'
  if (isReceived(broken, other)) return reason
  const takenMs = loop.nowMs - sinceDeparture(other)
  connection.resetAtMs = Math.max(connection.resetAtMs, takenMs + resetSilenceMs(connection))
  if (loop.nowMs >= connection.resetAtMs) return reason
  if (hasMore) loop.continueLater(connection)
  // As long as some of it is here, the event of room for it comes first.
  if (!isDelivered(broken, other)) loop.timers.set(connection, connection.resetAtMs)
  else {
    loop.timers.set(connection, Math.min(loop.nowMs + connection.resetPollMs, connection.resetAtMs))
    connection.resetPollMs = Math.min(connection.resetPollMs * 2, RESET_POLL_MS_MAX)
  }
  return undefined
}

function resetSilenceMs(connection: Connection): number {
  const waitMs = inactivityMs(connection)
  return waitMs === 0 ? RESET_SILENCE_MS : Math.min(waitMs, RESET_SILENCE_MS)
}

/** The reason of an end where both sides have sent their FIN: one may have left out close_notify. */
export function orderlyEnd({ client, backend }: Connection): EndReason {
  if (client.tls?.isTruncated === true) return 'client-truncated'
  return backend.tls?.isTruncated === true ? 'backend-truncated' : 'finished'
}

/** Reports whether one side has sent its FIN. Both have not: that is the end of the connection. */
export function isHalfClosed(connection: Connection): boolean {
  return connection.client.hasEnded || connection.backend.hasEnded
}

/** How long the connection may be silent in its present state, in milliseconds; 0: for ever. */
export function inactivityMs(connection: Connection): number {
  const { idleTimeoutMs, halfClosedTimeoutMs } = serviceOf(connection).timeouts
  if (!isHalfClosed(connection) || halfClosedTimeoutMs === 0) return idleTimeoutMs
  return idleTimeoutMs === 0 ? halfClosedTimeoutMs : Math.min(idleTimeoutMs, halfClosedTimeoutMs)
}

/** Counts bytes as activity that have left for either side since the last event: a slow reader causes few events. */
export function noteDepartures(loop: Loop, connection: Connection): void {
  const sinceMs = Math.min(sinceDeparture(connection.client), sinceDeparture(connection.backend))
  connection.lastActiveMs = Math.max(connection.lastActiveMs, loop.nowMs - sinceMs)
}

/** Reports whether either side lacks bytes that the other one has sent. */
export function lacksBytes({ client, backend }: Connection): boolean {
  return isUndelivered(client, backend) || isUndelivered(backend, client)
}
