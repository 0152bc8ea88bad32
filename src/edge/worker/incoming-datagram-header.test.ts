import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../address/endpoint.ts'
import { type Datagram, Verdict } from '../../dataplane/flow/datagram-entrance.ts'
import type { DatagramBatch } from '../../linux/datagram.ts'
import { type ProxyV2Options, writeProxyV2, writeProxyV2Local } from '../../proxy-protocol/write-v2.ts'
import type { DropReason } from '../../telemetry/flow-reasons.ts'
import { Counters, METRICS } from '../../telemetry/metrics.ts'
import { IncomingDatagramHeader } from './incoming-datagram-header.ts'

const KEY_INTS = 19
const BALANCER = endpointOf('198.51.100.1:4000')

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return endpoint
}

/** As much of a datagram as a header is read from. Peers are told apart by their ports. */
function datagramOf(bytes: Uint8Array, peer: Endpoint = BALANCER): Datagram & { readonly dropped: DropReason[] } {
  const dropped: DropReason[] = []
  const batch = {
    start: () => 0,
    copyPeer: (_: number, key: Int32Array, at: number) => key.set([peer.address.w3, peer.port], at),
    copyPeerAddress: (_: number, key: Int32Array, at: number) => key.set([peer.address.w3], at),
    copyLocal: () => {},
  } as unknown as DatagramBatch
  const drop = (reason: DropReason) => {
    dropped.push(reason)
    return Verdict.Drop
  }
  return { batch, slot: 0, bytes, start: 0, end: bytes.length, drop, dropped } as unknown as ReturnType<
    typeof datagramOf
  >
}

function headerOf(source: string, options: ProxyV2Options = {}, payload = 'x'): Uint8Array {
  const bytes = new Uint8Array(256)
  const ends = [endpointOf(source), endpointOf('203.0.113.10:53')] as const
  const length = writeProxyV2(bytes, 0, ...ends, { transport: 'dgram', ...options })
  bytes.set(Buffer.from(payload), length)
  return bytes.subarray(0, length + payload.length)
}

function start(): { readonly incoming: IncomingDatagramHeader; readonly counters: Counters } {
  const counters = new Counters()
  return { incoming: new IncomingDatagramHeader(['198.51.100.0/24'], 256, counters), counters }
}

function identified(incoming: IncomingDatagramHeader, datagram: Datagram): string {
  const key = new Int32Array(KEY_INTS)
  assert.equal(incoming.identify(datagram, key), Verdict.Pass)
  assert.equal(Buffer.from(datagram.bytes.subarray(datagram.start)).toString(), 'x')
  return key.join()
}

test('a flow is a load balancer with the ends in its headers, whichever of its sockets sends them', () => {
  const { incoming } = start()
  const key = identified(incoming, datagramOf(headerOf('192.0.2.1:1000')))
  const otherSocket = endpointOf('198.51.100.1:4001')
  assert.equal(identified(incoming, datagramOf(headerOf('192.0.2.1:1000'), otherSocket)), key)
  const others = [
    datagramOf(headerOf('192.0.2.1:1001')),
    datagramOf(headerOf('192.0.2.2:1000')),
    datagramOf(headerOf('[2001:db8::1]:1000')),
    datagramOf(headerOf('192.0.2.1:1000'), endpointOf('198.51.100.2:4000')),
  ]
  assert.equal(new Set([key, ...others.map((one) => identified(incoming, one))]).size, 5)
})

test('a header without a client is a flow of the socket that has sent it, and none that a client is in', () => {
  const { incoming, counters } = start()
  const local = (port: number): Datagram => {
    const bytes = new Uint8Array(17)
    writeProxyV2Local(bytes, 0)
    bytes[16] = 0x78
    return datagramOf(bytes, endpointOf(`198.51.100.1:${port}`))
  }
  const keys = [4000, 4001].map((port) => identified(incoming, local(port)))
  assert.equal(new Set([...keys, identified(incoming, datagramOf(headerOf('192.0.2.1:1000')))]).size, 3)
  assert.equal(counters.read(METRICS.local.slot), 2)
  assert.equal(incoming.read(local(4000), BALANCER), undefined)
})

test('what begins a flow is read as a whole: who may send it, its checksum, and what is passed on', () => {
  const { incoming, counters } = start()
  const tlvs = [{ type: 0xe1, value: Uint8Array.of(7) }]
  const named = incoming.read(datagramOf(headerOf('192.0.2.1:1000', { tlvs, hasChecksum: true })), BALANCER)
  assert.ok(typeof named === 'object')
  assert.deepEqual(
    [formatEndpoint(named.source), formatEndpoint(named.destination), named.tlvs],
    ['192.0.2.1:1000', '203.0.113.10:53', tlvs],
  )
  assert.equal(incoming.read(datagramOf(headerOf('192.0.2.1:1')), endpointOf('192.0.2.9:1')), 'untrusted-peer')
  const broken = headerOf('192.0.2.1:1000', { hasChecksum: true })
  broken[20] = (broken[20] ?? 0) ^ 1
  assert.equal(incoming.read(datagramOf(broken), BALANCER), 'header-malformed')
  assert.equal(counters.read(METRICS.malformed.slots['v2-crc']), 1)
})

test('what has no header, half of one, one of version 1 or one for connections is dropped, each for its reason', () => {
  const { incoming, counters } = start()
  const whole = headerOf('192.0.2.1:1000')
  for (const [bytes, reason] of [
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'header-missing'],
    [new Uint8Array(0), 'header-missing'],
    [whole.subarray(0, 20), 'header-malformed'],
    [Buffer.from('PROXY TCP4 192.0.2.1 203.0.113.10 1 53\r\n'), 'header-malformed'],
    [headerOf('192.0.2.1:1000', { transport: 'stream' }), 'source-refused'],
  ] as const) {
    const datagram = datagramOf(bytes)
    assert.equal(incoming.identify(datagram, new Int32Array(KEY_INTS)), Verdict.Drop)
    assert.deepEqual(datagram.dropped, [reason])
  }
  const malformed = Object.values(METRICS.malformed.slots).reduce((sum, slot) => sum + counters.read(slot), 0)
  assert.equal(malformed, 4)
  assert.equal(counters.read(METRICS.sourceRefused.slots['transport-mismatch']), 1)
})
