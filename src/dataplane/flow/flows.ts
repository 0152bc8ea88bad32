import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { DATAGRAMS_PER_BATCH, DatagramBatch, LOCAL_INTS, PEER_INTS } from '../../linux/datagram.ts'
import {
  EAGAIN,
  EINVAL,
  EIO,
  EMSGSIZE,
  EOPNOTSUPP,
  errnoName,
  isOutOfResources,
  SystemCallError,
} from '../../linux/errno.ts'
import { close } from '../../linux/socket.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import { FLOW_ERRNOS, METRICS } from '../../telemetry/metrics.ts'
import { Arrival } from './arrival.ts'
import { type DatagramEntrance, type Flow, KEY_INTS, Verdict } from './datagram-entrance.ts'
import { type FlowLimits, type FlowLoop, FlowSet } from './flow-set.ts'
import { HandOver } from './hand-over.ts'
import { Port } from './port.ts'
import { TurnQueue } from './turn-queue.ts'

/** What one port, and what all flows together, may move in a turn before others have theirs. */
const BATCHES_PER_TURN = 4
const ANSWERS_PER_TURN = BATCHES_PER_TURN * DATAGRAMS_PER_BATCH
/** Of one flow before another has its turn. */
const ANSWERS_PER_FLOW = 16
/** So many datagrams in a turn are traffic that is worth a wait; see {@link Flows.isBusy}. */
const BUSY_DATAGRAMS = 8
/** For how long a worker says nothing after it has said that a target answers with errors. */
const QUIET_MS = 60_000
/**
 * What the kernel says of several datagrams in one message that it would take one by one: one of them is larger than the
 * path lets through whole, the path is encrypted (xfrm), or the kernel does not know of it (before Linux 4.18).
 */
const CANNOT_JOIN: ReadonlySet<number> = new Set([EINVAL, EIO, EMSGSIZE, EOPNOTSUPP])
const TO_TARGET = {
  datagrams: METRICS.datagrams.slots['client-to-backend'],
  bytes: METRICS.datagramBytes.slots['client-to-backend'],
}
const TO_PEER = {
  datagrams: METRICS.datagrams.slots['backend-to-client'],
  bytes: METRICS.datagramBytes.slots['backend-to-client'],
}

/**
 * The UDP ports of one worker, and what passes between them and flows.
 *
 * A turn receives up to a batch from a port, finds the flow of each datagram, and sends all of them; then the answers of
 * all flows that have some, in the same way. Steady traffic allocates nothing.
 */
export class Flows {
  readonly #loop: FlowLoop
  readonly #set: FlowSet
  readonly #incoming = new DatagramBatch()
  readonly #outgoing = new DatagramBatch()
  readonly #arrival = new Arrival(
    this.#incoming,
    (arrival, bytes) => this.#answer(arrival, bytes),
    (client) => this.#set.makeWay(client),
  )
  /** By place in epoll's events; that of one that was closed is used again. */
  readonly #ports: (Port | undefined)[] = []
  #portsSoFar = 0
  #peerCount = 0
  /** Datagrams of this turn, both ways. */
  #moved = 0
  #quietUntilMs = 0

  // Of the batch that is being looked at.
  readonly #key = new Int32Array(KEY_INTS)
  /** The flow of each datagram (-1: none), and the length of its payload. */
  readonly #flowOf = new Int32Array(DATAGRAMS_PER_BATCH)
  readonly #lengths = new Int32Array(DATAGRAMS_PER_BATCH)
  /** Those that have their flow and have not been sent yet: the first one of each flow, and the next of the same flow. */
  readonly #firsts = new Int32Array(DATAGRAMS_PER_BATCH)
  readonly #nexts = new Int32Array(DATAGRAMS_PER_BATCH)
  #firstCount = 0
  /** By flow: its last one so far, plus 1; 0: it has none. */
  readonly #lastOf: Int32Array

  /** What may have more to receive. */
  readonly #readyPorts = new TurnQueue<Port>()
  readonly #readyFlows = new TurnQueue<Flow>()
  readonly #sources = new Int32Array(2 * DATAGRAMS_PER_BATCH)

  constructor(loop: FlowLoop, limits: FlowLimits) {
    this.#loop = loop
    this.#set = new FlowSet(loop, limits, () => this.#sendUnsent())
    this.#lastOf = new Int32Array(this.#set.capacity)
  }

  /** Flows open now. */
  get openCount(): number {
    return this.#set.openCount
  }

  /** Whether there is more to do than the last turn allowed. */
  get hasMore(): boolean {
    return this.#readyPorts.length > 0 || this.#readyFlows.length > 0
  }

  /**
   * Whether many datagrams have come in the last turn, and none is left: those that come next cost less when they have
   * waited for each other, because the kernel takes several of one flow as one message.
   */
  get isBusy(): boolean {
    return this.#moved >= BUSY_DATAGRAMS && !this.hasMore
  }

  /** Takes over the socket of a port that leads to `entrance`. @throws SystemCallError */
  addPort(fd: number, endpoint: Endpoint, entrance: DatagramEntrance): Port {
    const port = new Port(fd, endpoint, entrance, ++this.#portsSoFar)
    this.#add(port)
    return port
  }

  /**
   * Closes a port: another process on it serves newcomers from now on. Peers of flows go on by sockets of their own, until
   * those flows have ended.
   */
  closePort(port: Port): void {
    this.#set.beginTurn()
    const handOver = new HandOver(port, this.#set, this.#loop, (peer) => this.#add(peer))
    handOver.takePeers()
    handOver.stopReceiving()
    while (this.#receive(port));
    handOver.takePeers()
    handOver.tellRest()
    this.#remove(port)
  }

  /** The kernel says that a port has something to receive. */
  onPortEvent(index: number): void {
    const port = this.#ports[index]
    if (port !== undefined) this.#readyPorts.add(port)
  }

  /** The kernel says that a flow has an answer or an error. */
  onFlowEvent(index: number, generation: number): void {
    const flow = this.#set.at(index)
    if (flow.generation === generation) this.#readyFlows.add(flow)
  }

  onDeadline(flow: Flow): void {
    this.#set.onDeadline(flow, flow.isReady || this.#readyPorts.length > 0)
  }

  /** Receives and sends what there is, so much of it at most that others have their turn. */
  turn(): void {
    this.#set.beginTurn()
    this.#moved = 0
    if (this.#peerCount > 0) this.#removeUnusedPeers()
    this.#receiveFromPorts()
    this.#receiveFromFlows()
  }

  /** Ends the flows whose `choice` is one of these. */
  endThoseOf(choices: ReadonlySet<number>, reason: FlowEndReason): void {
    for (const flow of this.#set.all()) if (choices.has(flow.choice)) this.#set.end(flow, reason)
  }

  /** See {@link FlowSet.from}. */
  from(place: number, countMax: number): { readonly flows: Flow[]; readonly next: number } {
    return this.#set.from(place, countMax)
  }

  /** Ends every flow and closes every port. */
  close(): void {
    for (const flow of this.#set.all()) this.#set.end(flow, 'shutdown')
    for (const port of this.#ports) if (port !== undefined) this.#remove(port)
  }

  #add(port: Port): void {
    const free = this.#ports.indexOf(undefined)
    const index = free === -1 ? this.#ports.length : free
    const error = this.#loop.watchPort(port.fd, index)
    if (error < 0) throw new SystemCallError('epoll_ctl of a UDP port', error)
    this.#ports[index] = port
    if (port.isPeer) this.#peerCount += 1
    // What came before it was watched.
    this.#readyPorts.add(port)
  }

  #remove(port: Port): void {
    this.#ports[this.#ports.indexOf(port)] = undefined
    if (port.isPeer) this.#peerCount -= 1
    for (const flow of this.#set.ofPort(port)) this.#set.end(flow, 'drained')
    this.#loop.unwatch(port.fd)
    close(port.fd)
    port.leave()
  }

  #removeUnusedPeers(): void {
    for (const port of this.#ports) {
      if (port === undefined || !port.isPeer || port.keptFlows > 0) continue
      // What is queued is passed on first. Who sends without a pause keeps the socket, not the worker.
      if (this.#receive(port)) this.#readyPorts.add(port)
      else this.#remove(port)
    }
  }

  #receiveFromPorts(): void {
    const count = this.#readyPorts.begin()
    for (let place = 0; place < count; place++) {
      const port = this.#readyPorts.take(place)
      if (port.isClosed) continue
      let batches = 1
      while (this.#receive(port)) {
        if (batches++ < BATCHES_PER_TURN) continue
        this.#readyPorts.add(port)
        break
      }
    }
  }

  /** Receives a batch and passes it on; reports whether there may be more. */
  #receive(port: Port): boolean {
    const count = this.#incoming.receive(port.fd, 0, DATAGRAMS_PER_BATCH)
    // A socket of one peer hears of it when answers do not arrive, and then goes on.
    if (count < 0) return port.isPeer && count !== EAGAIN && !isOutOfResources(count)
    this.#countQueueFull((this.#incoming.droppedBefore(count - 1) - port.dropped) | 0)
    port.dropped = this.#incoming.droppedBefore(count - 1)
    this.#moved += count
    for (let slot = 0; slot < count; slot++) {
      this.#arrival.lookAt(slot, port)
      const index = this.#lead(this.#arrival)
      if (index >= 0) this.#chain(slot, index)
    }
    this.#sendUnsent()
    return count === DATAGRAMS_PER_BATCH
  }

  /** Finds the flow of a datagram, and makes it ready to be sent; returns the index, or -1: it is not sent. */
  #lead(arrival: Arrival): number {
    const { port, slot, batch } = arrival
    const { entrance } = port
    const key = this.#key
    for (let i = 0; i < KEY_INTS; i++) key[i] = 0
    let verdict: Verdict = batch.isTruncated(slot) ? arrival.drop('truncated') : entrance.identify(arrival, key)
    if (verdict !== Verdict.Pass) return this.#conclude(arrival)
    key[KEY_INTS - 1] = port.id
    let index = this.#set.find(key)
    if (index >= 0) {
      verdict = entrance.meet(this.#set.at(index), arrival)
      if (verdict === Verdict.Drop) return this.#conclude(arrival)
      if (verdict === Verdict.Renew) this.#renew(this.#set.at(index), arrival)
      if (verdict === Verdict.Replace) {
        this.#set.end(this.#set.at(index), arrival.endReason)
        index = -1
      }
    }
    if (index < 0) index = this.#set.open(arrival, key)
    if (index < 0) return this.#conclude(arrival)
    this.#set.use(index, port, batch, slot)
    if (verdict === Verdict.Done || !arrival.isPassedOn) return this.#conclude(arrival)
    const flow = this.#set.at(index)
    this.#lengths[slot] = arrival.end - arrival.start
    batch.setRange(slot, writePrefix(arrival.bytes, arrival.start, flow.prefix), arrival.end)
    batch.addressToTarget(slot)
    return index
  }

  /** Gives a flow another socket, if there is one. What has come to the one before is passed on to whom it was meant for. */
  #renew(flow: Flow, arrival: Arrival): void {
    const fd = arrival.port.entrance.renew?.(flow, arrival) ?? -1
    if (fd < 0) return
    // Both directions use the same numbers of a batch.
    this.#sendUnsent()
    this.#sources[0] = flow.fd
    this.#outgoing.receiveEach(this.#sources, 1, ANSWERS_PER_FLOW)
    this.#sendAnswers(this.#prepareAnswers(flow, this.#sources[1], 0))
    this.#set.renew(flow, fd)
  }

  /** Puts a datagram behind those of the same flow: they are sent with one call, and in their order. */
  #chain(slot: number, index: number): void {
    const last = this.#lastOf[index]
    if (last === 0) this.#firsts[this.#firstCount++] = slot
    else this.#nexts[last - 1] = slot
    this.#flowOf[slot] = index
    this.#nexts[slot] = -1
    this.#lastOf[index] = slot + 1
  }

  /** Counts a datagram that is not passed on, unless there was nothing to pass on. */
  #conclude({ dropReason }: Arrival): -1 {
    if (dropReason !== null) this.#countDropped(dropReason)
    return -1
  }

  /** Sends what has its flow: also in the middle of a batch, before a flow ends whose socket may be needed. */
  #sendUnsent(): void {
    const count = this.#firstCount
    if (count === 0) return
    this.#firstCount = 0
    for (let i = 0; i < count; i++) {
      const index = this.#flowOf[this.#firsts[i]]
      const { fd, mayJoin } = this.#set.at(index)
      this.#lastOf[index] = 0
      for (let slot = this.#firsts[i]; slot >= 0; slot = this.#nexts[slot]) this.#incoming.enqueue(slot, fd, mayJoin)
    }
    this.#incoming.sendAll()
    for (let i = 0; i < count; i++) {
      const flow = this.#set.at(this.#flowOf[this.#firsts[i]])
      for (let slot = this.#firsts[i]; slot >= 0; slot = this.#nexts[slot]) this.#settle(slot, flow)
    }
  }

  /** Counts what has become of a datagram for a target. */
  #settle(slot: number, flow: Flow): void {
    if (!this.#isSent(this.#incoming, slot, flow, flow)) return
    const bytes = this.#lengths[slot]
    this.#set.countToTarget(flow.index, bytes)
    this.#loop.counters.add(TO_TARGET.datagrams)
    this.#loop.counters.add(TO_TARGET.bytes, bytes)
  }

  #receiveFromFlows(): void {
    const all = this.#readyFlows.begin()
    let at = 0
    for (let answers = 0; at < all && answers < ANSWERS_PER_TURN; ) {
      const count = Math.min(all - at, DATAGRAMS_PER_BATCH)
      // The descriptor of a flow that has ended is -1, which the kernel refuses.
      for (let i = 0; i < count; i++) this.#sources[2 * i] = this.#readyFlows.at(at + i).fd
      const heard = this.#outgoing.receiveEach(this.#sources, count, ANSWERS_PER_FLOW)
      let slots = 0
      for (let i = 0; i < heard; i++) {
        slots = this.#prepareAnswers(this.#readyFlows.take(at + i), this.#sources[2 * i + 1], slots)
      }
      this.#sendAnswers(slots)
      at += heard
      answers += Math.max(slots, 1)
    }
    for (; at < all; at++) this.#readyFlows.add(this.#readyFlows.take(at))
  }

  /** Addresses the answers of a flow, which begin at a slot; returns the slot behind them. */
  #prepareAnswers(flow: Flow, result: number, from: number): number {
    if (flow.fd < 0) return from
    if (result < 0) {
      if (result === EAGAIN || isOutOfResources(result)) return from
      this.#noteError(flow, result)
      this.#readyFlows.add(flow)
      return from
    }
    // There is more only where it got all slots that it could.
    if (result === Math.min(ANSWERS_PER_FLOW, DATAGRAMS_PER_BATCH - from)) this.#readyFlows.add(flow)
    for (let slot = from; slot < from + result; slot++) {
      const start = this.#outgoing.start(slot)
      const end = this.#outgoing.end(slot)
      this.#flowOf[slot] = flow.index
      this.#lengths[slot] = end - start
      this.#countQueueFull(this.#set.newlyDropped(flow.index, this.#outgoing.droppedBefore(slot)))
      this.#outgoing.setRange(slot, writePrefix(this.#outgoing.bytes, start, flow.answerPrefix), end)
      this.#set.enqueueAnswer(flow.index, this.#outgoing, slot)
    }
    return from + result
  }

  #sendAnswers(count: number): void {
    if (count === 0) return
    this.#moved += count
    this.#outgoing.sendAll()
    for (let slot = 0; slot < count; slot++) {
      const index = this.#flowOf[slot]
      if (!this.#isSent(this.#outgoing, slot, this.#set.portOf(index), null)) continue
      const bytes = this.#lengths[slot]
      this.#set.countAnswer(index, bytes)
      this.#loop.counters.add(TO_PEER.datagrams)
      this.#loop.counters.add(TO_PEER.bytes, bytes)
    }
  }

  /**
   * Reports whether a datagram was sent, and counts it if it was not.
   *
   * @param by what it was sent by
   * @param flow whose errors tell of its target; null: they tell of a peer
   */
  #isSent(batch: DatagramBatch, slot: number, by: { mayJoin: boolean }, flow: Flow | null): boolean {
    let result = batch.result(slot)
    if (result === 0) return true
    const isJoined = batch.isJoined(slot)
    if (isJoined && CANNOT_JOIN.has(result)) {
      by.mayJoin = false
      result = sendAgain(batch, slot)
    } else if (result !== EAGAIN && result !== EMSGSIZE && !isOutOfResources(result)) {
      // An error that came back for an earlier datagram, told in place of sending this one.
      if (flow !== null) this.#noteError(flow, result)
      result = sendAgain(batch, slot)
    }
    if (result === 0) return true
    const isFull = result === EAGAIN || isOutOfResources(result)
    this.#countDropped(isFull ? 'send-queue-full' : result === EMSGSIZE ? 'too-large' : 'unreachable')
    return false
  }

  /** Answers a question that has no flow. */
  #answer(arrival: Arrival, bytes: Uint8Array): void {
    const batch = this.#outgoing
    const { port } = arrival
    const peer = new Int32Array(PEER_INTS)
    const local = new Int32Array(LOCAL_INTS)
    arrival.batch.copyPeer(arrival.slot, peer, 0)
    arrival.batch.copyLocal(arrival.slot, local, 0)
    const start = batch.room(0)
    batch.bytes.set(bytes, start)
    batch.setRange(0, start, start + bytes.length)
    if (port.isPeer) batch.addressToTarget(0)
    else batch.addressToPeer(0, peer, 0, local, 0)
    batch.enqueue(0, port.fd, false)
    batch.sendAll()
    this.#isSent(batch, 0, port, null)
  }

  #noteError(flow: Flow, error: number): void {
    flow.errors += 1
    flow.lastError = error
    const name = errnoName(error)
    const known = FLOW_ERRNOS.find((candidate) => candidate === name) ?? 'other'
    this.#loop.counters.add(METRICS.flowErrors.slots[known])
    const { nowMs, log } = this.#loop
    if (nowMs < this.#quietUntilMs) return
    this.#quietUntilMs = nowMs + QUIET_MS
    log('warn', 'A target answers datagrams with an error', {
      target: flow.target === null ? undefined : formatEndpoint(flow.target),
      errno: name,
      remedy: 'look whether the app listens there; the next datagram is tried again',
    })
  }

  #countDropped(reason: DropReason): void {
    this.#loop.counters.add(METRICS.datagramsDropped.slots[reason])
  }

  #countQueueFull(count: number): void {
    if (count > 0) this.#loop.counters.add(METRICS.datagramsDropped.slots['receive-queue-full'], count)
  }
}

/** Sends a datagram by itself; returns what was said of it. */
function sendAgain(batch: DatagramBatch, slot: number): number {
  batch.sendAgain(slot)
  return batch.result(slot)
}

/** Writes what comes in front of a datagram into its headroom; returns where it begins now. */
function writePrefix(bytes: Uint8Array, start: number, prefix: Uint8Array): number {
  const { length } = prefix
  // A call of TypedArray.prototype.set costs more for so few bytes.
  for (let i = 0; i < length; i++) bytes[start - length + i] = prefix[i]
  return start - length
}
