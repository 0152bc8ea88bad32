import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import type { ProxiedHeader } from '../proxy-protocol/proxy-header.ts'
import { decideSource, type SourcePolicy } from './source-policy.ts'

const PEER = endpoint('35.191.0.9:40000')
const LENIENT: SourcePolicy = { transport: 'stream', denyPrivate: false, keepPort: false }
const STRICT: SourcePolicy = { transport: 'stream', denyPrivate: true, keepPort: true }

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed, text)
  return parsed
}

function header(source: string, destination = '203.0.113.10:110'): ProxiedHeader {
  const nothingElse = { bytesRead: 0, tlvStart: 0, tlvEnd: 0 }
  return {
    kind: 'proxied',
    version: 2,
    transport: 'stream',
    source: endpoint(source),
    destination: endpoint(destination),
    ...nothingElse,
  }
}

function decide(source: string, policy = LENIENT, destination?: string, peer = PEER): string {
  const decision = decideSource(header(source, destination), peer, policy)
  if (decision.kind === 'client') return formatEndpoint(decision.source)
  return decision.kind === 'refused' ? decision.reason : 'the peer'
}

for (const [source, decision] of [
  ['209.52.88.4:51234', '209.52.88.4:51234'],
  ['[2001:db8:209::4]:51234', '[2001:db8:209::4]:51234'],
  ['[::ffff:209.52.88.4]:51234', '209.52.88.4:51234'],
  ['192.0.2.1:1', '192.0.2.1:1'],
  ['198.18.0.1:1', '198.18.0.1:1'],
  ['10.0.0.1:1', '10.0.0.1:1'],
  ['[fd00::1]:1', '[fd00::1]:1'],
  ['209.52.88.4:0', '209.52.88.4:0'],
  ['127.0.0.1:1', 'src-loopback'],
  ['[::1]:1', 'src-loopback'],
  ['[::ffff:127.0.0.1]:1', 'src-loopback'],
  ['[::127.0.0.1]:1', 'src-loopback'],
  ['[64:ff9b::7f00:1]:1', 'src-loopback'],
  ['[2002:7f00:1::]:1', 'src-loopback'],
  ['0.0.0.0:1', 'src-unspecified'],
  ['[::]:1', 'src-unspecified'],
  ['224.0.0.1:1', 'src-multicast'],
  ['[ff02::1]:1', 'src-multicast'],
  ['255.255.255.255:1', 'src-broadcast'],
  ['240.0.0.1:1', 'src-reserved'],
  ['169.254.169.254:1', 'src-linklocal'],
  ['[fe80::1]:1', 'src-linklocal'],
  ['203.0.113.10:110', 'src-equals-dst'],
  ['203.0.113.10:111', '203.0.113.10:111'],
] as const) {
  test(`a header from ${source} makes the app see ${decision}`, () => assert.equal(decide(source), decision))
}

test('source and destination are compared in the form that the app sees', () => {
  assert.equal(decide('[::ffff:203.0.113.10]:110'), 'src-equals-dst')
  assert.equal(decide('203.0.113.10:110', LENIENT, '[::ffff:203.0.113.10]:110'), 'src-equals-dst')
})

test('an address that nobody may be is named as that, also where it is the destination as well', () => {
  assert.equal(decide('0.0.0.0:0', STRICT, '0.0.0.0:0'), 'src-unspecified')
})

test('private sources and port 0 are refused where the operator says so', () => {
  assert.equal(decide('10.0.0.1:1', STRICT), 'src-private')
  assert.equal(decide('[::ffff:192.168.0.1]:1', STRICT), 'src-private')
  assert.equal(decide('[fd00::1]:1', STRICT), 'src-private')
  assert.equal(decide('209.52.88.4:0', STRICT), 'src-port-zero')
  assert.equal(decide('209.52.88.4:1', STRICT), '209.52.88.4:1')
})

test('a header that names the peer itself, address and port, speaks of no client', () => {
  assert.equal(decide('35.191.0.9:40000', STRICT), 'the peer')
  assert.equal(decide('[::ffff:35.191.0.9]:40000', STRICT), 'the peer')
})

test("another port of the peer's address is that of a client on its host, for whom the policy holds", () => {
  assert.equal(decide('35.191.0.9:50000', STRICT), '35.191.0.9:50000')
  assert.equal(decide('[::ffff:35.191.0.9]:50000'), '35.191.0.9:50000')
  assert.equal(decide('35.191.0.9:0', STRICT), 'src-port-zero')
  assert.equal(decide('10.0.0.9:50000', STRICT, undefined, endpoint('10.0.0.9:40000')), 'src-private')
})

test('where nobody may be impersonated with the address of the peer, every port of it is the peer itself', () => {
  for (const address of ['127.0.0.1', '[::1]', '[fe80::1]']) {
    assert.equal(decide(`${address}:1`, STRICT, undefined, endpoint(`${address}:40000`)), 'the peer')
  }
})

test('LOCAL, UNKNOWN and UNSPEC speak of no client', () => {
  assert.deepEqual(decideSource({ kind: 'local' }, PEER, STRICT), { kind: 'peer' })
})

test('UNIX sockets, datagrams in a stream and streams in a datagram are refused, also when they name the peer', () => {
  const dgram = { ...header('35.191.0.9:1'), transport: 'dgram' } as const
  assert.deepEqual(decideSource(dgram, PEER, LENIENT), { kind: 'refused', reason: 'transport-mismatch' })
  const ofDatagrams = { ...LENIENT, transport: 'dgram' } as const
  assert.deepEqual(decideSource(dgram, PEER, ofDatagrams), { kind: 'client', source: dgram.source })
  const stream = { ...dgram, transport: 'stream' } as const
  assert.deepEqual(decideSource(stream, PEER, ofDatagrams), { kind: 'refused', reason: 'transport-mismatch' })
  const path = new Uint8Array(108)
  const unix = { ...dgram, kind: 'unix', version: 2, transport: 'stream', source: path, destination: path } as const
  assert.deepEqual(decideSource(unix, PEER, LENIENT), { kind: 'refused', reason: 'family-unsupported' })
})
