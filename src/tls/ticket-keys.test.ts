import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TicketKeys } from './ticket-keys.ts'

// `struct ticket_table` of native/tls.h: which key is the current one, padding up to 16 bytes, four keys of 80 bytes.
const KEYS = 4
const KEYS_START = 16
const KEY_BYTES = 80

function keysOf({ table }: TicketKeys): readonly string[] {
  assert.equal(table.length, KEYS_START + KEYS * KEY_BYTES)
  return Array.from({ length: KEYS }, (_, key) => {
    const start = KEYS_START + key * KEY_BYTES
    return Buffer.from(table.slice(start, start + KEY_BYTES)).toString('hex')
  })
}

function currentOf({ table }: TicketKeys): number {
  return new Int32Array(table.buffer, 0, 1)[0]
}

test('from the beginning no key can be guessed, not even one that was never used: no byte of any is the same', () => {
  const all = Array.from({ length: 20 }, () => keysOf(new TicketKeys())).flat()
  assert.equal(new Set(all).size, all.length)
  // Every byte is filled: in 80 keys each has many values.
  for (let at = 0; at < KEY_BYTES; at++) {
    const values = new Set(all.map((key) => key.slice(2 * at, 2 * at + 2)))
    assert.ok(values.size > 10, `byte ${at} has ${values.size} values in ${all.length} keys`)
  }
})

test('a rotation replaces the oldest key, and no other', () => {
  const keys = new TicketKeys()
  let before = keysOf(keys)
  const seen = new Set(before)
  for (let count = 0; count < 3 * KEYS; count++) {
    const oldest = (currentOf(keys) + 1) % KEYS
    keys.rotate()
    assert.equal(currentOf(keys), oldest, 'the new key is the one to seal with')
    const after = keysOf(keys)
    assert.ok(!seen.has(after[oldest]), 'it was no key before')
    seen.add(after[oldest])
    assert.deepEqual(after.toSpliced(oldest, 1), before.toSpliced(oldest, 1))
    before = after
  }
})

test('workers see each new key in the memory that they were given', () => {
  const keys = new TicketKeys()
  const shared = structuredClone(keys.table)
  keys.rotate()
  assert.deepEqual(shared, keys.table)
  assert.ok(shared.buffer instanceof SharedArrayBuffer)
})
