import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeHealthCheckResponse, encodeHealthCheckRequest } from './grpc-messages.ts'

/** A body that holds this message. */
function framed(...message: readonly number[]): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, message.length, ...message)
}

test('a request is the name of the service as field 1, after its length', () => {
  assert.deepEqual([...encodeHealthCheckRequest('')], [0, 0, 0, 0, 0])
  assert.deepEqual([...encodeHealthCheckRequest('ab')], [0, 0, 0, 0, 4, 0x0a, 2, 97, 98])
  const long = encodeHealthCheckRequest('é'.repeat(100))
  assert.deepEqual([...long.subarray(0, 8)], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1])
  assert.equal(long.length, 5 + 203)
})

test('a response is its status; a field that is missing is 0, and of one that comes twice the last counts', () => {
  assert.deepEqual(decodeHealthCheckResponse(framed()), { status: 0 })
  assert.deepEqual(decodeHealthCheckResponse(framed(8, 1)), { status: 1 })
  assert.deepEqual(decodeHealthCheckResponse(framed(8, 1, 8, 2)), { status: 2 })
  // An enum of -1 takes ten bytes.
  const negative = decodeHealthCheckResponse(framed(8, ...Array(9).fill(0xff), 1))
  assert.ok(negative !== undefined && negative.status > 3)
})

test('fields that are not known are skipped, whatever their form', () => {
  const unknown = [0x10, 0x96, 1, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x22, 3, 8, 2, 2, 0x2d, 1, 2, 3, 4]
  assert.deepEqual(decodeHealthCheckResponse(framed(...unknown, 8, 1, ...unknown)), { status: 1 })
  // Field 1 in another form is not the status.
  assert.deepEqual(decodeHealthCheckResponse(framed(0x0a, 1, 1)), { status: 0 })
})

test('what is cut short, compressed, too long, or no message is none', () => {
  const wrong = [
    [],
    [0, 0, 0, 0],
    [1, 0, 0, 0, 2, 8, 1],
    [0, 0, 0, 0, 3, 8, 1],
    [0, 0, 0, 0, 1, 8, 1],
    [0, 0, 0, 0, 1, 8],
    [0, 0, 0, 0, 2, 8, 0x80],
    [0, 0, 0, 0, 2, 0, 1],
    [0, 0, 0, 0, 1, 0x0b],
    [0, 0, 0, 0, 2, 0x12, 1],
    [0, 0, 0, 0, 3, 0x11, 1, 1],
    [0, 0, 0, 0, 12, 8, ...Array(11).fill(0x80)],
  ]
  for (const bytes of wrong) assert.equal(decodeHealthCheckResponse(Uint8Array.from(bytes)), undefined, bytes.join())
})

test('any bytes are decoded without an exception, and none behind the end are read', () => {
  const body = fc.uint8Array({ maxLength: 40 }).map((message) => framed(...message))
  fc.assert(
    fc.property(body, (bytes) => {
      const shared = new Uint8Array([9, ...bytes, 8, 1]).subarray(1, 1 + bytes.length)
      assert.deepEqual(decodeHealthCheckResponse(shared), decodeHealthCheckResponse(bytes))
    }),
  )
})
