// For tests: an event loop on real loopback sockets that is stepped by hand, with a clock that stands still.
import assert from 'node:assert/strict'
import { type Endpoint, parseEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { connectFailure, connectSpec, openConnected } from '../../linux/connect.ts'
import { EAGAIN, EINPROGRESS, errnoName } from '../../linux/errno.ts'
import { native } from '../../linux/native.ts'
import {
  accepted,
  acceptFrom,
  close,
  closeWithReset,
  connectTo,
  finish,
  localEndpoint,
  openListener,
  openStream,
  openWakeup,
  receive,
  transmit,
} from '../../linux/socket.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import { Counters } from '../../telemetry/metrics.ts'
import type { TlsServer } from '../../tls/server.ts'
import { EventLoop } from '../worker/event-loop.ts'
import type { Listener } from '../worker/listener.ts'
import type { ConnectionLimits, WorkerLoop } from '../worker/worker-loop.ts'
import type {
  AfterFailure,
  BackendTls,
  Connection,
  Dial,
  Entrance,
  HeaderRead,
  Service,
  Timeouts,
} from './connection-state.ts'
import { hasAcknowledged, sinceDeparture } from './side-io.ts'
import { Uses } from './uses.ts'

/** No keepalive and no user timeout. */
export const NO_LIVENESS = { keepaliveMs: 0, userTimeoutMs: 0 }
const LOOPBACK = endpointOf('127.0.0.1:0')
const DEADLINE_MS = 5_000
const LINE_FEED = 0x0a
const SETTLE_STEPS = 20
const MSG_OOB = 1

/** What bounds a connection of a {@link TestLoop}. */
export type TestLimits = ConnectionLimits & Timeouts & Pick<Entrance, 'headerTimeoutMs'>

/** Limits that no test meets by accident. */
export const WIDE_LIMITS: TestLimits = {
  headerTimeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 0,
  halfClosedTimeoutMs: 3_600_000,
  connectionsPerWorkerMax: 1_000,
  connectionsMax: 1_000,
  flowsMax: 1_000,
}

/** A non-blocking socket of the test's own, client or app. */
export class TestSocket {
  readonly fd: number
  readonly #buffer = new Uint8Array(64 * 1024)
  receivedBytes = 0

  constructor(fd: number) {
    assert.ok(fd >= 0, errnoName(fd))
    this.fd = fd
  }

  /** Sends what the kernel takes; returns the number of bytes. */
  send(bytes: string | Uint8Array): number {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    const count = transmit(this.fd, data, 0, data.length)
    return count === EAGAIN ? 0 : count
  }

  /** Sends all of `bytes`, the last one as an urgent one (send(2) MSG_OOB); returns the number of bytes. */
  sendUrgent(bytes: string): number {
    return native.send(this.fd, Buffer.from(bytes, 'latin1'), 0, bytes.length, MSG_OOB)
  }

  /** What one recv(2) says: the text, `FIN`, `nothing`, or the name of an error. */
  receive(): string {
    const count = receive(this.fd, this.#buffer, 0, this.#buffer.length)
    if (count > 0) this.receivedBytes += count
    if (count > 0) return Buffer.from(this.#buffer.subarray(0, count)).toString('latin1')
    if (count === 0) return 'FIN'
    return count === EAGAIN ? 'nothing' : errnoName(count)
  }

  finish(): void {
    finish(this.fd)
  }

  close(): void {
    close(this.fd)
  }

  reset(): void {
    closeWithReset(this.fd)
  }
}

/**
 * An entrance with a header of one line, `X` at whose front is malformed, and in one with it the service behind it, which
 * has one target. Everything else can be replaced by a test.
 */
export class LineRole implements Entrance, Service {
  readonly uses = new Uses(() => this.closed())
  successor: Entrance | null = null
  tls: TlsServer | null = null
  readonly expectsHeader: boolean
  headerTimeoutMs = WIDE_LIMITS.headerTimeoutMs
  readonly writesHeader = false
  timeouts: Timeouts = WIDE_LIMITS
  readonly sharesConnectTimeout = true
  readonly backendTls: BackendTls | undefined = undefined
  readonly target: Endpoint
  /** What is done after a failed attempt. */
  next: AfterFailure = 'give-up'

  constructor(target: Endpoint, expectsHeader = true) {
    this.target = target
    this.expectsHeader = expectsHeader
  }

  get mayHaveBackendTls(): boolean {
    return this.backendTls !== undefined
  }

  /** It was retired, and nobody uses it any more. */
  closed(): void {
    this.tls?.retire()
  }

  admit(): EndReason | undefined {
    return undefined
  }

  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead {
    if (bytes[0] === 0x58) return { kind: 'refused', reason: 'header-malformed' }
    const at = bytes.subarray(0, end).indexOf(LINE_FEED)
    if (at < 0) return { kind: 'incomplete', bytesNeeded: end + 1 }
    connection.source = connection.peer
    return { kind: 'complete', payloadStart: at + 1 }
  }

  route(): Service {
    return this
  }

  dial(): Dial {
    const fd = openConnected({ ...connectSpec(), destination: this.target })
    return fd < 0 ? { kind: 'failed', error: connectFailure.error } : { kind: 'connecting', fd, isLoopback: true }
  }

  afterFailure(): AfterFailure {
    return this.next
  }

  writeHeader(): number {
    return 0
  }

  onEnd(_connection?: Connection, _reason?: EndReason): void {}

  onReach(): void {}

  onLeave(): void {}
}

/** A listening socket that plays the app. */
export class TestApp {
  readonly fd: number
  readonly endpoint: Endpoint
  readonly #queued: TestSocket[] = []

  constructor(endpoint: Endpoint = LOOPBACK) {
    this.fd = openListener(endpoint, NO_LIVENESS)
    this.endpoint = boundEndpoint(this.fd)
  }

  /** Takes a connection that is there already; undefined when there is none. */
  take(): TestSocket | undefined {
    const fd = acceptFrom(this.fd)
    return fd === EAGAIN ? undefined : new TestSocket(fd)
  }

  /** Makes the queue full, so that SYNs are no longer answered (listen(2)): a black hole that needs no firewall. */
  ignoreConnections(): void {
    native.listen(this.fd, 0)
    const queued = connectSocket(this.endpoint)
    this.#queued.push(queued)
  }

  close(): void {
    for (const socket of this.#queued) socket.close()
    close(this.fd)
  }
}

/** A loop with one listener, on 127.0.0.1 unless said otherwise. `nowMs` is its clock. */
export class TestLoop {
  readonly loop: WorkerLoop
  readonly counters = new Counters()
  readonly endpoint: Endpoint
  readonly listener: Listener
  /** Reasons of the connections that have ended, in order. */
  readonly ended: EndReason[] = []
  readonly logged: string[] = []
  nowMs = 100_000

  constructor(
    entrance: Entrance,
    limits: Partial<TestLimits> = {},
    { listen = LOOPBACK, tls = null }: { readonly listen?: Endpoint; readonly tls?: TlsServer | null } = {},
  ) {
    const bounds = { ...WIDE_LIMITS, ...limits }
    if (entrance instanceof LineRole) {
      entrance.tls = tls
      entrance.timeouts = bounds
      entrance.headerTimeoutMs = bounds.headerTimeoutMs
    }
    const onEnd = entrance.onEnd.bind(entrance)
    entrance.onEnd = (connection, reason) => {
      this.ended.push(reason)
      onEnd(connection, reason)
    }
    this.loop = new EventLoop({
      limits: bounds,
      counters: this.counters,
      openTotal: new Int32Array(new SharedArrayBuffer(4)),
      flowTotal: new Int32Array(new SharedArrayBuffer(4)),
      workers: 1,
      log: (level, message) => this.logged.push(`${level}: ${message}`),
      clock: (_waitMs, time) => {
        time[0] = this.nowMs
      },
      wakeupFd: openWakeup(),
    })
    const listener = openListener(listen, NO_LIVENESS)
    this.endpoint = boundEndpoint(listener)
    this.listener = this.loop.addListener(listener, entrance)
  }

  /** Opens a connection to the loop's listener. */
  connect(): TestSocket {
    return connectSocket(this.endpoint)
  }

  /** Takes the next connection that the loop opens to `app`. */
  accept(app: TestApp): TestSocket {
    let fd = acceptFrom(app.fd)
    this.until('the app is connected to', () => {
      if (fd === EAGAIN) fd = acceptFrom(app.fd)
      return fd !== EAGAIN
    })
    return new TestSocket(fd)
  }

  /** As {@link accept}, but says from which address the loop connects. */
  acceptedFrom(app: TestApp): string {
    this.accept(app)
    return accepted.address === undefined ? '' : formatIpAddress(accepted.address)
  }

  /** Steps until `isTrue` holds, while the clock stands still. */
  until(what: string, isTrue: () => boolean): void {
    for (const deadlineMs = performance.now() + DEADLINE_MS; !isTrue(); ) {
      assert.ok(performance.now() < deadlineMs, `never: ${what}`)
      this.loop.step(0)
    }
  }

  /** Steps until `socket` says something, and returns that. */
  read(socket: TestSocket): string {
    let received = socket.receive()
    this.until('something arrives', () => {
      if (received === 'nothing') received = socket.receive()
      return received !== 'nothing'
    })
    return received
  }

  /** Steps often enough for everything that is possible now to happen. */
  settle(): void {
    for (let step = 0; step < SETTLE_STEPS; step++) this.loop.step(0)
  }

  /** Lets time pass at once, and everything happen that follows. */
  advance(elapsedMs: number): void {
    this.nowMs += elapsedMs
    this.settle()
  }

  /**
   * Steps until all that was sent has been acknowledged, and has the connections know it: the kernel's clock goes on
   * while that of the loop stands still, so that this would be activity when they look.
   */
  untilAcknowledged(): void {
    const sides = this.loop.openConnections().flatMap(({ client, backend }) => [client, backend])
    this.until('all is acknowledged', () => sides.every(hasAcknowledged))
    for (const side of sides) sinceDeparture(side)
    this.settle()
  }

  /** Opens a connection and takes it to the point where both sides talk. */
  establish(app: TestApp, header = 'header\n'): { readonly client: TestSocket; readonly backend: TestSocket } {
    const client = this.connect()
    client.send(header)
    const backend = this.accept(app)
    this.settle()
    return { client, backend }
  }

  close(): void {
    this.loop.close()
  }
}

/** Opens a non-blocking connection that may still be connecting. */
export function connectSocket(to: Endpoint): TestSocket {
  const fd = openStream(to.address.family)
  const connected = connectTo(fd, to)
  assert.ok(connected === 0 || connected === EINPROGRESS, errnoName(connected))
  return new TestSocket(fd)
}

/** Parses an end point that a test has written itself. */
export function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

function boundEndpoint(fd: number): Endpoint {
  const endpoint = localEndpoint(fd)
  assert.ok(endpoint)
  return endpoint
}
