import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  makeTicketKey,
  parseTicketKeys,
  readTicketKeys,
  TICKET_KEYS_MAX,
  type TicketKey,
  TicketKeys,
} from './ticket-keys.ts'

// `struct ticket_table` of native/tls.h: which key seals, padding up to 16 bytes, eight keys of 80 bytes.
const PLACES = 8
const KEYS_START = 16
const KEY_BYTES = 80

function keysOf({ table }: TicketKeys): readonly string[] {
  assert.equal(table.length, KEYS_START + PLACES * KEY_BYTES)
  return Array.from({ length: PLACES }, (_, place) => {
    const start = KEYS_START + place * KEY_BYTES
    return Buffer.from(table.slice(start, start + KEY_BYTES)).toString('hex')
  })
}

function sealingOf(keys: TicketKeys): string {
  return keysOf(keys)[new Int32Array(keys.table.buffer, 0, 1)[0]]
}

function hex(key: TicketKey): string {
  return Buffer.from(key).toString('hex')
}

test('from the beginning no key can be guessed, not even one that was never used: no byte of any is the same', () => {
  const all = Array.from({ length: 20 }, () => keysOf(new TicketKeys())).flat()
  assert.equal(new Set(all).size, all.length)
  // Every byte is filled: in 160 keys each has many values.
  for (let at = 0; at < KEY_BYTES; at++) {
    const values = new Set(all.map((key) => key.slice(2 * at, 2 * at + 2)))
    assert.ok(values.size > 10, `byte ${at} has ${values.size} values in ${all.length} keys`)
  }
})

test('a rotation seals with a new key, and accepts the three before', () => {
  const keys = new TicketKeys()
  const sealed = [sealingOf(keys)]
  for (let count = 0; count < 20; count++) {
    keys.rotate()
    assert.ok(!sealed.includes(sealingOf(keys)), 'it was no key before')
    sealed.unshift(sealingOf(keys))
    const there = keysOf(keys)
    assert.ok(sealed.slice(0, 4).every((key) => there.includes(key)))
    assert.ok(!sealed.slice(4).some((key) => there.includes(key)))
  }
})

test('of keys that are given the first seals, those that stay keep their place, and none of the others is left', () => {
  const keys = new TicketKeys()
  const given = Array.from({ length: 60 }, makeTicketKey)
  for (let start = 0; start + TICKET_KEYS_MAX <= given.length; start++) {
    const before = keysOf(keys)
    // Copies, as they come out of a file that is read again.
    const wanted = given.slice(start, start + 1 + (start % TICKET_KEYS_MAX)).map((key) => key.slice())
    keys.use(wanted)
    const after = keysOf(keys)
    assert.equal(sealingOf(keys), hex(wanted[0]))
    for (const key of wanted) {
      const place = before.indexOf(hex(key))
      assert.ok(place === -1 ? after.includes(hex(key)) : after[place] === hex(key))
    }
    assert.equal(given.filter((key) => after.includes(hex(key))).length, wanted.length)
  }
  keys.use(given.slice(0, TICKET_KEYS_MAX))
  keys.use(given.slice(TICKET_KEYS_MAX, 2 * TICKET_KEYS_MAX))
  assert.equal(given.filter((key) => keysOf(keys).includes(hex(key))).length, TICKET_KEYS_MAX)
})

test('workers see each new key in the memory that they were given', () => {
  const keys = new TicketKeys()
  const shared = structuredClone(keys.table)
  keys.rotate()
  assert.deepEqual(shared, keys.table)
  assert.ok(shared.buffer instanceof SharedArrayBuffer)
})

test('keys that are not all sound, too many, or called alike, are none', () => {
  const texts = Array.from({ length: TICKET_KEYS_MAX + 1 }, () => hex(makeTicketKey()))
  const [one, ...others] = texts
  assert.deepEqual(parseTicketKeys(others)?.map(hex), others)
  const sameName = one.slice(0, 32) + '0'.repeat(128)
  for (const wrong of [[], texts, [one, 'x'], [one, one], [one, sameName]]) {
    assert.equal(parseTicketKeys(wrong), undefined)
  }
})

test('a file has a key in each line, and says what is wrong without a part of a key', () => {
  const lines = Array.from({ length: TICKET_KEYS_MAX + 1 }, () => hex(makeTicketKey()))
  const [one, other] = lines
  const text = `# new\r\n${one.toUpperCase()}  \n\n${other}`
  assert.deepEqual(
    readTicketKeys(text),
    [Buffer.from(one, 'hex'), Buffer.from(other, 'hex')].map((key) => new Uint8Array(key)),
  )
  for (const [wrong, rule] of [
    ['', 'it contains no key'],
    ['# none\n', 'it contains no key'],
    [`${one}\n${other.slice(1)}`, 'line 2 is not a key of 160 hexadecimal digits'],
    [`${one}0`, 'line 1 is not a key of 160 hexadecimal digits'],
    [`${one.slice(1)}g`, 'line 1 is not a key of 160 hexadecimal digits'],
    [`\n${one}\n${one.slice(0, 32)}${other.slice(32)}`, 'the key in line 3 has the name of one before it'],
    [lines.join('\n'), 'it contains 8 keys'],
  ]) {
    const read = readTicketKeys(wrong)
    assert.ok('rule' in read, rule)
    assert.equal(read.rule, rule)
  }
})
