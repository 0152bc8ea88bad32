/** Anything that can wait in a {@link TimerWheel}: at most one deadline each, moved at will. */
export type Timed = {
  /** When it fires, in the wheel's milliseconds; Infinity: not waiting. */
  deadlineMs: number
  /** Owned by the wheel: the slot it hangs in (-1: none) and its neighbours there. */
  wheelSlot: number
  wheelNext: Timed | null
  wheelPrevious: Timed | null
}

const SLOT_MS = 8
const SLOTS = 1_024
/** The list behind the slots: what is due in this {@link TimerWheel.advance} and has not fired yet. */
const DUE = SLOTS
const NOT_LINKED = -1

/**
 * Deadlines of very many connections: O(1) to set, move and clear, and nothing is allocated.
 *
 * A hashed timing wheel of 1,024 slots of 8 ms. A deadline beyond the wheel's 8.2 s hangs in its last slot and is
 * hung again when the wheel comes by. One that moves later only changes `deadlineMs`: the slot it hangs in finds out.
 * It never fires early, and at most one slot late. The clock is given with each call, so tests bring their own.
 */
export class TimerWheel {
  readonly #heads: (Timed | null)[] = new Array(SLOTS + 1).fill(null)
  /** One bit per slot that is not empty, so that the next deadline is found without walking the wheel. */
  readonly #occupied = new Int32Array(SLOTS / 32)
  /** The first tick whose slot has not been emptied. */
  #tick: number
  #count = 0

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / SLOT_MS)
  }

  /** Sets or moves the deadline of `timed`. */
  set(timed: Timed, deadlineMs: number): void {
    const isLater = deadlineMs >= timed.deadlineMs
    timed.deadlineMs = deadlineMs
    if (timed.wheelSlot !== NOT_LINKED) {
      if (isLater) return
      this.#unlink(timed)
    }
    this.#link(timed)
  }

  /** Takes the deadline of `timed` away. */
  clear(timed: Timed): void {
    timed.deadlineMs = Number.POSITIVE_INFINITY
    if (timed.wheelSlot !== NOT_LINKED) this.#unlink(timed)
  }

  /** Calls `fire` for everything whose deadline has passed; each is out of the wheel by then and may be set again. */
  advance(nowMs: number, fire: (timed: Timed) => void): void {
    const end = Math.floor(nowMs / SLOT_MS)
    // After a long sleep each slot is due once, whatever the number of turns that were missed.
    if (this.#tick < end - SLOTS || this.#count === 0) this.#tick = Math.max(this.#tick, end - SLOTS)
    while (this.#tick < end) {
      const slot = this.#tick % SLOTS
      this.#tick += 1
      if (this.#heads[slot] !== null) this.#empty(slot, nowMs, fire)
    }
  }

  /** Milliseconds until {@link advance} has something to look at: at least 1; -1 when nothing waits. */
  waitMs(nowMs: number): number {
    if (this.#count === 0) return -1
    const slot = this.#tick % SLOTS
    return Math.max(1, Math.ceil((this.#tick + this.#slotsUntilOccupied(slot) + 1) * SLOT_MS - nowMs))
  }

  /** How many slots after `from` the first occupied one is. Some slot is. */
  #slotsUntilOccupied(from: number): number {
    let word = from >>> 5
    let bits = this.#occupied[word] & (-1 << (from & 31))
    while (bits === 0) {
      word = (word + 1) % this.#occupied.length
      bits = this.#occupied[word]
      if (word === from >>> 5) break
    }
    const slot = word * 32 + 31 - Math.clz32(bits & -bits)
    return (slot - from + SLOTS) % SLOTS
  }

  #empty(slot: number, nowMs: number, fire: (timed: Timed) => void): void {
    // Move the list aside first: what fires may set a deadline in this very slot, or clear one of this list.
    while (this.#heads[slot] !== null) {
      const timed = this.#heads[slot]
      this.#unlink(timed)
      this.#push(timed, DUE)
    }
    while (this.#heads[DUE] !== null) {
      const timed = this.#heads[DUE]
      this.#unlink(timed)
      if (timed.deadlineMs > nowMs) {
        this.#link(timed)
      } else {
        timed.deadlineMs = Number.POSITIVE_INFINITY
        fire(timed)
      }
    }
  }

  #link(timed: Timed): void {
    // The slot of tick T is emptied once (T + 1) * SLOT_MS has passed: rounding up means never early.
    const wanted = Math.ceil(timed.deadlineMs / SLOT_MS) - 1
    this.#push(timed, Math.min(Math.max(wanted, this.#tick), this.#tick + SLOTS - 1) % SLOTS)
  }

  #push(timed: Timed, slot: number): void {
    const head = this.#heads[slot]
    timed.wheelSlot = slot
    timed.wheelPrevious = null
    timed.wheelNext = head
    if (head !== null) head.wheelPrevious = timed
    this.#heads[slot] = timed
    if (slot !== DUE) this.#occupied[slot >>> 5] |= 1 << (slot & 31)
    this.#count += 1
  }

  #unlink(timed: Timed): void {
    const { wheelSlot: slot, wheelNext: next, wheelPrevious: previous } = timed
    if (next !== null) next.wheelPrevious = previous
    if (previous !== null) previous.wheelNext = next
    else this.#heads[slot] = next
    if (slot !== DUE && this.#heads[slot] === null) this.#occupied[slot >>> 5] &= ~(1 << (slot & 31))
    timed.wheelSlot = NOT_LINKED
    timed.wheelNext = null
    timed.wheelPrevious = null
    this.#count -= 1
  }
}
