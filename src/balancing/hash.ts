// Murmur3's 32-bit hash (public domain), of words and of texts, for choices that all edges and workers have to make
// equally. Hashes are SIGNED 32-bit integers, so that V8 keeps them unboxed; nothing here allocates.

/** The one seed of all choices: with another one every client would go elsewhere. */
export const SEED = 0x7e33

/** Takes one more word into a hash that was begun with a seed. */
export function mixWord(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  const mixed = hash ^ Math.imul(k, 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Ends a hash: every bit of what was taken in has changed every bit of it with the same probability. */
export function finishHash(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The hash of a hash and a number: a choice that has nothing to do with others by the same hash. */
export function rehash(hash: number, word: number): number {
  return finishHash(mixWord(hash, word))
}

/** The hash of a text, by its UTF-16 code units. */
export function hashText(text: string, seed: number): number {
  let hash = seed
  for (let index = 0; index < text.length; index++) hash = mixWord(hash, text.charCodeAt(index))
  return finishHash(mixWord(hash, text.length))
}

/** Where a hash is among all hashes: a whole number from 0 up to, and without, a size below 2^31. */
export function placeOf(hash: number, size: number): number {
  return (hash >>> 1) % size
}

/** By the first eight bits behind the leading one: the logarithm to base 2 of where they begin, and of where they end. */
const LOGARITHMS = Float64Array.from({ length: 257 }, (_, index) => Math.log2(1 + index / 256))

/**
 * The negative logarithm, to base 2, of where a hash is among all hashes: distributed exponentially, at least 0.
 *
 * From a table, because a choice among groups asks it for each of them, and a logarithm is a call; it is off by 3e-6 at
 * most.
 *
 * @param out takes the number as its first: one that is returned is boxed where V8 does not inline the call
 */
export function exponentialOf(hash: number, out: Float64Array): void {
  const value = (hash >>> 1) | 1
  const exponent = 31 - Math.clz32(value)
  const steps = ((value - (1 << exponent)) / (1 << exponent)) * 256
  const step = Math.floor(steps)
  const logarithm = exponent + LOGARITHMS[step] + (steps - step) * (LOGARITHMS[step + 1] - LOGARITHMS[step])
  out[0] = Math.max(0, 31 - logarithm)
}
