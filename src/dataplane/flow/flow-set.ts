import { randomInt } from 'node:crypto'
import { clientHigh, clientLow } from '../../address/client-network.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import { type DatagramBatch, LOCAL_INTS, PEER_INTS } from '../../linux/datagram.ts'
import { close } from '../../linux/socket.ts'
import type { FlowEndReason } from '../../telemetry/flow-reasons.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { NO_BYTES, NO_TLVS } from '../connection/connection-state.ts'
import type { Loop } from '../connection/loop.ts'
import type { Arrival } from './arrival.ts'
import { type DatagramEntrance, Flow, KEY_INTS } from './datagram-entrance.ts'
import { FlowTable } from './flow-table.ts'
import type { Port } from './port.ts'

/** What is never used up, however high the limit. */
const FLOWS_PER_WORKER_MAX = 262_144
/** For how long a worker says nothing after it has said that flows make place for others. */
const QUIET_MS = 60_000
/** While not all was heard that has been said, nobody is known to be silent. */
const LOOK_AGAIN_MS = 1_000
/** Places that are looked at for a list of flows before others have their turn. */
const PLACES_PER_LOOK = 4_096

/** Numbers that are kept for each flow: numbers of objects would be made anew at each change. */
const Total = { datagramsFromClient: 0, bytesFromClient: 1, datagramsFromBackend: 2, bytesFromBackend: 3 } as const
const TOTALS = 4

/** What flows ask of the loop that they live in. */
export type FlowLoop = Pick<Loop, 'counters' | 'log' | 'timers' | 'nowMs'> & {
  /** Has the kernel tell of a port that has something to receive; returns 0 or a negated errno. */
  watchPort(fd: number, index: number): number
  /** The same of a flow. */
  watchFlow(fd: number, index: number, generation: number): number
  /** Before a socket is closed that may stay open elsewhere. */
  unwatch(fd: number): void
}

/** How many flows there may be. */
export type FlowLimits = {
  /** Of all workers together. */
  readonly flowsMax: number
  readonly workers: number
  /** One cell, shared by all workers: flows open now. */
  readonly flowTotal: Int32Array
}

/** The flows of one worker: which there are, how they begin and end, and who is the peer of each. */
export class FlowSet {
  /** The index of every flow is below it. */
  readonly capacity: number
  readonly #loop: FlowLoop
  readonly #limits: FlowLimits
  readonly #share: number
  readonly #beforeEnd: (flow: Flow) => void
  readonly #table: FlowTable
  readonly #peerKey = new Int32Array(PEER_INTS)
  /** The time of this turn; what a getter returns may be a new number on the heap for each datagram. */
  readonly #now = new Float64Array(1)
  #openCount = 0
  #evicted = 0
  #quietUntilMs = 0

  // By the index of a flow.
  readonly #flows: Flow[] = []
  readonly #ports: Port[] = []
  readonly #keptBy: (Port | null)[] = []
  readonly #peers: Int32Array
  readonly #locals: Int32Array
  readonly #totals: Float64Array
  readonly #usedMs: Float64Array
  readonly #dropped: Int32Array
  readonly #isAnswered: Uint8Array

  /** @param beforeEnd sends what is still to be sent by the socket of a flow that ends */
  constructor(loop: FlowLoop, limits: FlowLimits, beforeEnd: (flow: Flow) => void) {
    this.#loop = loop
    this.#limits = limits
    this.#share = Math.max(1, Math.floor(limits.flowsMax / limits.workers))
    this.#beforeEnd = beforeEnd
    // One more: a flow is opened before another makes place for it.
    const capacity = Math.min(limits.flowsMax, FLOWS_PER_WORKER_MAX) + 1
    this.capacity = capacity
    this.#table = new FlowTable(KEY_INTS, PEER_INTS, capacity, randomInt(2 ** 32))
    this.#peers = new Int32Array(capacity * PEER_INTS)
    this.#locals = new Int32Array(capacity * LOCAL_INTS)
    this.#totals = new Float64Array(capacity * TOTALS)
    this.#usedMs = new Float64Array(capacity)
    this.#dropped = new Int32Array(capacity)
    this.#isAnswered = new Uint8Array(capacity)
  }

  /** What is used from now on is used at this time. */
  beginTurn(): void {
    this.#now[0] = this.#loop.nowMs
  }

  /** Flows open now. */
  get openCount(): number {
    return this.#openCount
  }

  /** The index of the flow of a key; -1: there is none. */
  find(key: Int32Array): number {
    return this.#table.find(key)
  }

  at(index: number): Flow {
    return this.#flows[index]
  }

  /** Where the answers of a flow leave: where its last datagram has come in. */
  portOf(index: number): Port {
    return this.#ports[index]
  }

  /** Opens a flow by its first datagram; returns its index, or -1: the entrance did not. */
  open(arrival: Arrival, key: Int32Array): number {
    const { port } = arrival
    const { entrance } = port
    const index = this.#table.takeSlot()
    if (index < 0) {
      arrival.drop('flow-limit')
      return -1
    }
    const flow = this.#flowAt(index)
    const fd = this.#openSocket(flow, arrival)
    if (fd < 0) {
      resetFlow(flow)
      this.#table.giveBack(index)
      return -1
    }
    this.#setPeerKey(entrance.groupsByPeer ? null : flow.sharedBy)
    if (entrance.groupsByPeer) arrival.batch.copyPeerAddress(arrival.slot, this.#peerKey, 0)
    this.#makePlace(entrance)
    this.#table.add(index, key, this.#peerKey)
    entrance.uses.acquire()
    flow.fd = fd
    flow.entrance = entrance
    flow.peer ??= arrival.peer()
    flow.startedMs = this.#loop.nowMs
    flow.mayJoin = true
    this.#begin(index)
    if (this.#loop.watchFlow(fd, index, flow.generation) === 0) return index
    this.end(flow, 'out-of-resources')
    arrival.drop('flow-limit')
    return -1
  }

  /** See `Datagram.makeWay`. */
  makeWay(client: IpAddress): boolean {
    this.#setPeerKey(client)
    const index = this.#table.unassuredOf(this.#peerKey)
    if (index < 0) return false
    this.end(this.#flows[index], 'client-limit')
    return true
  }

  /** A datagram of the client has come: answers go to its sender from now on. */
  use(index: number, port: Port, batch: DatagramBatch, slot: number): void {
    batch.copyPeer(slot, this.#peers, index * PEER_INTS)
    batch.copyLocal(slot, this.#locals, index * LOCAL_INTS)
    this.#ports[index] = port
    if (this.#isAnswered[index] === 1) this.#table.assure(index)
    this.#touch(index)
  }

  /** Has an answer of a flow sent to its peer. */
  enqueueAnswer(index: number, batch: DatagramBatch, slot: number): void {
    const port = this.#ports[index]
    // What is connected to the peer does not take its address once more.
    if (port.isPeer) batch.addressToTarget(slot)
    else batch.addressToPeer(slot, this.#peers, index * PEER_INTS, this.#locals, index * LOCAL_INTS)
    batch.enqueue(slot, port.fd, port.mayJoin)
  }

  /** A datagram of the client was passed on, with so much payload. */
  countToTarget(index: number, bytes: number): void {
    this.#totals[index * TOTALS + Total.datagramsFromClient] += 1
    this.#totals[index * TOTALS + Total.bytesFromClient] += bytes
  }

  /** An answer was passed on. */
  countAnswer(index: number, bytes: number): void {
    this.#totals[index * TOTALS + Total.datagramsFromBackend] += 1
    this.#totals[index * TOTALS + Total.bytesFromBackend] += bytes
    this.#isAnswered[index] = 1
    this.#touch(index)
  }

  /** How many answers the queue of a flow had no room for since this was asked last. */
  newlyDropped(index: number, dropped: number): number {
    const count = (dropped - this.#dropped[index]) | 0
    this.#dropped[index] = dropped
    return count
  }

  /** The flow goes on by this socket, and the one before is closed. */
  renew(flow: Flow, fd: number): void {
    const generation = (flow.generation + 1) | 0
    if (this.#loop.watchFlow(fd, flow.index, generation) !== 0) {
      close(fd)
      return
    }
    close(flow.fd)
    flow.fd = fd
    flow.generation = generation
    this.#dropped[flow.index] = 0
  }

  /** Ends a flow: its socket is closed, its slot free. */
  end(flow: Flow, reason: FlowEndReason): void {
    const { index, entrance } = flow
    if (entrance === null) return
    this.#beforeEnd(flow)
    this.update(flow)
    flow.endedMs = this.#loop.nowMs
    entrance.onEnd(flow, reason)
    close(flow.fd)
    flow.fd = -1
    flow.entrance = null
    flow.generation = (flow.generation + 1) | 0
    resetFlow(flow)
    this.#loop.timers.clear(flow)
    this.#table.remove(index)
    this.#openCount -= 1
    Atomics.sub(this.#limits.flowTotal, 0, 1)
    this.#loop.counters.add(METRICS.flowsOpen.slot, -1)
    this.#loop.counters.add(METRICS.flowsEnded.slots[reason])
    const port = this.#keptBy[index]
    this.#keptBy[index] = null
    if (port !== null) port.keptFlows -= 1
    entrance.uses.release()
  }

  /** The time at which a flow may be silent for long enough has come; `mayHaveMore`: not all was heard that has been said. */
  onDeadline(flow: Flow, mayHaveMore: boolean): void {
    const { nowMs, timers } = this.#loop
    const dueMs = this.#usedMs[flow.index] + flow.idleMs
    if (dueMs > nowMs) timers.set(flow, dueMs)
    else if (mayHaveMore) timers.set(flow, nowMs + LOOK_AGAIN_MS)
    else this.end(flow, 'idle')
  }

  /** Brings the numbers of a flow up to date. */
  update(flow: Flow): void {
    const at = flow.index * TOTALS
    flow.datagramsFromClient = this.#totals[at + Total.datagramsFromClient]
    flow.bytesFromClient = this.#totals[at + Total.bytesFromClient]
    flow.datagramsFromBackend = this.#totals[at + Total.datagramsFromBackend]
    flow.bytesFromBackend = this.#totals[at + Total.bytesFromBackend]
  }

  /** The flows that are open now. */
  all(): Flow[] {
    return this.#flows.filter((flow) => flow.fd >= 0)
  }

  /** As many of them at most, from a place on, and the place from which on there may be more; -1: there are none. */
  from(place: number, countMax: number): { readonly flows: Flow[]; readonly next: number } {
    const flows: Flow[] = []
    const end = Math.min(place + PLACES_PER_LOOK, this.#flows.length)
    let next = place
    while (next < end && flows.length < countMax) {
      const flow = this.#flows[next++]
      if (flow.fd < 0) continue
      this.update(flow)
      flows.push(flow)
    }
    return { flows, next: next < this.#flows.length ? next : -1 }
  }

  /** The flows whose answers leave by a port, those that were used last first. */
  ofPort(port: Port): Flow[] {
    const usedMs = this.#usedMs
    return this.all()
      .filter(({ index }) => this.#ports[index] === port)
      .sort((a, b) => usedMs[b.index] - usedMs[a.index])
  }

  /** The peer of a flow, as `DatagramBatch.copyPeer` has copied it. */
  peerOf(index: number): Int32Array {
    return this.#peers.subarray(index * PEER_INTS, (index + 1) * PEER_INTS)
  }

  /** The address that the peer sends to, as `DatagramBatch.copyLocal` has copied it. */
  localOf(index: number): Int32Array {
    return this.#locals.subarray(index * LOCAL_INTS, (index + 1) * LOCAL_INTS)
  }

  /** The flow's peer is served by this socket from now on, which is kept for as long as it has such flows. */
  keep(index: number, port: Port): void {
    this.#ports[index] = port
    this.#keptBy[index] = port
    port.keptFlows += 1
  }

  #begin(index: number): void {
    const flow = this.#flows[index]
    this.#openCount += 1
    this.#totals.fill(0, index * TOTALS, (index + 1) * TOTALS)
    this.#dropped[index] = 0
    this.#isAnswered[index] = 0
    this.#usedMs[index] = flow.startedMs
    this.#loop.timers.set(flow, flow.startedMs + flow.idleMs)
    Atomics.add(this.#limits.flowTotal, 0, 1)
    this.#loop.counters.add(METRICS.flowsOpen.slot)
    this.#loop.counters.add(METRICS.flowsOpened.slot)
  }

  /** Once in a turn is enough to know which was used last. */
  #touch(index: number): void {
    if (this.#usedMs[index] === this.#now[0]) return
    this.#usedMs[index] = this.#now[0]
    this.#table.touch(index)
  }

  /** The group of a client's flows; null: of those that are nobody's. */
  #setPeerKey(client: IpAddress | null): void {
    const key = this.#peerKey
    key.fill(0)
    if (client === null) return
    key[0] = clientHigh(client)
    key[1] = clientLow(client)
    key[2] = 1
  }

  /** Connections and flows have their descriptors from one limit: a flow that was never confirmed gives its own back. */
  #openSocket(flow: Flow, arrival: Arrival): number {
    const { entrance } = arrival.port
    const { start } = arrival
    const fd = entrance.open(flow, arrival)
    if (fd >= 0 || arrival.dropReason !== 'flow-limit') return fd
    const victim = this.#victim(entrance)
    if (victim < 0 || this.#table.isAssured(victim)) {
      this.#warn('There is no descriptor for another flow of datagrams')
      return -1
    }
    this.#evict(victim)
    resetFlow(flow)
    arrival.start = start
    arrival.dropReason = null
    return entrance.open(flow, arrival)
  }

  /** Ends flows until there is a place for one more of this peer, and in all. */
  #makePlace(entrance: DatagramEntrance): void {
    const perPeerMax = entrance.groupsByPeer ? entrance.flowsPerPeerMax : 0
    while (perPeerMax > 0 && this.#table.countOf(this.#peerKey) >= perPeerMax) {
      this.#evict(this.#table.victimOf(this.#peerKey))
    }
    // A worker that has less than its part takes its place: one that has more gives it back as soon as it opens a flow.
    while (Atomics.load(this.#limits.flowTotal, 0) >= this.#limits.flowsMax && this.#openCount >= this.#share) {
      this.#evict(this.#victim(entrance))
    }
  }

  /** The flow that makes place for another; -1: there is none. */
  #victim({ groupsByPeer }: DatagramEntrance): number {
    return groupsByPeer ? this.#table.victim() : this.#table.oldest()
  }

  #evict(index: number): void {
    this.end(this.#flows[index], 'evicted')
    this.#evicted += 1
    this.#warn('Flows of datagrams end to make place for newer ones')
  }

  /** Says once in a while that there is no place. */
  #warn(message: string): void {
    const { nowMs, log } = this.#loop
    if (nowMs < this.#quietUntilMs) return
    this.#quietUntilMs = nowMs + QUIET_MS
    log('warn', message, {
      evicted: this.#evicted,
      open: Atomics.load(this.#limits.flowTotal, 0),
      flowsMax: this.#limits.flowsMax,
      remedy: 'raise the limit of flows and that of open files (LimitNOFILE=, ulimit -n), or look who opens so many',
    })
    this.#evicted = 0
  }

  /** Slots are taken in order, so a new one is the next. */
  #flowAt(index: number): Flow {
    if (index === this.#flows.length) {
      this.#flows.push(new Flow(index))
      this.#keptBy.push(null)
    }
    return this.#flows[index]
  }
}

/** Makes the fields that are an entrance's as they were at first. */
function resetFlow(flow: Flow): void {
  flow.source = null
  flow.target = null
  flow.peer = null
  flow.idleMs = 0
  flow.prefix = NO_BYTES
  flow.answerPrefix = NO_BYTES
  flow.showsPeer = false
  flow.refusal = ''
  flow.entranceId = -1
  flow.sharedBy = null
  flow.choice = -1
  flow.choiceGroup = -1
  flow.choiceReason = 0
  flow.destination = null
  flow.tlvs = NO_TLVS
  flow.header = NO_BYTES
  flow.state = null
  flow.lastError = 0
  flow.errors = 0
}
