// What a flow of datagrams is, and what a role fills in for a UDP port: the counterpart of connection-state.ts. What
// becomes of flows is in flows.ts.

import type { Endpoint } from '../../address/endpoint.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import type { DatagramBatch } from '../../linux/datagram.ts'
import type { Tlv } from '../../proxy-protocol/tlv.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import { NO_BYTES, NO_TLVS } from '../connection/connection-state.ts'
import type { Timed } from '../connection/timer-wheel.ts'
import type { Uses } from '../connection/uses.ts'

/** How many integers tell one flow from all others of a worker. The last one is the engine's own. */
export const KEY_INTS = 20

/**
 * One flow: what a client sends to one destination, and the answers. Made once per slot and used again.
 *
 * Its socket is connected to the target. Where it says so, a field is for the entrance to use, and back at its first value
 * when the slot is used again.
 */
export class Flow implements Timed {
  readonly index: number
  generation = 0
  /** Its socket; -1: the slot is free. */
  fd = -1
  /** What it was opened by; it holds a use of it to its end. */
  entrance: DatagramEntrance | null = null

  /** The entrance sets these when it opens the flow. The client's address as the target sees it. */
  source: Endpoint | null = null
  target: Endpoint | null = null
  /** Who sent the first datagram. Answers go to who sent the last one. */
  peer: Endpoint | null = null
  /** For how long it may be silent in both directions, in milliseconds. */
  idleMs = 0
  /** Written in front of every datagram for the target, and for the peer: at most `HEADROOM_BYTES`. */
  prefix = NO_BYTES
  answerPrefix = NO_BYTES

  /** The client in whose share it is counted: its flows make way for each other. null: nobody's. */
  sharedBy: IpAddress | null = null

  /** For the entrance to use, as the fields of `Connection` of the same name. */
  showsPeer = false
  refusal = ''
  entranceId = -1
  choice = -1
  choiceGroup = -1
  choiceReason = 0
  destination: Endpoint | null = null
  tlvs: readonly Tlv[] = NO_TLVS
  /** For the entrance to use: the header that it has read last. */
  header = NO_BYTES
  /** For the entrance to use: what else it has to remember. */
  state: unknown = null

  /** Set once it has begun, and when it ends. */
  startedMs = 0
  endedMs = 0
  /** Payload, without what was read or written in front of it. Up to date while {@link DatagramEntrance.onEnd} runs. */
  datagramsFromClient = 0
  bytesFromClient = 0
  datagramsFromBackend = 0
  bytesFromBackend = 0
  /** The last ICMP error that came back, as a negated errno, and how often one did; 0: none. */
  lastError = 0
  errors = 0

  /** Datagrams may be given to the kernel as one message; false once that has failed. */
  mayJoin = true
  /** It is in a list of those that have something to do. */
  isReady = false
  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  constructor(index: number) {
    this.index = index
  }
}

/** What an entrance says of a datagram, besides that it goes on its way. */
export const Verdict = {
  /** It goes on. */
  Pass: 0,
  /** It is dropped; {@link Datagram.dropReason} says why. */
  Drop: 1,
  /**
   * There is nothing more to do: it was a question that has been answered, or only a header. Of a flow that meets it, it
   * counts as use, also when it has been dropped: the flow is not forgotten meanwhile.
   */
  Done: 2,
  /** Only of {@link DatagramEntrance.meet}: the flow ends for {@link Datagram.endReason}, and the datagram opens another. */
  Replace: 3,
  /** Only of {@link DatagramEntrance.meet}: the flow gets another socket, and the datagram goes on by that. */
  Renew: 4,
} as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]

/**
 * A datagram that has come in at a port. There is one object for all of a worker: it holds until the method returns that
 * it was given to. Its bytes are `[start, end)` of {@link bytes}.
 */
export type Datagram = {
  readonly batch: DatagramBatch
  /** Its place in the batch, for `copyPeer`, `copyPeerAddress`, `copyLocal`. */
  readonly slot: number
  readonly bytes: Uint8Array
  /** Where the payload begins: an entrance moves it behind a header that it has read. */
  start: number
  readonly end: number
  /** Why it is dropped; null: nobody has dropped it. */
  dropReason: DropReason | null
  /** Why the flow ends that it takes the place of. */
  endReason: FlowEndReason
  /** True at first. An entrance that opens a flow by it and does not want it passed on makes it false. */
  isPassedOn: boolean
  /** Who sent it. A new object. */
  peer(): Endpoint
  /** The address and port that it was sent to. A new object. */
  local(): Endpoint
  /** Drops it for this reason. */
  drop(reason: DropReason): typeof Verdict.Drop
  /** Sends these bytes to its sender, from where it was sent to. */
  answer(bytes: Uint8Array): typeof Verdict.Done
  /**
   * Ends the oldest flow of this worker that is this client's ({@link Flow.sharedBy}) and is not assured, for
   * `client-limit`; false: there is none.
   */
  makeWay(client: IpAddress): boolean
}

/**
 * What a UDP port leads to: which datagrams are taken, to which flow each belongs, and where flows go. Methods never block.
 *
 * A reload puts another entrance behind the same port. Flows go on: their datagrams are {@link identify | identified} and
 * {@link meet | met} by the new entrance, and they end at the one that opened them.
 */
export type DatagramEntrance = {
  /** Flows that it has opened; retired when the port has another entrance, or is closed. */
  readonly uses: Uses
  /** Whether flows of one peer address make place for each other before those of others; else the oldest of all does. */
  readonly groupsByPeer: boolean
  /** How many flows one peer address may have on each worker, with {@link groupsByPeer}; 0: as many as there is room for. */
  readonly flowsPerPeerMax: number
  /**
   * Called for every datagram: writes what tells its flow from others into `key`, all but the last of its
   * {@link KEY_INTS}, which are 0 before, and moves {@link Datagram.start} behind a header. Allocates nothing.
   */
  identify(datagram: Datagram, key: Int32Array): Verdict
  /** Called for each further datagram of an open flow, before it is passed on. Allocates nothing where nothing has changed. */
  meet(flow: Flow, datagram: Datagram): Verdict
  /**
   * Called for the first datagram of a flow, which is passed on afterwards, unless {@link Datagram.isPassedOn}
   * is false by then.
   *
   * @returns a connected non-blocking socket that is the engine's from then on, or -1 after {@link Datagram.drop} or
   *   {@link Datagram.answer}: there is no flow then, and {@link onEnd} is not called. For want of a descriptor it drops
   *   for `flow-limit`, and may be called once more, after another flow has made place
   */
  open(flow: Flow, datagram: Datagram): number
  /** Called after {@link Verdict.Renew}: a newer socket for the flow, as {@link open} returns it, or -1: it keeps the one it has. */
  renew?(flow: Flow, datagram: Datagram): number
  /** Called when a flow of its own ends; the socket is still open. */
  onEnd(flow: Flow, reason: FlowEndReason): void
}
