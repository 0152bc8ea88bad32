import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLIENT_HELLO_BYTES_MAX, type ClientHello, type ClientHelloReading, readClientHello } from './client-hello.ts'
import { type HelloFields, helloMessage, inRecords, sized } from './test-hello.ts'

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

/** A hello of these parts, each with its length in front. */
type HelloParts = {
  readonly sessionId?: readonly number[]
  readonly suites?: readonly number[]
  readonly compressions?: readonly number[]
  /** undefined: there is not even the length of none, as before TLS 1.2. */
  readonly extensions?: readonly (readonly [number, readonly number[]])[]
  /** Behind everything. */
  readonly rest?: readonly number[]
}

function helloOfParts({ sessionId = [], suites = [19, 1], compressions = [0], extensions, rest = [] }: HelloParts) {
  const list = extensions?.flatMap(([type, body]) => [0, type, ...sized(2, body)])
  const body = [
    ...[3, 3, ...new Array<number>(32).fill(7)],
    ...sized(1, sessionId),
    ...sized(2, suites),
    ...sized(1, compressions),
    ...(list === undefined ? [] : sized(2, list)),
    ...rest,
  ]
  return inRecords(Uint8Array.from([1, ...sized(3, body)]))
}

const named = (...entries: readonly (readonly number[])[]): HelloParts => ({
  extensions: [[0, sized(2, entries.flat())]],
})
const hostName = (length: number): readonly number[] => [0, ...sized(2, new Array<number>(length).fill(97))]

for (const [claim, parts] of [
  ['no extensions', {}],
  ['an empty list of extensions', { extensions: [] }],
  ['a session id of 32 bytes', { sessionId: new Array(32).fill(1) }],
  ['several compressions', { compressions: [1, 0] }],
  ['extensions that nobody knows, whatever is in them', { extensions: [[99, [1, 2, 3]]] }],
  ['a name of 255 bytes', named(hostName(255))],
] as const) {
  test(`${claim} make a hello`, () => {
    assert.equal(refusalOf(helloOfParts(parts)), 'hello')
  })
}

for (const [claim, parts] of [
  ['a session id of 33 bytes', { sessionId: new Array(33).fill(1) }],
  ['half a cipher suite', { suites: [19, 1, 19] }],
  ['no cipher suite', { suites: [] }],
  ['no compression', { compressions: [] }],
  ['a byte behind everything', { extensions: [], rest: [0] }],
  ['half a length of extensions', { rest: [0] }],
  ['extensions that are longer than the message', { rest: [0, 5, 0, 99, 0, 0] }],
  ['an extension that is longer than all of them', { rest: [0, 4, 0, 99, 0, 1] }],
  [
    'an extension that comes twice, though nobody knows it',
    {
      extensions: [
        [99, []],
        [99, []],
      ],
    },
  ],
  ['no group', { extensions: [[10, [0, 0]]] }],
  ['half a group', { extensions: [[10, [0, 3, 0, 29, 0]]] }],
  ['a byte behind the groups', { extensions: [[10, [0, 2, 0, 29, 0]]] }],
  ['groups that are longer than their extension', { extensions: [[10, [0, 4, 0, 29]]] }],
  ['no signature scheme', { extensions: [[13, [0, 0]]] }],
  ['a byte behind the signature schemes', { extensions: [[13, [0, 2, 4, 3, 0]]] }],
  ['an empty list of names', { extensions: [[0, [0, 0]]] }],
  ['no list of names', { extensions: [[0, []]] }],
  ['a byte behind the list of names', { extensions: [[0, [...sized(2, hostName(1)), 0]]] }],
  ['two names', named(hostName(1), hostName(1))],
  ['a name of another kind', named([1, ...sized(2, [97])])],
  ['an empty name', named(hostName(0))],
  ['a name of 256 bytes', named(hostName(256))],
  ['a name that is longer than its list', named([0, 0, 2, 97])],
  ['an empty list of protocols', { extensions: [[16, [0, 0]]] }],
  ['a protocol without a name', { extensions: [[16, [0, 3, 1, 97, 0]]] }],
  ['a protocol that is longer than the list', { extensions: [[16, [0, 2, 2, 97]]] }],
  ['a byte behind the protocols', { extensions: [[16, [0, 2, 1, 97, 0]]] }],
] as const) {
  test(`${claim}: malformed`, () => {
    assert.equal(refusalOf(helloOfParts(parts)), 'client-hello-malformed')
  })
}

test('a record has 1 to 16,384 bytes (RFC 8446 §5.1), of a handshake, and its version begins with 3', () => {
  const record = (length: number, ...front: readonly number[]) =>
    Uint8Array.of(22, 3, 1, length >> 8, length & 255, ...front)
  assert.equal(refusalOf(record(0)), 'client-hello-malformed')
  assert.equal(refusalOf(record(16_385)), 'client-hello-malformed')
  assert.equal(refusalOf(record(16_384)), 'incomplete')
  assert.equal(refusalOf(record(1)), 'incomplete')
  const message = helloMessage(FULL)
  const bytes = inRecords(message, message.length - 1)
  const secondAt = 5 + message.length - 1
  for (const [at, value] of [
    [secondAt, 23],
    [secondAt + 1, 2],
    [secondAt + 4, 0],
  ] as const) {
    const wrong = Uint8Array.from(bytes)
    wrong[at] = value
    assert.equal(refusalOf(wrong), 'client-hello-malformed', `${at}`)
  }
  bytes[secondAt + 2] = 4
  assert.equal(refusalOf(bytes), 'hello', 'the lower half of the version means nothing')
})

test('a message may be in 64 records, and not in 65', () => {
  const message = helloMessage({ ...FULL, more: [[99, new Array(1_000).fill(0)]] })
  const inSo = (count: number): Uint8Array => {
    // Records of one byte, and one with the rest.
    const first = inRecords(message.subarray(0, count - 1), 1)
    return Uint8Array.from([...first, ...inRecords(message.subarray(count - 1))])
  }
  assert.equal(refusalOf(inSo(64)), 'hello')
  assert.equal(refusalOf(inSo(65)), 'client-hello-malformed')
})

test('the largest message is taken, and one byte more is refused, in one record or several', () => {
  const empty = helloMessage({ more: [[99, []]] }).length - 4
  const ofBody = (bytes: number) => helloMessage({ more: [[99, new Array(bytes - empty).fill(0)]] })
  for (const recordBytes of [3, 1_000, 16_384]) {
    const front = (message: Uint8Array): Uint8Array =>
      recordBytes === 3
        ? Uint8Array.from([...inRecords(message.subarray(0, 3)), ...inRecords(message.subarray(3))])
        : inRecords(message, recordBytes)
    assert.equal(refusalOf(front(ofBody(CLIENT_HELLO_BYTES_MAX))), 'hello', `${recordBytes}`)
    assert.equal(refusalOf(front(ofBody(CLIENT_HELLO_BYTES_MAX + 1))), 'client-hello-too-large', `${recordBytes}`)
  }
})

test('a hello is read where it stands in a buffer, and asks for bytes from its own start', () => {
  const bytes = inRecords(helloMessage(FULL))
  const buffer = Uint8Array.from([22, 22, 22, ...bytes, 22])
  assert.deepEqual(readClientHello(buffer, 3, 3 + bytes.length), helloOf(FULL))
  assert.deepEqual(readClientHello(buffer, 3, 3), { kind: 'incomplete', bytesNeeded: 5 })
  assert.deepEqual(readClientHello(buffer, 3, 8), { kind: 'incomplete', bytesNeeded: 9 })
  assert.deepEqual(readClientHello(buffer, 3, 20), { kind: 'incomplete', bytesNeeded: bytes.length })
})

test('a hello in several records asks for bytes from its own start, wherever that is', () => {
  const bytes = inRecords(helloMessage(FULL), 10)
  const buffer = Uint8Array.from([22, 22, 22, ...bytes])
  for (let end = 0; end < bytes.length; end++) {
    assert.deepEqual(readClientHello(buffer, 3, 3 + end), readClientHello(bytes, 0, end), `${end}`)
  }
  assert.deepEqual(readAll(buffer.subarray(3)), helloOf(FULL))
})

test('of a version below TLS 1.0 a client can do none that there is', () => {
  assert.deepEqual(helloOf({ legacyVersion: 0x0300 }).versions, [])
  assert.deepEqual(helloOf({ legacyVersion: 0x0301 }).versions, [0x0301])
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
