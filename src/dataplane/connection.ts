// The life of a connection, from accept to end. This file is where a reader starts: every transition stands in
// `drive`; what each phase does is in the stages below it, which say what they saw and never change the phase.

import type { Endpoint } from '../address/endpoint.ts'
import { ETIMEDOUT } from '../linux/errno.ts'
import { FAILED, HANGUP, READABLE, WRITABLE } from '../linux/poller.ts'
import { close, closeWithReset, takeError } from '../linux/socket.ts'
import { type EndReason, METRICS } from '../telemetry/metrics.ts'
import type { EventLoop } from './event-loop.ts'
import { breakPeer, enqueue, flush, Peer, receiveFrom, sendTo } from './peer.ts'
import { isDelivered, isReceived, passFinish, relay } from './relay.ts'
import type { HeaderRead } from './role.ts'
import type { Timed } from './timer-wheel.ts'

/** Where a connection is in its life; see {@link drive}. */
export const Phase = {
  /** The slot is free. */
  None: 0,
  /** Accepted; the PROXY protocol header is not complete. */
  ReadingHeader: 1,
  /** About to open a socket to a backend. */
  Dialling: 2,
  /** The backend has not answered the SYN. */
  Connecting: 3,
  /** An attempt failed; the next one is due at the deadline. */
  WaitingToDial: 4,
  /** Both sides are connected. */
  Relaying: 5,
  /** One side has broken: what it sent before is still being delivered, then the other side is reset. */
  Resetting: 6,
} as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** How long what a broken peer sent may take to be delivered before the other side is reset all the same. */
const RESET_WAIT_MS = 1_000
/** How often the send queue is looked at meanwhile; the kernel has no event for "all acknowledged". */
const RESET_POLL_MS = 10
const HEADER_BYTES_START = 128
const WITHOUT_BACKEND: ReadonlySet<EndReason> = new Set(['connect-failed', 'connect-timeout', 'no-backend', 'app-down'])
const NO_BYTES = new Uint8Array(0)

/** Everything known about one connection. Made once per slot and used again; see {@link EventLoop}. */
export class Connection implements Timed {
  /** Which slot this is, and how often it has been used: together they name a connection in epoll's events. */
  readonly index: number
  generation = 0
  phase: Phase = Phase.None
  readonly client = new Peer()
  readonly backend = new Peer()

  /** Who connected to us, and where: the client for an edge, the edge for an agent. */
  peer: Endpoint | null = null
  /** The client's address as the backend is to see it; null until it is known. */
  source: Endpoint | null = null
  /** Where the role connects to; its own to use. */
  target: Endpoint | null = null
  /** It is in the loop's list of those that have more to do. */
  isReady = false
  /** Attempts to connect so far. */
  attempts = 0
  /** The header named no client: the app sees the peer itself. */
  isLocal = false
  /** Which backend the role chose first and last; its own to use. */
  firstChoice = -1
  choice = -1
  /** Why the role refused the source, for the log. */
  refusal = ''

  startedMs = 0
  endedMs = 0
  lastActiveMs = 0
  dialSinceMs = 0
  resetAtMs = 0
  headerBytes = 0
  /** What the backend gets first has been put together: sent, or in its queue. */
  hasFirstBytes = false

  /** The incomplete header, and how much of it is there. */
  header = NO_BYTES
  headerEnd = 0
  /** The first payload as a range of the loop's buffer; only valid between two stages of one {@link drive}. */
  firstStart = 0
  firstEnd = 0

  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  constructor(index: number) {
    this.index = index
  }
}

/** Begins the life of an accepted connection: `fd` is connected to `peer`. */
export function begin(loop: EventLoop, connection: Connection, fd: number, peer: Endpoint): void {
  connection.client.attach(fd)
  connection.client.isReadable = true
  connection.peer = peer
  connection.source = null
  connection.target = null
  connection.attempts = 0
  connection.isLocal = false
  connection.firstChoice = -1
  connection.choice = -1
  connection.refusal = ''
  connection.startedMs = loop.nowMs
  connection.lastActiveMs = loop.nowMs
  connection.headerBytes = 0
  connection.headerEnd = 0
  connection.hasFirstBytes = false
  connection.firstStart = 0
  connection.firstEnd = 0
  const refused = loop.role.admit(peer.address)
  if (refused !== undefined) return end(loop, connection, refused)
  if (loop.role.expectsHeader) {
    connection.phase = Phase.ReadingHeader
    loop.timers.set(connection, loop.nowMs + loop.limits.headerTimeoutMs)
  } else {
    connection.source = peer
    connection.dialSinceMs = loop.nowMs
    connection.phase = Phase.Dialling
  }
  drive(loop, connection)
}

/** Takes an event of one of the two sockets. */
export function onEvent(loop: EventLoop, connection: Connection, isClient: boolean, events: number): void {
  const peer = isClient ? connection.client : connection.backend
  if ((events & READABLE) !== 0) peer.isReadable = true
  if ((events & WRITABLE) !== 0) peer.isWritable = true
  if ((events & HANGUP) !== 0) peer.isHungUp = true
  // A reset that comes behind a FIN shows up nowhere else: recv(2) goes on returning 0.
  if ((events & FAILED) !== 0) {
    const error = takeError(peer.fd)
    if (error < 0) breakPeer(peer, error)
  }
  connection.lastActiveMs = loop.nowMs
  drive(loop, connection)
}

/** Takes the passing of the connection's deadline. */
export function onDeadline(loop: EventLoop, connection: Connection): void {
  switch (connection.phase) {
    case Phase.ReadingHeader:
      return end(loop, connection, 'header-timeout')
    case Phase.Connecting:
      breakPeer(connection.backend, ETIMEDOUT)
      return drive(loop, connection)
    case Phase.WaitingToDial:
      connection.phase = Phase.Dialling
      return drive(loop, connection)
    case Phase.Relaying: {
      const dueMs = connection.lastActiveMs + inactivityMs(loop, connection)
      if (dueMs > loop.nowMs) return loop.timers.set(connection, dueMs)
      return end(loop, connection, isHalfClosed(connection) ? 'half-closed-timeout' : 'idle-timeout')
    }
    case Phase.Resetting:
      return drive(loop, connection)
  }
}

/** Takes a connection as far as it can go without waiting. */
export function drive(loop: EventLoop, connection: Connection): void {
  const { client, backend } = connection
  for (;;) {
    switch (connection.phase) {
      case Phase.ReadingHeader: {
        const read = readHeader(loop, connection)
        if (read.kind === 'incomplete') return
        if (read.kind === 'refused') return end(loop, connection, read.reason)
        connection.dialSinceMs = loop.nowMs
        connection.phase = Phase.Dialling
        continue
      }

      case Phase.Dialling: {
        const dialled = dial(loop, connection)
        if (dialled !== 'connecting' && dialled !== 'failed') return end(loop, connection, dialled)
        connection.phase = Phase.Connecting
        continue
      }

      case Phase.Connecting: {
        if (client.failure !== 0) return end(loop, connection, 'client-left')
        // Once a byte has been taken there is no second attempt: another backend must not get half a message.
        if (backend.failure !== 0 && backend.sentBytes === 0) {
          const next = afterFailure(loop, connection)
          if (typeof next === 'string') return end(loop, connection, next)
          connection.phase = next
          continue
        }
        if (!backend.isWritable && backend.sentBytes === 0) return
        sendFirstBytes(loop, connection)
        loop.timers.clear(connection)
        connection.phase = Phase.Relaying
        continue
      }

      case Phase.WaitingToDial: {
        if (client.failure !== 0) return end(loop, connection, 'client-left')
        return
      }

      case Phase.Relaying: {
        let hasMore = relay(client, backend, loop.buffer)
        hasMore = relay(backend, client, loop.buffer) || hasMore
        if (client.failure !== 0 || backend.failure !== 0) {
          connection.resetAtMs = loop.nowMs + RESET_WAIT_MS
          connection.phase = Phase.Resetting
          continue
        }
        if (isDelivered(client, backend) && isDelivered(backend, client)) return end(loop, connection, 'finished')
        passFinish(client, backend)
        passFinish(backend, client)
        if (hasMore) loop.continueLater(connection)
        const waitMs = inactivityMs(loop, connection)
        if (waitMs !== 0) loop.timers.set(connection, connection.lastActiveMs + waitMs)
        return
      }

      case Phase.Resetting: {
        const broken = client.failure !== 0 ? client : backend
        const other = broken === client ? backend : client
        const hasMore = relay(broken, other, loop.buffer)
        if (isReceived(broken, other) || loop.nowMs >= connection.resetAtMs) {
          return end(loop, connection, broken === client ? 'client-reset' : 'backend-reset')
        }
        if (hasMore) loop.continueLater(connection)
        return loop.timers.set(connection, Math.min(loop.nowMs + RESET_POLL_MS, connection.resetAtMs))
      }

      default:
        return
    }
  }
}

/** Ends a connection: closes what is open, counts it, and frees its slot. */
export function end(loop: EventLoop, connection: Connection, reason: EndReason): void {
  const { client, backend } = connection
  loop.timers.clear(connection)
  if (connection.phase >= Phase.Relaying) countBytes(loop, connection)
  // A client whose backend was never reached, or broke, must not take the end for an orderly one.
  const isOrderly = backend.failure === 0 && !WITHOUT_BACKEND.has(reason)
  if (isOrderly) close(client.fd)
  else closeWithReset(client.fd)
  if (backend.fd >= 0) {
    if (client.failure === 0) close(backend.fd)
    else closeWithReset(backend.fd)
  }
  connection.phase = Phase.None
  connection.endedMs = loop.nowMs
  loop.release(connection, reason)
  client.detach()
  backend.detach()
  connection.header = NO_BYTES
}

function countBytes(loop: EventLoop, connection: Connection): void {
  const { client, backend, headerBytes } = connection
  loop.counters.add(METRICS.bytes.slots['client-to-backend'], client.receivedBytes - headerBytes)
  loop.counters.add(METRICS.bytes.slots['backend-to-client'], backend.receivedBytes)
}

/** Reads as much of the header as there is. */
function readHeader(loop: EventLoop, connection: Connection): HeaderRead {
  const { client } = connection
  const { buffer } = loop
  while (client.isReadable) {
    // What came before is put in front of what comes now, so that the parser sees one range.
    const before = connection.headerEnd
    if (before > 0) buffer.set(connection.header.subarray(0, before))
    const count = receiveFrom(client, buffer, before, buffer.length)
    if (count === 0) {
      if (!client.hasEnded) break
      return { kind: 'refused', reason: before === 0 ? 'header-missing' : 'header-truncated' }
    }
    const received = before + count
    const read = loop.role.readHeader(connection, buffer, received)
    if (read.kind === 'complete') {
      connection.headerBytes = read.payloadStart
      connection.firstStart = read.payloadStart
      connection.firstEnd = received
      return read
    }
    if (read.kind === 'refused') return read
    if (connection.header.length < received) {
      connection.header = new Uint8Array(Math.max(HEADER_BYTES_START, read.bytesNeeded))
    }
    connection.header.set(buffer.subarray(0, received))
    connection.headerEnd = received
  }
  return AWAIT_MORE
}

const AWAIT_MORE: HeaderRead = { kind: 'incomplete', bytesNeeded: 0 }

/** Opens a socket to a backend; on return, `backend.isWritable` says whether it is connected already. */
function dial(loop: EventLoop, connection: Connection): 'connecting' | 'failed' | EndReason {
  const { backend } = connection
  connection.attempts += 1
  const dialled = loop.role.dial(connection)
  if (dialled.kind === 'refused') return dialled.reason
  backend.attach(dialled.kind === 'connecting' ? dialled.fd : -1)
  backend.isWritable = false
  if (dialled.kind === 'failed') breakPeer(backend, dialled.error)
  // On one host connect(2) has often completed by now: sending at once saves a turn of the loop.
  else if (dialled.isLocal) sendFirstBytes(loop, connection)
  // The loop's buffer is not ours beyond this turn.
  if (connection.firstStart < connection.firstEnd) keepFirstPayload(loop, connection)
  if (backend.failure !== 0) return 'failed'
  if (!loop.watch(backend.fd, connection, false)) return 'out-of-resources'
  loop.timers.clear(connection)
  loop.timers.set(connection, loop.nowMs + remainingConnectMs(loop, connection))
  return 'connecting'
}

/** An attempt has failed: closes its socket and says what follows. */
function afterFailure(loop: EventLoop, connection: Connection): Phase | EndReason {
  const { backend } = connection
  const error = backend.failure
  if (backend.fd >= 0) close(backend.fd)
  backend.fd = -1
  backend.failure = 0
  loop.counters.add(METRICS.connectFailures.slot)
  const next = loop.role.afterFailure(connection, error, remainingConnectMs(loop, connection))
  if (next === 'give-up') return error === ETIMEDOUT ? 'connect-timeout' : 'connect-failed'
  loop.counters.add(METRICS.connectRetries.slot)
  if (next === 0) return Phase.Dialling
  loop.timers.clear(connection)
  loop.timers.set(connection, loop.nowMs + next)
  return Phase.WaitingToDial
}

function remainingConnectMs(loop: EventLoop, connection: Connection): number {
  const spentMs = loop.role.sharesConnectTimeout ? loop.nowMs - connection.dialSinceMs : 0
  return loop.limits.connectTimeoutMs - spentMs
}

/** Sends what the backend gets first, the header and the client's first payload in one segment; or what is left of it. */
function sendFirstBytes(loop: EventLoop, connection: Connection): void {
  const { client, backend } = connection
  if (connection.hasFirstBytes) return flush(backend)
  connection.hasFirstBytes = true
  if (connection.firstStart === connection.firstEnd) {
    connection.firstStart = 0
    connection.firstEnd = loop.role.writeHeader(connection, loop.buffer)
    if (client.isReadable) {
      connection.firstEnd += receiveFrom(client, loop.buffer, connection.firstEnd, loop.buffer.length)
    }
  }
  sendTo(backend, loop.buffer, connection.firstStart, connection.firstEnd)
  connection.firstStart = connection.firstEnd
}

/** Copies the payload that came with the header out of the loop's buffer, to be sent once the backend has accepted. */
function keepFirstPayload(loop: EventLoop, connection: Connection): void {
  enqueue(connection.backend, loop.buffer, connection.firstStart, connection.firstEnd)
  connection.firstStart = connection.firstEnd
  connection.hasFirstBytes = true
}

/** Reports whether one side has sent its FIN. Both have not: that is the end of the connection. */
function isHalfClosed(connection: Connection): boolean {
  return connection.client.hasEnded || connection.backend.hasEnded
}

/** How long the connection may be silent in its present state, in milliseconds; 0: for ever. */
function inactivityMs(loop: EventLoop, connection: Connection): number {
  const { idleTimeoutMs, halfClosedTimeoutMs } = loop.limits
  if (!isHalfClosed(connection) || halfClosedTimeoutMs === 0) return idleTimeoutMs
  return idleTimeoutMs === 0 ? halfClosedTimeoutMs : Math.min(idleTimeoutMs, halfClosedTimeoutMs)
}
