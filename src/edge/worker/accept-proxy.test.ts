// An edge behind a load balancer: which headers it takes, and what becomes of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOf, type TestSocket } from '../../dataplane/connection/test-loop.ts'
import { crc32c } from '../../proxy-protocol/crc32c.ts'
import type { Tlv } from '../../proxy-protocol/tlv.ts'
import { writeProxyV2, writeProxyV2Local, writeProxyV2Unix } from '../../proxy-protocol/write-v2.ts'
import type { HeaderSetting } from '../../snapshot/snapshot.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { TestEdge } from '../test-edge.ts'

const CLIENT = endpointOf('192.0.2.1:1025')
const SERVER = endpointOf('203.0.113.10:110')
const LINE = 'PROXY TCP4 192.0.2.1 203.0.113.10 1025 110\r\n'
const V2 = { kind: 'PROXY_V2', crc32c: false, uniqueId: false } as const
const TRUST = { acceptProxyFrom: ['127.0.0.0/8'], proxyHeader: { kind: 'PROXY_V1' } } as const

function v2(tlvs: readonly Tlv[] = [], hasChecksum = false): Buffer {
  const target = Buffer.alloc(65_536)
  return Buffer.from(target.subarray(0, writeProxyV2(target, 0, CLIENT, SERVER, { tlvs, hasChecksum })))
}

/** Reads until `length` bytes have come. */
function readAll(edge: TestEdge, socket: TestSocket, length: number): Buffer {
  let text = ''
  edge.loop.until('everything arrives', () => {
    const received = socket.receive()
    if (received !== 'nothing') text += received
    return text.length >= length
  })
  return Buffer.from(text, 'latin1')
}

test("the client of the header is the connection's client from then on", (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, logSampleRate: 1 })
  const client = edge.loop.connect()
  client.send(`${LINE}hello`)
  const backend = edge.loop.accept(edge.apps[0])
  assert.equal(edge.loop.read(backend), `${LINE}hello`)
  client.finish()
  backend.finish()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  const [{ connection, serverBytesReceived, peer }] = edge.records
  assert.deepEqual(connection, {
    clientIp: '192.0.2.1',
    clientPort: 1025,
    serverIp: '203.0.113.10',
    serverPort: 110,
    protocol: 6,
  })
  assert.equal(serverBytesReceived, '5')
  assert.match(String(peer), /^127\.0\.0\.1:\d+$/)
  assert.equal(edge.backendCounters(0).bytesFromClient, 5)
})

test('both versions are taken, and each is passed on as the frontend says', (t) => {
  const cases: readonly [HeaderSetting, Buffer, string][] = [
    [{ kind: 'PROXY_V1' }, v2(), Buffer.from(LINE).toString('hex')],
    [V2, Buffer.from(LINE), v2().toString('hex')],
    [V2, v2(), v2().toString('hex')],
    [{ kind: 'NONE' }, v2(), ''],
  ]
  for (const [proxyHeader, sent, expected] of cases) {
    const edge = new TestEdge(t, 1, { ...TRUST, proxyHeader })
    const client = edge.loop.connect()
    client.send(Buffer.concat([sent, Buffer.from('hello')]))
    const backend = edge.loop.accept(edge.apps[0])
    assert.equal(edge.loop.read(backend), `${Buffer.from(expected, 'hex').toString('latin1')}hello`)
  }
})

test('a header without payload is passed on at once: the backend may speak first', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, proxyHeader: V2 })
  const client = edge.loop.connect()
  client.send(LINE)
  const backend = edge.loop.accept(edge.apps[0])
  assert.equal(edge.loop.read(backend), v2().toString('latin1'))
  backend.send('220 ready')
  assert.equal(edge.loop.read(client), '220 ready')
  client.send('EHLO')
  assert.equal(edge.loop.read(backend), 'EHLO')
})

test('a header that comes byte by byte is the same', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST })
  const client = edge.loop.connect()
  for (const byte of `${LINE}hello`) {
    client.send(byte)
    edge.loop.settle()
  }
  const backend = edge.loop.accept(edge.apps[0])
  assert.equal(readAll(edge, backend, LINE.length + 5).toString(), `${LINE}hello`)
})

test('a payload that fills the buffer behind a short header leaves whole behind a long one', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, proxyHeader: { kind: 'PROXY_V2', crc32c: true, uniqueId: true } })
  const client = edge.loop.connect()
  const payload = Buffer.alloc(100_000, 'payload. ')
  const sent = client.send(Buffer.concat([Buffer.from(LINE), payload])) - LINE.length
  assert.ok(sent > 65_536)
  const backend = edge.loop.accept(edge.apps[0])
  const headerLength = 16 + 12 + 7 + 19
  const received = readAll(edge, backend, headerLength + sent)
  assert.equal(received.length, headerLength + sent)
  assert.ok(received.subarray(headerLength).equals(payload.subarray(0, sent)))
})

test('TLVs go on byte for byte, but for the checksum, which is made anew, and padding', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, proxyHeader: { kind: 'PROXY_V2', crc32c: true, uniqueId: true } })
  const kept = [
    { type: 0x01, value: Buffer.from('h2') },
    { type: 0x05, value: Buffer.from('their id') },
    { type: 0xea, value: Buffer.from([1, 0xff, 0, 0x0d, 0x0a]) },
    { type: 0xe7, value: Buffer.alloc(3_000, 7) },
  ]
  const client = edge.loop.connect()
  const noop = { type: 0x04, value: Buffer.alloc(17) }
  client.send(Buffer.concat([v2([noop, ...kept], true), Buffer.from('hello')]))
  const backend = edge.loop.accept(edge.apps[0])
  const expected = Buffer.concat([v2(kept, true), Buffer.from('hello')])
  const received = readAll(edge, backend, expected.length)
  assert.ok(received.equals(expected), received.toString('hex').slice(0, 200))
  assert.equal(received.readInt32BE(31), crc32c(received, 0, received.length - 5, 31))
})

test('a connection of the load balancer itself has its real ends', (t) => {
  const local = Buffer.alloc(64)
  const headers = [local.subarray(0, writeProxyV2Local(local, 0)), Buffer.from('PROXY UNKNOWN\r\n')]
  for (const header of headers) {
    const edge = new TestEdge(t, 1, TRUST)
    const client = edge.loop.connect()
    client.send(header)
    const { port } = edge.loop.endpoint
    const expected = new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}\r\n$`)
    assert.match(edge.loop.read(edge.loop.accept(edge.apps[0])), expected)
    assert.equal(edge.frontendCounters().refused, 0)
  }
})

test('whoever is not in the list is refused before a byte is read', (t) => {
  const edge = new TestEdge(t, 1, {
    ...TRUST,
    acceptProxyFrom: ['198.51.100.0/24', '2001:db8::/32'],
    logSampleRate: 1,
  })
  const client = edge.loop.connect()
  client.send(LINE)
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  assert.deepEqual(edge.loop.ended, ['untrusted-peer'])
  assert.equal(edge.loop.read(client), 'ECONNRESET')
  assert.equal(edge.frontendCounters().refused, 1)
  assert.deepEqual(edge.open(), { backends: [0], frontend: 0 })
  assert.deepEqual(
    edge.records.map(({ end }) => end),
    ['untrusted-peer'],
  )
})

test('whoever is not in the list is reset, also before a byte has come: a FIN would pass for the end of an app', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, acceptProxyFrom: ['198.51.100.0/24'] })
  assert.equal(edge.loop.read(edge.loop.connect()), 'ECONNRESET')
})

test('whoever is in the list has to send a header', (t) => {
  const edge = new TestEdge(t, 1, TRUST, { headerTimeoutMs: 1_000 })
  edge.loop.connect().send('GET / HTTP/1.1\r\n')
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  edge.loop.connect()
  edge.loop.until('accepted', () => edge.loop.loop.openCount === 1)
  edge.loop.advance(1_008)
  assert.deepEqual(edge.loop.ended, ['header-malformed', 'header-timeout'])
  assert.deepEqual(
    edge.records.map(({ end, refusal }) => [end, refusal]),
    [
      ['header-malformed', 'not-proxy'],
      ['header-timeout', undefined],
    ],
  )
  assert.equal(edge.frontendCounters().refused, 2)
  assert.equal(edge.frontendCounters().bytesFromClient, 0)
})

test('headers that name no TCP client are refused', (t) => {
  const target = Buffer.alloc(65_536)
  const unix = Buffer.from(target.subarray(0, writeProxyV2Unix(target, 0, Buffer.from('/a'), Buffer.from('/b'))))
  const length = writeProxyV2(target, 0, CLIENT, SERVER, { transport: 'dgram' })
  const datagram = target.subarray(0, length)
  for (const [header, refusal] of [
    [unix, 'family-unsupported'],
    [datagram, 'transport-mismatch'],
  ] as const) {
    const edge = new TestEdge(t, 1, TRUST)
    edge.loop.connect().send(header)
    edge.loop.until('ended', () => edge.loop.ended.length === 1)
    assert.deepEqual(edge.loop.ended, ['source-refused'])
    assert.equal(edge.records[0].refusal, refusal)
  }
})

test('a header that is longer than allowed is refused', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, headerLengthMax: 216 })
  edge.loop.connect().send(v2([{ type: 0xe7, value: Buffer.alloc(300) }]))
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  assert.equal(edge.records[0].refusal, 'v2-too-long')
})

test('the next backend gets the header and the payload, too', (t) => {
  const edge = new TestEdge(t, 2, { ...TRUST, proxyHeader: V2 })
  edge.apps[0].close()
  edge.loop.connect().send(`${LINE}hello`)
  const backend = edge.loop.accept(edge.apps[1])
  assert.equal(edge.loop.read(backend), `${v2().toString('latin1')}hello`)
  assert.equal(edge.loop.counters.read(METRICS.connectRetries.slot), 1)
})

test('the next user of the place has no TLVs and no destination of the one before', (t) => {
  const edge = new TestEdge(t, 1, { ...TRUST, proxyHeader: V2 })
  const first = edge.loop.connect()
  first.send(v2([{ type: 0xe7, value: Buffer.alloc(30) }]))
  edge.loop.accept(edge.apps[0])
  first.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  edge.loop.connect().send('PROXY UNKNOWN\r\n')
  const received = Buffer.from(edge.loop.read(edge.loop.accept(edge.apps[0])), 'latin1')
  assert.equal(received.length, 28)
  assert.equal(received.subarray(16, 24).toString('hex'), '7f0000017f000001')
})
