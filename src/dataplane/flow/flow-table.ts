import { KeyIndex } from './key-index.ts'
import { SlotLists } from './slot-lists.ts'

const NONE = -1
/** The lists of a peer: flows that are not assured, and those that are. */
const LISTS = 2

/**
 * Which flows there are, by key, and which of them makes place for a newer one. Pure; nothing is allocated after it is made.
 *
 * A flow is assured once its client has sent again after an answer: an invented address never gets there. Each peer has two
 * lists, in the order of last use. When there is no place, the oldest flow goes that is not assured, of the peer that has
 * most of these ({@link victim}) or of all ({@link oldest}); only when there are none, one that is assured, by the same rule.
 */
export class FlowTable {
  readonly capacity: number
  readonly #flows: KeyIndex
  readonly #peers: KeyIndex
  /** Free slots of both, as stacks. */
  readonly #freeFlows: Slots
  readonly #freePeers: Slots
  /** Two for each peer, and two of all flows, of which the second are those that are assured. */
  readonly #ofPeers: SlotLists
  readonly #ofAll: SlotLists
  readonly #ranks: readonly [Ranks, Ranks]

  /** @param seed see {@link KeyIndex} */
  constructor(keyWords: number, peerWords: number, capacity: number, seed: number) {
    this.capacity = capacity
    this.#flows = new KeyIndex(keyWords, capacity, seed)
    this.#peers = new KeyIndex(peerWords, capacity, seed)
    this.#freeFlows = new Slots(capacity)
    this.#freePeers = new Slots(capacity)
    this.#ofPeers = new SlotLists(capacity, LISTS * capacity)
    this.#ofAll = new SlotLists(capacity, LISTS)
    this.#ranks = [new Ranks(capacity, 0), new Ranks(capacity, 1)]
  }

  /** How many flows there are, with slots that have been taken and not added yet. */
  get count(): number {
    return this.#freeFlows.takenCount
  }

  /** The flow of a key; -1: there is none. */
  find(key: Int32Array): number {
    return this.#flows.find(key)
  }

  /** A slot for a flow that is about to be added; -1: there is none left. */
  takeSlot(): number {
    return this.#freeFlows.take()
  }

  /** Nothing was added in this slot. */
  giveBack(slot: number): void {
    this.#freeFlows.giveBack(slot)
  }

  /** Adds a flow in a slot that was taken, under a key that no other has; it is not assured. */
  add(slot: number, key: Int32Array, peerKey: Int32Array): void {
    this.#flows.insert(slot, key)
    let peer = this.#peers.find(peerKey)
    if (peer === NONE) {
      // There is a flow for each peer, so there are no more peers than flows.
      peer = this.#freePeers.take()
      this.#peers.insert(peer, peerKey)
    }
    this.#append(slot, LISTS * peer)
  }

  /** Takes a flow out. */
  remove(slot: number): void {
    const peer = this.#ofPeers.listOf(slot) >> 1
    this.#unlink(slot)
    this.#flows.remove(slot)
    this.#freeFlows.giveBack(slot)
    if (this.#countOf(peer) > 0) return
    this.#peers.remove(peer)
    this.#freePeers.giveBack(peer)
  }

  /** The flow is used now: later than all others of its lists. */
  touch(slot: number): void {
    this.#ofPeers.touch(slot)
    this.#ofAll.touch(slot)
  }

  /** The flow is assured from now on; it is used now. */
  assure(slot: number): void {
    const list = this.#ofPeers.listOf(slot)
    if ((list & 1) === 1) return
    this.#unlink(slot)
    this.#append(slot, list + 1)
  }

  isAssured(slot: number): boolean {
    return this.#ofAll.listOf(slot) === 1
  }

  /** The flow that makes place for a newer one, of the peer that has most; -1: there is none. */
  victim(): number {
    const list = this.#ranks[0].first()
    if (list !== NONE) return this.#ofPeers.oldest(list)
    const assured = this.#ranks[1].first()
    return assured === NONE ? NONE : this.#ofPeers.oldest(assured)
  }

  /** The flow that makes place for a newer one, whoever its peer is; -1: there is none. */
  oldest(): number {
    const slot = this.#ofAll.oldest(0)
    return slot === NONE ? this.#ofAll.oldest(1) : slot
  }

  /** How many flows a peer has. */
  countOf(peerKey: Int32Array): number {
    const peer = this.#peers.find(peerKey)
    return peer === NONE ? 0 : this.#countOf(peer)
  }

  /** The flow of a peer that makes place for another of its own; -1: it has none. */
  victimOf(peerKey: Int32Array): number {
    const slot = this.unassuredOf(peerKey)
    if (slot !== NONE) return slot
    const peer = this.#peers.find(peerKey)
    return peer === NONE ? NONE : this.#ofPeers.oldest(LISTS * peer + 1)
  }

  /** The oldest flow of a peer that is not assured; -1: it has none. */
  unassuredOf(peerKey: Int32Array): number {
    const peer = this.#peers.find(peerKey)
    return peer === NONE ? NONE : this.#ofPeers.oldest(LISTS * peer)
  }

  #countOf(peer: number): number {
    return this.#ofPeers.length(LISTS * peer) + this.#ofPeers.length(LISTS * peer + 1)
  }

  #append(slot: number, list: number): void {
    const length = this.#ofPeers.length(list)
    this.#ofPeers.append(slot, list)
    this.#ofAll.append(slot, list & 1)
    this.#ranks[list & 1].move(list, length, length + 1)
  }

  #unlink(slot: number): void {
    const list = this.#ofPeers.listOf(slot)
    const length = this.#ofPeers.length(list)
    this.#ofPeers.unlink(slot)
    this.#ofAll.unlink(slot)
    this.#ranks[list & 1].move(list, length, length - 1)
  }
}

/** Slots below a capacity that are free: the one that came back last is used first, so that few are ever touched. */
class Slots {
  readonly #free: Int32Array
  #freeCount = 0
  /** All from here on have never been taken. */
  #next = 0

  constructor(capacity: number) {
    this.#free = new Int32Array(capacity)
  }

  get takenCount(): number {
    return this.#next - this.#freeCount
  }

  take(): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount]
    return this.#next < this.#free.length ? this.#next++ : NONE
  }

  giveBack(slot: number): void {
    this.#free[this.#freeCount++] = slot
  }
}

/** Lists of one kind by their length, those of one length in the order in which they got it. Lists are at `2n + kind`. */
class Ranks {
  readonly #kind: number
  /** By length: the ends of a chain of lists, plus 1; 0: there is none. */
  readonly #heads: Int32Array
  readonly #tails: Int32Array
  /** By list, halved: its neighbours in the chain, plus 1. */
  readonly #before: Int32Array
  readonly #after: Int32Array
  #longest = 0

  constructor(capacity: number, kind: number) {
    this.#kind = kind
    this.#heads = new Int32Array(capacity + 1)
    this.#tails = new Int32Array(capacity + 1)
    this.#before = new Int32Array(capacity)
    this.#after = new Int32Array(capacity)
  }

  /** The list that has been longest for the longest time; -1: all are empty. */
  first(): number {
    return this.#longest === 0 ? NONE : (this.#heads[this.#longest] - 1) * LISTS + this.#kind
  }

  /** A list has another length, one more or one less than before. */
  move(list: number, from: number, to: number): void {
    const at = list >> 1
    if (from > 0) this.#unlink(at, from)
    if (to > 0) this.#append(at, to)
    if (to > this.#longest) this.#longest = to
    else if (from === this.#longest && this.#heads[from] === 0) this.#longest = to
  }

  #unlink(at: number, length: number): void {
    const before = this.#before[at]
    const after = this.#after[at]
    if (before === 0) this.#heads[length] = after
    else this.#after[before - 1] = after
    if (after === 0) this.#tails[length] = before
    else this.#before[after - 1] = before
  }

  #append(at: number, length: number): void {
    const last = this.#tails[length]
    this.#before[at] = last
    this.#after[at] = 0
    if (last === 0) this.#heads[length] = at + 1
    else this.#after[last - 1] = at + 1
    this.#tails[length] = at + 1
  }
}
