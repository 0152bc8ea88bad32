/**
 * What has more to do, in turns: what is added while a turn is handled is for the next one. An item is in it once.
 *
 * Nothing is allocated once it has been as long as it gets: emptying an array by its length would give its memory back.
 */
export class TurnQueue<Item extends { isReady: boolean }> {
  #waiting: Item[] = []
  #waitingCount = 0
  #current: Item[] = []

  /** How many wait for their turn. */
  get length(): number {
    return this.#waitingCount
  }

  add(item: Item): void {
    if (item.isReady) return
    item.isReady = true
    this.#waiting[this.#waitingCount++] = item
  }

  /** Begins the turn of those that wait; returns how many these are. */
  begin(): number {
    const waiting = this.#waiting
    this.#waiting = this.#current
    this.#current = waiting
    const count = this.#waitingCount
    this.#waitingCount = 0
    return count
  }

  /** One of those whose turn it is. */
  at(place: number): Item {
    return this.#current[place]
  }

  /** Takes one of those whose turn it is: it can be added again. */
  take(place: number): Item {
    const item = this.#current[place]
    item.isReady = false
    return item
  }
}
