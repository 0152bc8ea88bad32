import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLIENT_HELLO_BYTES_MAX, type ClientHello, type ClientHelloReading, readClientHello } from './client-hello.ts'
import { type HelloFields, helloMessage, inRecords } from './test-hello.ts'

const FULL: HelloFields = {
  cipherSuites: [0x1301, 0xc02b],
  serverName: 'App.Example.',
  protocols: ['h2', 'http/1.1'],
  versions: [0x0304, 0x0303],
  groups: [29, 23],
  signatureSchemes: [0x0403, 0x0804],
}

function readAll(bytes: Uint8Array): ClientHelloReading {
  return readClientHello(bytes, 0, bytes.length)
}

function helloOf(fields: HelloFields): ClientHello {
  const reading = readAll(inRecords(helloMessage(fields)))
  return reading.kind === 'hello' ? reading : assert.fail(JSON.stringify(reading))
}

function refusalOf(bytes: Uint8Array): string {
  const reading = readAll(bytes)
  return reading.kind === 'refused' ? reading.reason : reading.kind
}

test('what the choice of a certificate needs is read', () => {
  assert.deepEqual(helloOf(FULL), {
    kind: 'hello',
    serverName: 'app.example',
    protocols: ['h2', 'http/1.1'],
    versions: [0x0304, 0x0303],
    cipherSuites: [0x1301, 0xc02b],
    signatureSchemes: [0x0403, 0x0804],
    groups: [29, 23],
    hasEarlyData: false,
  })
})

test('a client that lists no versions can do all up to the one in its message, and at most TLS 1.2', () => {
  assert.deepEqual(helloOf({ legacyVersion: 0x0302 }).versions, [0x0302, 0x0301])
  assert.deepEqual(helloOf({ legacyVersion: 0x0399 }).versions, [0x0303, 0x0302, 0x0301])
})

test('early data are seen', () => {
  assert.equal(helloOf({ ...FULL, hasEarlyData: true }).hasEarlyData, true)
})

test('a hello cut at any byte is incomplete, and never asks for more than there is', () => {
  const bytes = inRecords(helloMessage(FULL))
  for (let end = 0; end < bytes.length; end++) {
    const reading = readClientHello(bytes, 0, end)
    assert.equal(reading.kind, 'incomplete', `at ${end}`)
    if (reading.kind === 'incomplete') assert.ok(reading.bytesNeeded > end && reading.bytesNeeded <= bytes.length)
  }
})

test('a hello in records of any size says the same, cut anywhere or not', () => {
  const message = helloMessage(FULL)
  for (const recordBytes of [3, 4, 5, 7, 50, message.length - 1]) {
    const bytes = inRecords(message, recordBytes)
    assert.deepEqual(readAll(bytes), helloOf(FULL))
    for (let end = 0; end < bytes.length; end++) assert.equal(readClientHello(bytes, 0, end).kind, 'incomplete')
  }
})

test('what follows the hello is not looked at', () => {
  const bytes = inRecords(helloMessage(FULL))
  const more = new Uint8Array(bytes.length + 7)
  more.set(bytes)
  assert.deepEqual(readAll(more), helloOf(FULL))
})

test('garbage, HTTP and other record types are told apart', () => {
  assert.equal(refusalOf(Buffer.from('SSH-2.0-x')), 'not-tls')
  assert.equal(refusalOf(Buffer.from('GET / HTTP/1.1')), 'http-request')
  assert.equal(refusalOf(Buffer.from('GE')), 'incomplete')
  assert.equal(refusalOf(Buffer.from('GEX ')), 'not-tls')
  assert.equal(refusalOf(Uint8Array.of(0x80, 0x2e, 1, 3, 1)), 'not-tls')
  assert.equal(refusalOf(Uint8Array.of(22, 2, 0)), 'not-tls')
  assert.equal(refusalOf(Uint8Array.of(22, 3, 1, 0, 4, 2, 0, 0, 0)), 'client-hello-malformed')
})

test('a message that is larger than any client needs is refused as soon as its length is known', () => {
  const length = CLIENT_HELLO_BYTES_MAX + 1
  const front = Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0, length >> 8, length & 0xff)
  assert.equal(refusalOf(front), 'client-hello-too-large')
})

test('lengths that do not fit, and what may not come twice, are malformed', () => {
  const cases: HelloFields[] = [
    { cipherSuites: [] },
    { serverName: '' },
    { serverName: 'a\0b' },
    { protocols: [] },
    { protocols: [''] },
    { versions: [] },
    { more: [[43, [3, 3, 4]]] },
    { more: [[43, [2, 3, 4, 0]]] },
    { more: [[0, [0, 5, 0, 0, 9, 97, 98]]] },
    { more: [[42, [1]]] },
    { serverName: 'a', more: [[0, [0, 4, 0, 0, 1, 97]]] },
  ]
  for (const fields of cases) {
    assert.equal(refusalOf(inRecords(helloMessage(fields))), 'client-hello-malformed', JSON.stringify(fields))
  }
  const message = helloMessage(FULL)
  message[message.length - 1] += 1
  const longer = new Uint8Array(message)
  longer[3] -= 1
  assert.equal(refusalOf(inRecords(longer)), 'client-hello-malformed')
})

test('whatever the bytes are, the answer is final at the first byte that decides it', () => {
  const hello = inRecords(helloMessage(FULL), 40)
  const mutated = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const bytes = Uint8Array.from(hello)
    for (const [at, value] of changes) bytes[at] = value
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const whole = readAll(bytes)
      for (let end = 0; end < bytes.length; end++) {
        const part = readClientHello(bytes, 0, end)
        if (part.kind !== 'incomplete') return assert.deepEqual(part, whole)
        assert.ok(part.bytesNeeded > end)
      }
    }),
    { numRuns: 2_000 },
  )
})
