// A worker that has nothing to do yet plays connections with itself, because V8 compiles what has run often: without
// it the first seconds after a start cost the most, just when all clients come back. See
// docs/decisions/0014-workers-warm-up.md.

import assert from 'node:assert/strict'
import type { Endpoint } from '../../address/endpoint.ts'
import { ipv4Address } from '../../address/ip-address.ts'
import { EINPROGRESS } from '../../linux/errno.ts'
import { produced, producedBytes } from '../../linux/openssl.ts'
import {
  acceptFrom,
  close,
  connectTo,
  finish,
  localEndpoint,
  openListener,
  openStream,
  openWakeup,
  receive,
  setNoDelay,
  transmit,
} from '../../linux/socket.ts'
import { Counters } from '../../telemetry/metrics.ts'
import { TlsClient } from '../../tls/client.ts'
import { readClientHello } from '../../tls/client-hello.ts'
import type { TlsServer } from '../../tls/server.ts'
import { Side } from '../connection/side.ts'
import { sendBytes } from '../connection/side-io.ts'
import { closeNotify, receiveFrom, sendTo, shakeHands } from '../connection/transfer.ts'
import { EventLoop } from './event-loop.ts'
import type { RoleContext, WarmUpEntrances } from './role.ts'
import type { ConnectionLimits, WorkerLoop } from './worker-loop.ts'

/** So many batches let V8 compile nearly all that a connection meets. */
const BATCHES = 200
/** But no more than this, in milliseconds: the processor may be a slow one, and the key of a certificate a long one. */
const PLAY_MS_MAX = 1_500
/** Connections at once; a step takes 2 to 5 ms, for which the first real client may have to wait. */
const BATCH = 8
/** So many of them shake hands first, where clients speak TLS: a handshake costs ten times as much as all the rest. */
const BATCH_WITH_TLS = 2
/** How often both sides of a connection get a turn: enough for a handshake and a few messages. */
const TURNS = 5
/** In one batch of so many, one connection meets a full send queue, and pipes. */
const BULK_EVERY = 16
/** How often each ClientHello is read: that is a hundredth of a handshake, of which it would take as many. */
const READINGS = 10
const MESSAGE = new Uint8Array(64)
const BULK = new Uint8Array(512 * 1024)
const ANY_PORT = { address: ipv4Address(0x7f000001), port: 0 }
const NO_LIVENESS = { keepaliveMs: 0, userTimeoutMs: 0 }

/**
 * A loop of its own, with clients and an app of its own on 127.0.0.1.
 *
 * It touches nothing outside of this process, and stops for good when the kernel refuses it something.
 */
export class WarmUp {
  readonly #loop: WorkerLoop
  readonly #wakeupFd: number
  readonly #appFd: number
  readonly #plainFront: Endpoint
  /** Where the clients with TLS connect to, if there are any. */
  readonly #tlsFront: Endpoint
  readonly #entrances: WarmUpEntrances
  readonly #tls: TlsServer | null
  readonly #tlsClient: TlsClient | null
  readonly #buffer = new Uint8Array(64 * 1024)
  readonly #clock: () => number
  #batchesLeft = BATCHES
  #playedMs = 0

  /** @throws SystemCallError when there is no socket to be had */
  constructor(
    makeEntrances: (
      app: Endpoint,
      context: Pick<RoleContext, 'counters' | 'openTotal' | 'flowTotal'>,
    ) => WarmUpEntrances,
    limits: ConnectionLimits,
    clock: () => number,
  ) {
    const counters = new Counters()
    const openTotal = new Int32Array(new SharedArrayBuffer(4))
    const listen = listenOnLoopback
    const [wakeupFd, appFd, plainFd, tlsFd] = openAll([openWakeup, listen, listen, listen])
    this.#wakeupFd = wakeupFd
    this.#appFd = appFd
    const flowTotal = new Int32Array(1)
    this.#loop = new EventLoop({ limits, counters, openTotal, flowTotal, workers: 1, log: () => {}, clock, wakeupFd })
    const entrances = makeEntrances(boundTo(appFd), { counters, openTotal, flowTotal })
    const { plain, tls } = entrances
    this.#plainFront = boundTo(plainFd)
    this.#tlsFront = boundTo(tlsFd)
    this.#loop.addListener(plainFd, plain)
    this.#loop.addListener(tlsFd, tls ?? plain)
    this.#entrances = entrances
    this.#tls = tls?.tls ?? null
    this.#tlsClient = tls === null ? null : new TlsClient({ serverName: '', rootsPem: '' })
    this.#clock = clock
  }

  /** Plays a few connections from accept to end; reports whether there are more to play. */
  step(): boolean {
    const beganMs = this.#clock()
    const isWhole = this.#play()
    this.#batchesLeft -= 1
    this.#playedMs += this.#clock() - beganMs
    return isWhole && this.#batchesLeft > 0 && this.#playedMs < PLAY_MS_MAX
  }

  /** Plays one batch; reports whether there were sockets for all of it. */
  #play(): boolean {
    const clients = this.#connect()
    this.#begin(clients, false)
    const apps: number[] = []
    const hasBulk = this.#batchesLeft % BULK_EVERY === 0
    for (let turn = 0; turn < TURNS; turn++) {
      this.#loop.step(0)
      if (turn === 0) this.#begin(clients, true)
      for (let fd = acceptFrom(this.#appFd); fd >= 0; fd = acceptFrom(this.#appFd)) apps.push(fd)
      for (const [index, fd] of apps.entries()) this.#answer(fd, hasBulk && index === 0)
      this.#loop.step(0)
      for (const client of clients) this.#speak(client, turn < TURNS - 1)
    }
    for (const client of clients) {
      closeNotify(client)
      finish(client.fd)
    }
    this.#loop.step(0)
    for (const fd of apps) {
      while (receive(fd, this.#buffer, 0, this.#buffer.length) > 0);
      close(fd)
    }
    this.#loop.step(0)
    for (const client of clients) {
      close(client.fd)
      client.detach()
    }
    return clients.length === BATCH
  }

  /** Ends it, wherever it is. */
  close(): void {
    this.#loop.close()
    close(this.#wakeupFd)
    close(this.#appFd)
    this.#entrances.plain.uses.retire()
    this.#entrances.tls?.uses.retire()
    this.#tlsClient?.close()
  }

  #connect(): Side[] {
    const clients: Side[] = []
    for (let index = 0; index < BATCH; index++) {
      const fd = openStream(4)
      if (fd < 0) break
      // What a client says first often comes together with the end of the handshake.
      setNoDelay(fd)
      const client = new Side()
      client.attach(fd)
      clients.push(client)
      if (index < BATCH_WITH_TLS) client.tls = this.#tlsClient?.open() ?? null
      if (connectTo(fd, client.tls === null ? this.#plainFront : this.#tlsFront) !== EINPROGRESS) break
    }
    return clients
  }

  /** Clients say what they say first: those that are slow, or the others. */
  #begin(clients: readonly Side[], isSlow: boolean): void {
    for (const [index, client] of clients.entries()) {
      // The first, which has TLS where there is TLS, and the last have been accepted by then.
      if ((index === 0 || index === BATCH - 1) === isSlow) this.#open(client, index)
    }
  }

  #open(client: Side, index: number): void {
    const { tls } = client
    if (tls === null) {
      const { openings } = this.#entrances
      const opening = openings[index % openings.length]
      this.#buffer.set(opening)
      this.#buffer.set(MESSAGE, opening.length)
      sendBytes(client, this.#buffer, 0, opening.length + MESSAGE.length)
    } else {
      tls.step(0)
      this.#readHellos(producedBytes())
      sendBytes(client, produced, 0, producedBytes())
    }
  }

  /** Reads a ClientHello that is in `produced`, and chooses a certificate. */
  #readHellos(end: number): void {
    for (let times = 0; times < READINGS; times++) {
      const hello = readClientHello(produced, 0, end)
      if (hello.kind === 'hello') this.#tls?.contextFor(hello)
    }
  }

  /** The app's turn: it sends back what it got, or much. */
  #answer(fd: number, isBulk: boolean): void {
    const count = receive(fd, this.#buffer, 0, this.#buffer.length)
    if (isBulk) transmit(fd, BULK, 0, BULK.length)
    else if (count > 0) transmit(fd, this.#buffer, 0, count)
  }

  /** A client's turn: it reads all there is, and says something. */
  #speak(client: Side, hasMore: boolean): void {
    const { tls } = client
    client.isReadable = true
    if (tls !== null && !tls.isOpen && shakeHands(client, tls) !== 'open') return
    const room = this.#buffer.length
    while (client.isReadable && !client.hasEnded) receiveFrom(client, this.#buffer, 0, room)
    if (hasMore && client.queue === null && client.failure === 0) sendTo(client, MESSAGE, 0, MESSAGE.length)
  }
}

/** Opens all of them, or none. */
function openAll(opens: readonly (() => number)[]): number[] {
  const fds: number[] = []
  try {
    for (const open of opens) fds.push(open())
    return fds
  } catch (error) {
    for (const fd of fds) close(fd)
    throw error
  }
}

function listenOnLoopback(): number {
  return openListener(ANY_PORT, NO_LIVENESS)
}

function boundTo(fd: number): Endpoint {
  const endpoint = localEndpoint(fd)
  assert(endpoint !== undefined, 'A listening socket has an address')
  return endpoint
}
