// For tests: an event loop with a UDP port on real loopback sockets, stepped by hand, with a clock that stands still.
import assert from 'node:assert/strict'
import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { connectSpec, openConnected } from '../../linux/connect.ts'
import {
  DATAGRAMS_PER_BATCH,
  DatagramBatch,
  LOCAL_INTS,
  openDatagrams,
  openPort,
  PEER_INTS,
} from '../../linux/datagram.ts'
import { EAGAIN, errnoName } from '../../linux/errno.ts'
import { native } from '../../linux/native.ts'
import { bindTo, close, connectTo, localEndpoint, openWakeup } from '../../linux/socket.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import { Counters, METRICS } from '../../telemetry/metrics.ts'
import { NO_BYTES } from '../connection/connection-state.ts'
import { endpointOf, WIDE_LIMITS } from '../connection/test-loop.ts'
import { Uses } from '../connection/uses.ts'
import { EventLoop } from '../worker/event-loop.ts'
import type { WorkerLoop } from '../worker/worker-loop.ts'
import { type Datagram, type DatagramEntrance, type Flow, Verdict } from './datagram-entrance.ts'
import type { Port } from './port.ts'

const LOOPBACK = endpointOf('127.0.0.1:0')
const SETTLE_STEPS = 20
const DEADLINE_MS = 5_000
const QUESTION = '?'.charCodeAt(0)
const MALFORMED = 'X'.charCodeAt(0)
const NO_LOCAL = new Int32Array(LOCAL_INTS)

/**
 * An entrance whose header is one byte, the name of the client: `X` is malformed, `?` a question. A flow is what a client
 * sends through one peer address.
 */
export class LetterEntrance implements DatagramEntrance {
  isClosed = false
  readonly uses = new Uses(() => {
    this.isClosed = true
  })
  groupsByPeer = true
  flowsPerPeerMax = 0
  target: Endpoint
  idleMs = 60_000
  prefix = NO_BYTES
  answerPrefix = NO_BYTES
  /** What {@link meet} says. */
  verdict: Verdict = Verdict.Pass
  choice = -1
  readonly ended: FlowEndReason[] = []
  readonly opened: string[] = []
  /** Totals of those that have ended: datagrams and bytes from the client, then from the backend. */
  readonly totals: number[][] = []
  lastError = 0

  renew?: (flow: Flow, datagram: Datagram) => number

  constructor(target: Endpoint) {
    this.target = target
  }

  identify(datagram: Datagram, key: Int32Array): Verdict {
    if (datagram.start === datagram.end) return datagram.drop('header-missing')
    const letter = datagram.bytes[datagram.start]
    if (letter === MALFORMED) return datagram.drop('header-malformed')
    if (letter === QUESTION) return datagram.answer(Buffer.from('answer'))
    datagram.batch.copyPeerAddress(datagram.slot, key, 0)
    key[7] = letter
    datagram.start += 1
    return Verdict.Pass
  }

  meet(_flow: Flow, datagram: Datagram): Verdict {
    datagram.endReason = 'backend-unhealthy'
    return this.verdict
  }

  open(flow: Flow, datagram: Datagram): number {
    const fd = openConnected({ ...connectSpec(), transport: 'dgram', destination: this.target })
    assert.ok(fd >= 0, errnoName(fd))
    flow.source = datagram.peer()
    flow.target = this.target
    flow.idleMs = this.idleMs
    flow.prefix = this.prefix
    flow.answerPrefix = this.answerPrefix
    flow.choice = this.choice
    this.opened.push(formatEndpoint(datagram.local()))
    return fd
  }

  onEnd(flow: Flow, reason: FlowEndReason): void {
    this.ended.push(reason)
    this.lastError = flow.lastError
    const { datagramsFromClient, bytesFromClient, datagramsFromBackend, bytesFromBackend } = flow
    this.totals.push([datagramsFromClient, bytesFromClient, datagramsFromBackend, bytesFromBackend])
  }
}

/** A UDP socket of the test's own: a client or an edge, or what plays the app. */
export class TestDatagrams {
  readonly fd: number
  readonly endpoint: Endpoint
  readonly #batch = new DatagramBatch()
  readonly #peer = new Int32Array(PEER_INTS)

  /** @param to connected to it; undefined: to nobody */
  constructor({ at = LOOPBACK, to }: { readonly at?: Endpoint; readonly to?: Endpoint } = {}) {
    this.fd = openDatagrams(at.address.family)
    assert.equal(bindTo(this.fd, at.address, at.port), 0)
    if (to !== undefined) assert.equal(connectTo(this.fd, to), 0)
    const endpoint = localEndpoint(this.fd)
    assert.ok(endpoint)
    this.endpoint = endpoint
  }

  send(bytes: string | Uint8Array): void {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    const sent = native.send(this.fd, data, 0, data.length, 0)
    assert.equal(sent, data.length, errnoName(sent))
  }

  /** All that has come, as text. */
  receive(): string[] {
    const all: string[] = []
    for (;;) {
      const count = this.#batch.receive(this.fd, 0, DATAGRAMS_PER_BATCH)
      if (count === EAGAIN) return all
      assert.ok(count > 0, errnoName(count))
      for (let slot = 0; slot < count; slot++) all.push(this.#text(slot))
    }
  }

  /** Sends back what has come, with something behind it; returns how many datagrams that were. */
  echo(suffix = ''): number {
    const batch = this.#batch
    const peer = this.#peer
    let all = 0
    for (let count = batch.receive(this.fd, 0, DATAGRAMS_PER_BATCH); count > 0; ) {
      for (let slot = 0; slot < count; slot++) {
        const start = batch.start(slot)
        const end = batch.end(slot)
        if (suffix !== '') batch.bytes.set(Buffer.from(suffix), end)
        batch.setRange(slot, start, end + suffix.length)
        batch.copyPeer(slot, peer, 0)
        batch.addressToPeer(slot, peer, 0, NO_LOCAL, 0)
        batch.enqueue(slot, this.fd, false)
      }
      batch.sendAll()
      all += count
      count = batch.receive(this.fd, 0, DATAGRAMS_PER_BATCH)
    }
    return all
  }

  close(): void {
    close(this.fd)
  }

  #text(slot: number): string {
    return Buffer.from(this.#batch.bytes.subarray(this.#batch.start(slot), this.#batch.end(slot))).toString('latin1')
  }
}

/** A loop with one UDP port, on 127.0.0.1 unless said otherwise. `nowMs` is its clock. */
export class TestFlows {
  readonly loop: WorkerLoop
  readonly counters = new Counters()
  readonly logged: string[] = []
  readonly entrance: LetterEntrance
  readonly app: TestDatagrams
  readonly port: Port
  /** Where the port is. */
  readonly endpoint: Endpoint
  nowMs = 100_000

  constructor({ flowsMax = 1_000, workers = 1, listen = LOOPBACK, app = new TestDatagrams() } = {}) {
    this.app = app
    this.entrance = new LetterEntrance(app.endpoint)
    this.loop = new EventLoop({
      limits: { ...WIDE_LIMITS, flowsMax },
      counters: this.counters,
      openTotal: new Int32Array(1),
      flowTotal: new Int32Array(1),
      workers,
      log: (level, message) => this.logged.push(`${level}: ${message}`),
      clock: (_waitMs, time) => {
        time[0] = this.nowMs
      },
      wakeupFd: openWakeup(),
    })
    const fd = openPort(listen)
    const endpoint = localEndpoint(fd)
    assert.ok(endpoint)
    this.endpoint = endpoint
    this.port = this.loop.addPort(fd, endpoint, this.entrance)
  }

  get openCount(): number {
    return this.loop.flows?.openCount ?? 0
  }

  /** A client that sends to the port. */
  client(at = LOOPBACK, to = this.endpoint): TestDatagrams {
    return new TestDatagrams({ at, to })
  }

  dropped(reason: DropReason): number {
    return this.counters.read(METRICS.datagramsDropped.slots[reason])
  }

  /** Steps often enough for everything that is possible now to happen. */
  settle(): void {
    for (let step = 0; step < SETTLE_STEPS; step++) this.loop.step(0)
  }

  /** Steps until `isTrue` holds, while the clock stands still. */
  until(what: string, isTrue: () => boolean): void {
    for (const deadlineMs = performance.now() + DEADLINE_MS; !isTrue(); ) {
      assert.ok(performance.now() < deadlineMs, `never: ${what}`)
      this.loop.step(0)
    }
  }

  /** Sends, has the app answer each datagram, and returns the answers. */
  ask(client: TestDatagrams, ...texts: (string | Uint8Array)[]): string[] {
    for (const text of texts) client.send(text)
    this.settle()
    this.app.echo()
    this.settle()
    return client.receive()
  }

  /** Lets time pass at once, and everything happen that follows. */
  advance(elapsedMs: number): void {
    this.nowMs += elapsedMs
    this.settle()
  }

  close(): void {
    this.loop.close()
    this.app.close()
  }
}
