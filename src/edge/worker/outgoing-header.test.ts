import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { crc32c } from '../../proxy-protocol/crc32c.ts'
import { readProxyHeader } from '../../proxy-protocol/read-proxy-header.ts'
import { readTlvs, readUniqueId, type Tlv } from '../../proxy-protocol/tlv.ts'
import type { HeaderSetting } from '../../snapshot/snapshot.ts'
import { OutgoingHeader, tlvsToPassOn } from './outgoing-header.ts'

const CLIENT = endpointOf('192.0.2.1:1025')
const SERVER = endpointOf('203.0.113.10:110')
const CLIENT6 = endpointOf('[2001:db8::1]:1025')
const SIGNATURE = '0d0a0d0a000d0a515549540a'
const START4 = `${SIGNATURE}2111`
const V2: HeaderSetting = { kind: 'PROXY_V2', crc32c: false, uniqueId: false }

function written(writer: OutgoingHeader, source = CLIENT, passedOn: readonly Tlv[] = []): Buffer {
  const target = Buffer.alloc(65_536)
  return Buffer.from(target.subarray(0, writer.write(target, source, SERVER, passedOn)))
}

function tlvsOf(bytes: Uint8Array): Tlv[] {
  const header = readProxyHeader(bytes, 0, bytes.length, { v2LengthMax: 60_000 })
  assert.equal(header.kind, 'proxied')
  return header.kind === 'proxied' ? readTlvs(bytes, header.tlvStart, header.tlvEnd) : []
}

test('NONE writes nothing, PROXY_V1 one line', () => {
  assert.equal(written(new OutgoingHeader({ kind: 'NONE' })).length, 0)
  assert.equal(
    written(new OutgoingHeader({ kind: 'PROXY_V1' })).toString(),
    'PROXY TCP4 192.0.2.1 203.0.113.10 1025 110\r\n',
  )
})

test('the bytes of a version 2 header are those of the specification', () => {
  assert.equal(written(new OutgoingHeader(V2)).toString('hex'), `${START4}000cc0000201cb00710a0401006e`)
})

test('a header in front of a datagram says so, and is not taken for one of a connection', () => {
  const header = written(new OutgoingHeader(V2, 'dgram')).toString('hex')
  assert.equal(header, `${SIGNATURE}2112000cc0000201cb00710a0401006e`)
})

test('an IPv6 client of an IPv4 frontend: both ends are IPv6, the IPv4 one mapped', () => {
  assert.equal(
    written(new OutgoingHeader(V2), CLIENT6).toString('hex'),
    `${SIGNATURE}21210024${'20010db8000000000000000000000001'}${'00000000000000000000ffffcb00710a'}0401006e`,
  )
  assert.equal(
    written(new OutgoingHeader({ kind: 'PROXY_V1' }), CLIENT6).toString(),
    'PROXY TCP6 2001:db8::1 ::ffff:203.0.113.10 1025 110\r\n',
  )
})

test('CRC32C stands first and covers the whole header', () => {
  const bytes = written(new OutgoingHeader({ kind: 'PROXY_V2', crc32c: true, uniqueId: true }))
  assert.equal(bytes.toString('hex').slice(0, 62), `${START4}0026c0000201cb00710a0401006e030004`)
  assert.equal(bytes.length, 16 + 0x26)
  assert.equal(bytes.readInt32BE(31), crc32c(bytes, 0, bytes.length, 31))
  assert.deepEqual(
    tlvsOf(bytes).map(({ type, value }) => [type, value.length]),
    [
      [3, 4],
      [5, 16],
    ],
  )
})

test('no two connections have the same id, of one worker or of two', () => {
  const ids = new Set<string>()
  for (let worker = 0; worker < 2; worker++) {
    const writer = new OutgoingHeader({ kind: 'PROXY_V2', crc32c: false, uniqueId: true })
    for (let connection = 0; connection < 600; connection++) {
      ids.add(Buffer.from(readUniqueId(tlvsOf(written(writer))) ?? []).toString('hex'))
    }
  }
  assert.equal(ids.size, 1_200)
})

test('TLVs that came are passed on in order, byte for byte, with a new checksum, without padding', () => {
  const alpn = { type: 1, value: Buffer.from('h2') }
  const vendor = { type: 0xea, value: Buffer.from([1, 0, 255]) }
  const came = [alpn, { type: 3, value: Buffer.alloc(4) }, { type: 4, value: Buffer.alloc(9) }, vendor, vendor]
  const bytes = written(
    new OutgoingHeader({ kind: 'PROXY_V2', crc32c: true, uniqueId: false }),
    CLIENT,
    tlvsToPassOn(came),
  )
  const checksum = bytes.subarray(31, 35).toString('hex')
  assert.equal(bytes.toString('hex').slice(56), `030004${checksum}0100026832${'ea00030100ff'.repeat(2)}`)
  assert.equal(bytes.readInt32BE(31), crc32c(bytes, 0, bytes.length, 31))
  const without = written(new OutgoingHeader(V2), CLIENT, tlvsToPassOn(came))
  assert.equal(without.toString('hex').slice(56), `0100026832${'ea00030100ff'.repeat(2)}`)
})

test('an id that came stays the id of the connection; without one there is ours, behind the others', () => {
  const writer = new OutgoingHeader({ kind: 'PROXY_V2', crc32c: false, uniqueId: true })
  const theirs = { type: 5, value: Buffer.from('theirs') }
  assert.deepEqual(
    tlvsOf(written(writer, CLIENT, [theirs])).map(({ value }) => Buffer.from(value).toString()),
    ['theirs'],
  )
  const alpn = { type: 1, value: Buffer.from('h2') }
  assert.deepEqual(
    tlvsOf(written(writer, CLIENT, [alpn])).map(({ type }) => type),
    [1, 5],
  )
})
