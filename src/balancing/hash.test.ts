import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { exponentialOf, finishHash, hashText, mixWord, placeOf, rehash } from './hash.ts'

/** Murmur3 of whole words, with the seed first and the number of bytes at the end, as its author has it. */
function murmur3(seed: number, ...words: readonly number[]): number {
  const mixed = words.reduce((hash, word) => mixWord(hash, word), seed)
  return finishHash(mixed ^ (4 * words.length)) >>> 0
}

test('it is Murmur3: the test vectors of its reference', () => {
  assert.equal(murmur3(0), 0)
  assert.equal(murmur3(1), 0x514e28b7)
  assert.equal(murmur3(0xffffffff), 0x81f16f39)
  assert.equal(murmur3(0, 0xffffffff), 0x76293b50)
  assert.equal(murmur3(0, 0x87654321), 0xf55b516b)
  assert.equal(murmur3(0x5082edee, 0x87654321), 0x2362f9de)
  assert.equal(murmur3(0, 0), 0x2362f9de)
})

test('a changed bit of a word changes each bit of the hash in half of the cases', () => {
  const flips = new Int32Array(32)
  const cases = 4000
  for (let n = 0; n < cases; n++) {
    const difference = rehash(n, 7) ^ rehash(n ^ (1 << (n % 12)), 7)
    for (let bit = 0; bit < 32; bit++) flips[bit] += (difference >>> bit) & 1
  }
  for (const count of flips) assert.ok(Math.abs(count - cases / 2) < 5 * Math.sqrt(cases / 4), `${flips}`)
})

test('texts differ by each of their characters, and by their length', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      assert.equal(hashText(a, 1) === hashText(b, 1), a === b)
    }),
  )
  assert.notEqual(hashText('', 1), hashText('\0', 1))
  assert.notEqual(hashText('a', 1), hashText('a', 2))
})

test('the logarithm of the table is that of the fraction', () => {
  const out = new Float64Array(1)
  const of = (hash: number): number => {
    exponentialOf(hash, out)
    return out[0]
  }
  fc.assert(
    fc.property(fc.integer(), (hash) => {
      const exact = -Math.log2(((hash >>> 1) | 1) / 2 ** 31)
      assert.ok(of(hash) >= 0)
      assert.ok(Math.abs(of(hash) - exact) < 3e-6, `${of(hash)} ${exact}`)
    }),
  )
  assert.ok(of(-1) < 1e-8)
  assert.equal(of(0), 31)
})

test('the place of a hash is a whole number below the size, and each has its share of hashes', () => {
  const counts = new Array<number>(7).fill(0)
  for (let hash = -70_000; hash < 70_000; hash++) counts[placeOf(finishHash(hash), 7)]++
  for (const count of counts) assert.ok(Math.abs(count - 20_000) < 600, `${counts}`)
  assert.deepEqual([placeOf(0, 7), placeOf(-1, 7), placeOf(-2, 7)], [0, 1, 1])
})
