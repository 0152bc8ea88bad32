import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatTlvs, tlvsLength, writeTlvs } from './write-tlvs.ts'

const TLVS = [
  { type: 0x02, value: Uint8Array.of(97, 98) },
  { type: 0xe0, value: new Uint8Array(0) },
  { type: 0x05, value: new Uint8Array(0x0102).fill(7) },
]
const BYTES = [0x02, 0, 2, 97, 98, 0xe0, 0, 0, 0x05, 1, 2, ...new Uint8Array(0x0102).fill(7)]

test('a TLV is its type, its length in network order and its value, wherever it is written', () => {
  assert.equal(tlvsLength(TLVS), BYTES.length)
  for (const offset of [0, 5]) {
    const target = new Uint8Array(BYTES.length + 10)
    assert.equal(writeTlvs(target, offset, TLVS), BYTES.length)
    assert.deepEqual([...target.subarray(offset, offset + BYTES.length)], BYTES)
    assert.ok([...target.subarray(0, offset), ...target.subarray(offset + BYTES.length)].every((byte) => byte === 0))
  }
})

test('a value has 65,535 bytes at most', () => {
  const start = Uint8Array.of(1, 2)
  assert.deepEqual([...concatTlvs(start, TLVS)], [1, 2, ...BYTES])
  const ofLength = (length: number) => [{ type: 1, value: new Uint8Array(length) }]
  assert.equal(concatTlvs(start, ofLength(65_535)).length, 2 + 3 + 65_535)
  assert.throws(() => concatTlvs(start, ofLength(65_536)), RangeError)
})
