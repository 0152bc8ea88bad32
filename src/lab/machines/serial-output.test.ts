import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SerialOutput } from './serial-output.ts'

const MEBIBYTE = 1024 * 1024

test('what was written is read from any place, and the next read goes on', () => {
  const serial = new SerialOutput()
  assert.deepEqual(serial.read(0), { contents: '', start: 0, next: 0 })
  serial.append(Buffer.from('one\n'))
  serial.append(Buffer.from('zwölf\n'))
  assert.deepEqual(serial.read(0), { contents: 'one\nzwölf\n', start: 0, next: 11 })
  assert.deepEqual(serial.read(4), { contents: 'zwölf\n', start: 4, next: 11 })
  assert.deepEqual(serial.read(11), { contents: '', start: 11, next: 11 })
  assert.deepEqual(serial.read(99), { contents: '', start: 11, next: 11 })
})

test('the last mebibyte is kept, and what came before is counted', () => {
  const serial = new SerialOutput()
  serial.append(Buffer.from('gone'))
  serial.append(Buffer.alloc(MEBIBYTE - 2, 'a'))
  const { contents, start, next } = serial.read(0)
  assert.deepEqual([start, next, contents.length, contents.slice(0, 3)], [2, MEBIBYTE + 2, MEBIBYTE, 'nea'])
  serial.append(Buffer.alloc(3 * MEBIBYTE, 'b'))
  const last = serial.read(5)
  assert.deepEqual([last.start, last.next, last.contents], [3 * MEBIBYTE + 2, 4 * MEBIBYTE + 2, 'b'.repeat(MEBIBYTE)])
})

test('what is written byte by byte costs no more than what comes at once', () => {
  const serial = new SerialOutput()
  const bytes = Buffer.from('0123456789')
  const { user } = process.cpuUsage()
  for (let index = 0; index < MEBIBYTE + 20_000; index++) serial.append(bytes.subarray(index % 10, (index % 10) + 1))
  const { start, next, contents } = serial.read(0)
  assert.deepEqual([start, next, contents.length], [20_000, MEBIBYTE + 20_000, MEBIBYTE])
  assert.equal(contents.slice(0, 12), '012345678901')
  // It was more than half a minute when each byte moved all others.
  assert.ok(process.cpuUsage().user - user < 5_000_000)
})
