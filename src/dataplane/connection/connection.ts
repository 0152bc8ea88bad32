// The life of a connection, from accept to end. This file is where a reader starts: every transition is in
// `drive`, and those before a backend is looked for in `meetClient`; what is done in a phase is in `stages.ts`, whose functions say what they saw and never change the phase.

import type { Endpoint } from '../../address/endpoint.ts'
import { ETIMEDOUT } from '../../linux/errno.ts'
import { FAILED, HANGUP, READABLE, URGENT, WRITABLE } from '../../linux/poller.ts'
import { END_REASONS, type EndReason } from '../../telemetry/end-reasons.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { TlsSession } from '../../tls/session.ts'
import { type Connection, type Entrance, NO_BYTES, NO_TLVS, Phase } from './connection-state.ts'
import type { Loop } from './loop.ts'
import { isDelivered, passFinish, relay } from './relay.ts'
import { breakSide } from './side.ts'
import { closeSide, takeFailure } from './side-io.ts'
import {
  afterFailure,
  answer,
  beginReset,
  deliverRest,
  dial,
  entranceOf,
  failHandshake,
  handshake,
  handshakeBackend,
  hasLeft,
  inactivityMs,
  isHalfClosed,
  lacksBytes,
  noteDepartures,
  orderlyEnd,
  readHeader,
  sendFirstBytes,
  serviceOf,
} from './stages.ts'
import { sendTo } from './transfer.ts'

/** Begins the life of an accepted connection: `fd` is connected to `peer`. */
export function begin(loop: Loop, connection: Connection, fd: number, peer: Endpoint, entrance: Entrance): void {
  connection.entrance = entrance
  entrance.uses.acquire()
  connection.client.attach(fd)
  connection.client.isReadable = true
  connection.peer = peer
  connection.source = null
  connection.target = null
  connection.attempts = 0
  connection.showsPeer = false
  connection.isAppListening = false
  connection.entranceId = -1
  connection.choice = -1
  connection.choiceGroup = -1
  connection.choiceReason = 0
  if (connection.tried.length > 0) connection.tried.length = 0
  connection.destination = null
  connection.refusal = ''
  connection.startedMs = loop.nowMs
  connection.lastActiveMs = loop.nowMs
  connection.headerBytes = 0
  connection.headerEnd = 0
  connection.hasFirstBytes = false
  connection.firstStart = 0
  connection.firstEnd = 0
  const refused = entrance.admit(connection, peer.address)
  if (refused !== undefined) return end(loop, connection, refused)
  if (entrance.expectsHeader) {
    connection.phase = Phase.ReadingHeader
    loop.timers.set(connection, loop.nowMs + entrance.headerTimeoutMs)
  } else {
    connection.source = peer
    if (!enterHandshake(loop, connection)) enterDialling(loop, connection)
  }
  drive(loop, connection)
}

/** The client's own bytes come from now on: a handshake first where they are encrypted, which is what it reports. */
function enterHandshake(loop: Loop, connection: Connection): boolean {
  const { tls } = entranceOf(connection)
  if (tls === null) return false
  connection.client.tls = TlsSession.accepting(tls)
  connection.phase = Phase.Handshaking
  loop.timers.clear(connection)
  loop.timers.set(connection, loop.nowMs + tls.handshakeTimeoutMs)
  return true
}

/** Leads a client that is not known yet to what its port leads to now: what it led to before may lead to nobody any more. */
function followPort(connection: Connection): void {
  const before = entranceOf(connection)
  let now = before
  while (now.successor !== null) now = now.successor
  // Where the port is closed by now, the entrance that the client came through still serves it; so it does where the
  // client has begun TLS and the port has none any more.
  if (now === before || now.uses.isRetired) return
  if (connection.phase === Phase.Handshaking && now.tls === null) return
  now.uses.acquire()
  before.uses.release()
  connection.entrance = now
}

/** It is known who the client is: from now on the connection holds its service, in place of its entrance. */
function enterDialling(loop: Loop, connection: Connection): void {
  followPort(connection)
  const entrance = entranceOf(connection)
  const service = entrance.route(connection)
  service.uses.acquire()
  entrance.uses.release()
  connection.service = service
  connection.dialSinceMs = loop.nowMs
  connection.phase = Phase.Dialling
}

/** Takes an event of one of the two sockets. */
export function onEvent(loop: Loop, connection: Connection, isClient: boolean, events: number): void {
  const side = isClient ? connection.client : connection.backend
  if ((events & READABLE) !== 0) side.isReadable = true
  if ((events & WRITABLE) !== 0) side.isWritable = true
  if ((events & HANGUP) !== 0) side.isHungUp = true
  if ((events & URGENT) !== 0) side.hasUrgent = true
  // A reset that comes behind a FIN shows up nowhere else: recv(2) goes on returning 0.
  if ((events & FAILED) !== 0) takeFailure(side)
  connection.lastActiveMs = loop.nowMs
  drive(loop, connection)
}

/** Takes the passing of the connection's deadline. */
export function onDeadline(loop: Loop, connection: Connection): void {
  switch (connection.phase) {
    case Phase.Handshaking:
      failHandshake(loop, connection, 'timeout')
      return end(loop, connection, 'handshake-failed')
    case Phase.ReadingHeader:
      return end(loop, connection, 'header-timeout')
    case Phase.Answering:
      return end(loop, connection, 'answered')
    case Phase.Connecting:
    case Phase.SecuringBackend:
      breakSide(connection.backend, ETIMEDOUT)
      return drive(loop, connection)
    case Phase.WaitingToDial:
      connection.phase = Phase.Dialling
      return drive(loop, connection)
    case Phase.Relaying: {
      const waitMs = inactivityMs(connection)
      if (connection.lastActiveMs + waitMs <= loop.nowMs) noteDepartures(loop, connection)
      const dueMs = connection.lastActiveMs + waitMs
      if (dueMs > loop.nowMs) return loop.timers.set(connection, dueMs)
      // What is still on its way will not arrive, and nobody must take that for an orderly end.
      const reason = isHalfClosed(connection) ? 'half-closed-timeout' : 'idle-timeout'
      return end(loop, connection, reason, lacksBytes(connection))
    }
    case Phase.Resetting:
      return drive(loop, connection)
  }
}

/** Takes a connection as far as it can go without waiting. */
export function drive(loop: Loop, connection: Connection): void {
  const { client, backend } = connection
  for (;;) {
    switch (connection.phase) {
      case Phase.ReadingHeader:
      case Phase.Handshaking:
      case Phase.Answering: {
        const met = meetClient(loop, connection)
        if (met === 'wait') return
        if (met !== 'known') return end(loop, connection, met)
        enterDialling(loop, connection)
        continue
      }

      case Phase.Dialling: {
        const dialled = dial(loop, connection)
        if (dialled !== 'connecting' && dialled !== 'failed') return end(loop, connection, dialled)
        connection.phase = Phase.Connecting
        continue
      }

      case Phase.Connecting: {
        if (hasLeft(loop, connection)) return end(loop, connection, 'client-left')
        // Once a byte has been taken there is no second attempt: another backend must not get half a message.
        if (backend.failure !== 0 && backend.sentBytes === 0) {
          if (tryAgain(loop, connection)) continue
          return
        }
        if (!backend.isWritable && backend.sentBytes === 0) return
        sendFirstBytes(loop, connection)
        connection.phase = Phase.SecuringBackend
        continue
      }

      case Phase.SecuringBackend: {
        if (hasLeft(loop, connection)) return end(loop, connection, 'client-left')
        const step = backend.tls === null ? 'open' : handshakeBackend(loop, connection)
        if (step === 'wait') return
        if (step === 'failed') {
          // Nothing of the client's has been read for this backend: another one can still have it.
          if (tryAgain(loop, connection, 'backend-handshake-failed')) continue
          return
        }
        loop.timers.clear(connection)
        serviceOf(connection).onReach(connection)
        connection.phase = Phase.Relaying
        continue
      }

      case Phase.WaitingToDial: {
        if (hasLeft(loop, connection)) return end(loop, connection, 'client-left')
        return
      }

      case Phase.Relaying: {
        let hasMore = relay(client, backend, loop)
        hasMore = relay(backend, client, loop) || hasMore
        if (client.failure !== 0 || backend.failure !== 0) {
          beginReset(loop, connection)
          connection.phase = Phase.Resetting
          continue
        }
        if (isDelivered(client, backend) && isDelivered(backend, client)) {
          return end(loop, connection, orderlyEnd(connection))
        }
        passFinish(client, backend)
        passFinish(backend, client)
        if (hasMore) loop.continueLater(connection)
        const waitMs = inactivityMs(connection)
        if (waitMs !== 0) loop.timers.set(connection, connection.lastActiveMs + waitMs)
        return
      }

      case Phase.Resetting: {
        const reason = deliverRest(loop, connection)
        if (reason !== undefined) end(loop, connection, reason)
        return
      }

      default:
        return
    }
  }
}

/**
 * Takes a connection through what comes before a backend is looked for, as far as it can go without waiting: `known` once
 * the client is, or the reason of an end without a backend.
 */
function meetClient(loop: Loop, connection: Connection): 'wait' | 'known' | EndReason {
  for (;;) {
    switch (connection.phase) {
      case Phase.ReadingHeader: {
        followPort(connection)
        const read = readHeader(loop, connection)
        if (read.kind === 'incomplete') return 'wait'
        if (read.kind === 'refused') return read.reason
        if (read.kind === 'answer') {
          sendTo(connection.client, read.bytes, 0, read.bytes.length)
          connection.phase = Phase.Answering
          continue
        }
        if (!enterHandshake(loop, connection)) return 'known'
        continue
      }

      case Phase.Handshaking: {
        const step = handshake(loop, connection)
        if (step === 'open') return 'known'
        return step === 'failed' ? 'handshake-failed' : 'wait'
      }

      default:
        return answer(loop, connection) ? 'answered' : 'wait'
    }
  }
}

/** An attempt has failed: another one follows, or the connection ends, by default for the reason that the stage gives. */
function tryAgain(loop: Loop, connection: Connection, lastReason?: EndReason): boolean {
  const next = afterFailure(loop, connection)
  if (next !== 'again' && next !== 'later') {
    end(loop, connection, lastReason ?? next)
    return false
  }
  connection.phase = next === 'again' ? Phase.Dialling : Phase.WaitingToDial
  return true
}

/**
 * Ends a connection: closes what is open, counts it, and frees its slot.
 *
 * @param isCutOff both sides are reset: it ends in the middle of something
 */
export function end(
  loop: Loop,
  connection: Connection,
  reason: EndReason,
  isCutOff: boolean = END_REASONS[reason].isCutOff,
): void {
  const { client, backend, service } = connection
  const entrance = entranceOf(connection)
  loop.timers.clear(connection)
  if (connection.phase >= Phase.Relaying) countBytes(loop, connection)
  connection.endedMs = loop.nowMs
  // The sockets can still be asked.
  entrance.onEnd(connection, reason)
  service?.onLeave(connection, reason)
  const { uses } = service ?? entrance
  uses.release()
  // Before a socket is closed: whoever has seen the end of a connection finds it counted.
  loop.counters.add(METRICS.ended.slots[reason])
  // Who is cut off, or whose other side was never reached or broke, must not take the end for an orderly one.
  closeSide(client, backend.failure === 0 && !isCutOff)
  closeSide(backend, client.failure === 0 && !isCutOff)
  connection.phase = Phase.None
  loop.release(connection)
  if (client.pipe !== null) loop.pipes.discard(client.pipe)
  if (backend.pipe !== null) loop.pipes.discard(backend.pipe)
  client.detach()
  backend.detach()
  connection.header = NO_BYTES
  connection.tlvs = NO_TLVS
}

function countBytes(loop: Loop, connection: Connection): void {
  const { client, backend, headerBytes } = connection
  loop.counters.add(METRICS.bytes.slots['client-to-backend'], client.receivedBytes - headerBytes)
  loop.counters.add(METRICS.bytes.slots['backend-to-client'], backend.receivedBytes)
}
