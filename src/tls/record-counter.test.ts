import assert from 'node:assert/strict'
import { test } from 'node:test'
import { received } from '../linux/openssl.ts'
import { RecordCounter, recordBytes } from './record-counter.ts'

const HEADER_BYTES = 5

/** Puts records with so much payload each at the front of `received`; returns where they end. */
function receive(...lengths: readonly number[]): number {
  let at = 0
  for (const length of lengths) {
    received.set([23, 3, 3, length >> 8, length & 0xff], at)
    at += HEADER_BYTES + length
  }
  return at
}

test('a record ends where its header says, which has to be there whole', () => {
  receive(0x0102)
  assert.equal(recordBytes(0, HEADER_BYTES), HEADER_BYTES + 0x0102)
  assert.equal(recordBytes(0, HEADER_BYTES - 1), 0)
})

test('a piece belongs to one record, also where that comes in parts', () => {
  const end = receive(10, 20)
  const records = new RecordCounter()
  assert.equal(records.take(0), false, 'nothing read is no record')
  assert.equal(records.pieceEnd(0, 3), 0, 'not even a header')
  assert.equal(records.pieceEnd(0, 8), 8, 'as far as there is something')
  assert.equal(records.take(8), false)
  assert.equal(records.pieceEnd(8, end), 15, 'the rest of the first, not the second')
  assert.equal(records.take(7), true)
  assert.equal(records.pieceEnd(15, end), end)
  assert.equal(records.take(0), false, 'nothing read is no end of a record')
  assert.equal(records.take(25), true)
})

test('one call goes through 128 records of a handshake, and leaves the front of a header', () => {
  const end = receive(...new Array(130).fill(1))
  const records = new RecordCounter()
  assert.equal(records.takeFlight(end), 128 * (HEADER_BYTES + 1))
  assert.equal(new RecordCounter().takeFlight(2 * (HEADER_BYTES + 1) + 4), 2 * (HEADER_BYTES + 1))
  assert.equal(new RecordCounter().takeFlight(2 * (HEADER_BYTES + 1) + 5), 2 * (HEADER_BYTES + 1) + 5)
})

test('after the handshake a record begins, whatever was left of the flight', () => {
  const end = receive(10, 20)
  const records = new RecordCounter()
  records.takeFlight(8)
  records.endFlights()
  assert.equal(records.pieceEnd(0, end), 15)
})

test('a record counts as its payload, as 1 KiB at least, and as 8 KiB where it has none', () => {
  const records = new RecordCounter()
  records.countPayload(1)
  assert.equal(records.work, 1_024)
  records.countPayload(1_025)
  assert.equal(records.work, 1_024 + 1_025)
  records.countSilent()
  assert.equal(records.work, 1_024 + 1_025 + 8 * 1_024)
})

for (const [what, speak] of [
  ['payload comes', (records: RecordCounter) => records.countPayload(1)],
  ['something is said to the other side', (records: RecordCounter) => records.noteAnswer()],
] as const) {
  test(`64 records without payload may follow one another, the next one may not, and ${what} before it begins anew`, () => {
    const records = new RecordCounter()
    const silent = (): boolean[] => Array.from({ length: 64 }, () => records.countSilent())
    assert.ok(silent().every(Boolean))
    speak(records)
    assert.ok(silent().every(Boolean))
    assert.equal(records.countSilent(), false)
  })
}
