const NONE = -1

/** Slots in lists, each in one of them at most, in the order of last use. Nothing is allocated after it is made. */
export class SlotLists {
  /** By slot: its list, and its neighbours there, the next one used later. */
  readonly #listOf: Int32Array
  readonly #older: Int32Array
  readonly #newer: Int32Array
  /** By list: its ends and its length. */
  readonly #oldest: Int32Array
  readonly #newest: Int32Array
  readonly #lengths: Int32Array

  constructor(slots: number, lists: number) {
    this.#listOf = new Int32Array(slots)
    this.#older = new Int32Array(slots)
    this.#newer = new Int32Array(slots)
    this.#oldest = new Int32Array(lists)
    this.#newest = new Int32Array(lists)
    this.#lengths = new Int32Array(lists)
  }

  /** The list that a slot is in. */
  listOf(slot: number): number {
    return this.#listOf[slot]
  }

  length(list: number): number {
    return this.#lengths[list]
  }

  /** The slot of a list that was used before all others; -1: the list is empty. */
  oldest(list: number): number {
    return this.#lengths[list] === 0 ? NONE : this.#oldest[list]
  }

  /** A slot that is in no list is used now. */
  append(slot: number, list: number): void {
    const last = this.#lengths[list] === 0 ? NONE : this.#newest[list]
    this.#listOf[slot] = list
    this.#older[slot] = last
    this.#newer[slot] = NONE
    if (last === NONE) this.#oldest[list] = slot
    else this.#newer[last] = slot
    this.#newest[list] = slot
    this.#lengths[list] += 1
  }

  /** Takes a slot out of its list. */
  unlink(slot: number): void {
    const list = this.#listOf[slot]
    const older = this.#older[slot]
    const newer = this.#newer[slot]
    if (older === NONE) this.#oldest[list] = newer
    else this.#newer[older] = newer
    if (newer === NONE) this.#newest[list] = older
    else this.#older[newer] = older
    this.#lengths[list] -= 1
  }

  /** A slot is used now: later than all others of its list. */
  touch(slot: number): void {
    const list = this.#listOf[slot]
    if (this.#newest[list] === slot) return
    this.unlink(slot)
    this.append(slot, list)
  }
}
