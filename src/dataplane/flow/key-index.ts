const WORD_BITS = 32

/**
 * Finds small integers (slots) by keys of a fixed number of 32-bit words; nothing is allocated.
 *
 * A hash table with linear probing, half full at most. Peers choose what is in keys, so each index has a seed of its own,
 * by which they cannot know which keys fall together.
 */
export class KeyIndex {
  readonly #width: number
  /** The key and the hash of each slot. */
  readonly #keys: Int32Array
  readonly #hashes: Int32Array
  /** In the order of hashes: slots plus 1; 0: nothing. */
  readonly #places: Int32Array
  readonly #mask: number
  readonly #seed: number

  /** @param capacity slots are below it */
  constructor(width: number, capacity: number, seed: number) {
    this.#width = width
    this.#keys = new Int32Array(width * capacity)
    this.#hashes = new Int32Array(capacity)
    const size = 2 ** Math.max(1, WORD_BITS - Math.clz32(2 * capacity - 1))
    this.#places = new Int32Array(size)
    this.#mask = size - 1
    this.#seed = seed | 0
  }

  /** The slot of a key; -1: it has none. */
  find(key: Int32Array): number {
    const hash = this.#hash(key)
    for (let place = hash & this.#mask; ; place = (place + 1) & this.#mask) {
      const slot = this.#places[place] - 1
      if (slot < 0) return -1
      if (this.#hashes[slot] === hash && this.#isKeyOf(slot, key)) return slot
    }
  }

  /** Gives a slot that has no key this one, which no other slot has. */
  insert(slot: number, key: Int32Array): void {
    const hash = this.#hash(key)
    this.#hashes[slot] = hash
    const at = slot * this.#width
    for (let i = 0; i < this.#width; i++) this.#keys[at + i] = key[i]
    let place = hash & this.#mask
    while (this.#places[place] !== 0) place = (place + 1) & this.#mask
    this.#places[place] = slot + 1
  }

  /** Takes the key of a slot away. */
  remove(slot: number): void {
    const mask = this.#mask
    let gap = this.#hashes[slot] & mask
    while (this.#places[gap] !== slot + 1) gap = (gap + 1) & mask
    // What follows without a gap would not be found any more: move into the gap whatever may be there.
    for (let place = (gap + 1) & mask; this.#places[place] !== 0; place = (place + 1) & mask) {
      const home = this.#hashes[this.#places[place] - 1] & mask
      if (((place - home) & mask) < ((place - gap) & mask)) continue
      this.#places[gap] = this.#places[place]
      gap = place
    }
    this.#places[gap] = 0
  }

  #isKeyOf(slot: number, key: Int32Array): boolean {
    const at = slot * this.#width
    for (let i = 0; i < this.#width; i++) if (this.#keys[at + i] !== key[i]) return false
    return true
  }

  /** Mixes each word as MurmurHash3 does. */
  #hash(key: Int32Array): number {
    let hash = this.#seed
    for (let i = 0; i < this.#width; i++) {
      let word = Math.imul(key[i], 0xcc9e2d51)
      word = (word << 15) | (word >>> 17)
      hash ^= Math.imul(word, 0x1b873593)
      hash = (hash << 13) | (hash >>> 19)
      hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
    }
    hash ^= hash >>> 16
    hash = Math.imul(hash, 0x85ebca6b)
    hash ^= hash >>> 13
    hash = Math.imul(hash, 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  }
}
