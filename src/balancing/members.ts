/** A way to choose among the members of a group: a `localityLbPolicy`, one file each. */
export type MemberChoice = {
  /**
   * The place of the member that gets a connection; -1: there is none. Allocates nothing.
   *
   * @param hash of the connection, by its affinity; policies without affinity do not look at it
   * @param tried ids of members that are not to be chosen
   */
  pick(members: Members, hash: number, tried: readonly number[]): number
}

/**
 * The members of a group, by their places in it, and which of them may be chosen.
 *
 * Policies read it; whoever knows the members' states calls {@link Members.empty} and {@link Members.add}.
 */
export class Members {
  /** By place: where its connections are counted in `open`. */
  readonly ids: Int32Array
  /** By id: connections now. Shared memory, or not. */
  readonly open: Int32Array
  /** Places of those that may be chosen, ascending; the first {@link size} count. */
  readonly places: Int32Array
  size = 0
  /** By place: 1 if it may be chosen. */
  readonly isIn: Uint8Array

  constructor(ids: Int32Array, open: Int32Array) {
    this.ids = ids
    this.open = open
    this.places = new Int32Array(ids.length)
    this.isIn = new Uint8Array(ids.length)
  }

  /** Begins anew; {@link add} follows for each that may be chosen, by ascending places. */
  empty(): void {
    this.size = 0
    this.isIn.fill(0)
  }

  add(place: number): void {
    this.places[this.size++] = place
    this.isIn[place] = 1
  }

  /** Reports whether one of them may be chosen. */
  may(place: number, tried: readonly number[]): boolean {
    return this.isIn[place] === 1 && (tried.length === 0 || !tried.includes(this.ids[place]))
  }

  /** Reports whether there is one that was not tried. */
  has(tried: readonly number[]): boolean {
    return tried.length === 0 ? this.size > 0 : this.nextFrom(0, tried) >= 0
  }

  /** The first that was not tried, from an index of {@link places} on and round; -1: there is none. */
  nextFrom(index: number, tried: readonly number[]): number {
    for (let step = 0; step < this.size; step++) {
      const at = index + step
      const place = this.places[at < this.size ? at : at - this.size]
      if (tried.length === 0 || !tried.includes(this.ids[place])) return place
    }
    return -1
  }

  /** The first index of {@link places} whose place is not below this one; {@link size}: there is none. */
  indexFrom(place: number): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.places[middle] < place) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Connections of a member now. */
  openOf(place: number): number {
    return Atomics.load(this.open, this.ids[place])
  }
}
