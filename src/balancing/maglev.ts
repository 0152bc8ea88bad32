// Maglev's lookup table: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4.

import { compareTexts } from '../text/compare-texts.ts'
import { hashText, placeOf, rehash, SEED } from './hash.ts'
import type { MemberChoice, Members } from './members.ts'

/** Slots of a table: a prime, over 100 times as many as members usual, so that none has 1 % more than another. */
export const MAGLEV_SIZE = 65_537

const OFFSET_SEED = SEED + 1
const SKIP_SEED = SEED + 2
const LOOKUP = 1
/** Slots that are looked at for one that may be chosen, each independent of the last, before all are gone through. */
const ATTEMPTS = 32

/**
 * Builds the table of members: by slot, the place of a member in `names`.
 *
 * Names say who is who: the same names, in whatever order, give each slot to the same name, on every edge. Takes some
 * milliseconds, so workers are given a table and do not build it.
 *
 * @param table of a prime length; cleared before
 */
export function buildMaglevTable(names: readonly string[], table: Uint16Array): void {
  const size = table.length
  const order = Int32Array.from(names.keys()).sort((a, b) => compareTexts(names[a], names[b]))
  const offsets = new Int32Array(names.length)
  const skips = new Int32Array(names.length)
  for (const [turn, place] of order.entries()) {
    offsets[turn] = (hashText(names[place], OFFSET_SEED) >>> 0) % size
    skips[turn] = ((hashText(names[place], SKIP_SEED) >>> 0) % (size - 1)) + 1
  }
  const turns = populate(offsets, skips, size)
  for (let slot = 0; slot < size; slot++) table[slot] = names.length === 0 ? 0 : order[turns[slot]]
}

/**
 * Gives each slot to a member: they take turns, and each takes the first free slot of its permutation, which begins at
 * its offset and goes on by its skip.
 */
export function populate(offsets: Int32Array, skips: Int32Array, size: number): Int32Array {
  const table = new Int32Array(size).fill(-1)
  const next = offsets.slice()
  if (offsets.length === 0) return table
  for (let filled = 0, turn = 0; filled < size; filled++) {
    let slot = next[turn]
    while (table[slot] >= 0) slot = (slot + skips[turn]) % size
    table[slot] = turn
    next[turn] = (slot + skips[turn]) % size
    turn = turn + 1 === offsets.length ? 0 : turn + 1
  }
  return table
}

/** The slot of a hash in a table of this size; another one for each further attempt. */
export function maglevSlot(hash: number, attempt: number, size: number): number {
  return placeOf(rehash(hash, LOOKUP + attempt), size)
}

/**
 * MAGLEV: by a table of all members, also of those that may not be chosen now.
 *
 * So a change of health builds no table and moves only those whose own member it is: they go to a slot of a further
 * hash, and come back when it does.
 */
export class Maglev implements MemberChoice {
  readonly #table: Uint16Array

  /** @param table of the members that {@link pick} gets */
  constructor(table: Uint16Array) {
    this.#table = table
  }

  pick(members: Members, hash: number, tried: readonly number[]): number {
    if (members.size === 0) return -1
    let slot = 0
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      slot = maglevSlot(hash, attempt, this.#table.length)
      if (members.may(this.#table[slot], tried)) return this.#table[slot]
    }
    // Hardly anybody is left: the next one behind the last slot, by places.
    const index = members.indexFrom(this.#table[slot])
    return members.nextFrom(index === members.size ? 0 : index, tried)
  }
}
