import { compareTexts } from '../text/compare-texts.ts'
import { hashText, rehash, SEED } from './hash.ts'
import type { MemberChoice, Members } from './members.ts'

const LOOKUP = 0x2169
/** Points and places in one number, the hash in front: so they are sorted, and shared, as one array. */
const PLACES = 65_536
/** Points that are looked at behind that of a connection for one whose member may be chosen. */
const ATTEMPTS = 256
/** Points of a member at most: more than these make its part no more even that anybody would see. A power of two. */
const EACH_MAX = 4096
/** Points of a ring at most: so many are sorted in a tenth of a second, in which nobody is probed. A power of two. */
const RING_MAX = 2 ** 18

/**
 * Builds the ring of members: the same number of points for each, in sum at least `minimumSize`, ascending; fewer where
 * that were more than {@link EACH_MAX} of a member or {@link RING_MAX} in all.
 *
 * Names say who is who, as in a Maglev table.
 *
 * @returns in memory that threads can share
 */
export function buildRing(names: readonly string[], minimumSize: number): Float64Array {
  const each = pointsOfEach(names.length, minimumSize)
  const ring = new Float64Array(new SharedArrayBuffer(8 * each * names.length))
  const order = [...names.keys()].sort((a, b) => compareTexts(names[a], names[b]))
  for (const [rank, place] of order.entries()) {
    const seed = hashText(names[place], SEED)
    for (let point = 0; point < each; point++) ring[rank * each + point] = (rehash(seed, point) >>> 0) * PLACES + rank
  }
  ring.sort()
  for (let at = 0, last = -1; at < ring.length; at++) {
    // Several members at one point: those whose names come later go on, whatever their places are.
    const hash = Math.max(Math.floor(ring[at] / PLACES), last + 1)
    ring[at] = hash * PLACES + order[ring[at] % PLACES]
    last = hash
  }
  return ring
}

/** A power of two: so it is rarely another one when members come and go, for then many connections would move. */
function pointsOfEach(members: number, minimumSize: number): number {
  if (members === 0) return 0
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, minimumSize / members)))
  return Math.min(wanted, EACH_MAX, 2 ** Math.floor(Math.log2(RING_MAX / members)))
}

/** RING_HASH: the first point at or behind the hash of a connection whose member may be chosen. */
export class RingHash implements MemberChoice {
  readonly #ring: Float64Array

  /** @param ring of the members that {@link pick} gets */
  constructor(ring: Float64Array) {
    this.#ring = ring
  }

  pick(members: Members, hash: number, tried: readonly number[]): number {
    const ring = this.#ring
    if (members.size === 0) return -1
    const start = firstFrom(ring, (rehash(hash, LOOKUP) >>> 0) * PLACES)
    for (let step = 0, at = start; step < Math.min(ring.length, ATTEMPTS); step++, at++) {
      if (at >= ring.length) at -= ring.length
      const place = ring[at] % PLACES
      if (members.may(place, tried)) return place
    }
    const index = members.indexFrom(ring[start === ring.length ? 0 : start] % PLACES)
    return members.nextFrom(index === members.size ? 0 : index, tried)
  }
}

/** The first index whose value is not below this one; the length: there is none. */
function firstFrom(ring: Float64Array, value: number): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ring[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}
