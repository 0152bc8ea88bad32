import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, ipv4Address, ipv6Address, mapAddress } from '../address/ip-address.ts'
import type { ProxyHeader } from './proxy-header.ts'
import { readProxyHeader } from './read-proxy-header.ts'
import { readTlvs, type Tlv } from './tlv.ts'
import { writeProxyV1, writeProxyV1Unknown } from './write-v1.ts'
import {
  type ProxyV2Options,
  writeProxyV2,
  writeProxyV2Local,
  writeProxyV2Unix,
  writeProxyV2Unspec,
} from './write-v2.ts'

/** A long run of the whole suite sets 1000000. */
const numRuns = Math.ceil(Number(process.env.TRUEPEER_FUZZ_RUNS ?? 20_000) / 50)

const word = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constantFrom(0, -1, 0xffff))
const ipv4 = word.map(ipv4Address)
const address = fc.oneof(
  ipv4,
  ipv4.map(mapAddress),
  fc.tuple(word, word, word, word).map((words) => ipv6Address(...words)),
)
const endpoint: fc.Arbitrary<Endpoint> = fc
  .tuple(address, fc.nat(0xffff))
  .map(([host, port]) => ({ address: host, port }))
/** Types whose content the reader does not look into, and those it does, sound. */
const tlv: fc.Arbitrary<Tlv> = fc.oneof(
  fc
    .tuple(
      fc.nat(255).filter((type) => type !== 3 && type !== 5 && type !== 0x20),
      fc.uint8Array({ maxLength: 60 }),
    )
    .map(([type, value]) => ({ type, value })),
  fc.uint8Array({ maxLength: 128 }).map((value) => ({ type: 5, value })),
  fc
    .uint8Array({ minLength: 5, maxLength: 5 })
    .map((start) => ({ type: 0x20, value: Uint8Array.of(...start, 0x21, 0, 1, 0x61) })),
)
const options: fc.Arbitrary<ProxyV2Options> = fc.record({
  transport: fc.constantFrom('stream', 'dgram'),
  tlvs: fc.array(tlv, { maxLength: 6 }),
  hasChecksum: fc.boolean(),
})

/** Both in one family, as a header has them. */
function promoted(source: Endpoint, destination: Endpoint): [Endpoint, Endpoint] {
  if (source.address.family === destination.address.family) return [source, destination]
  const map = (end: Endpoint): Endpoint => ({ address: mapAddress(end.address), port: end.port })
  return [map(source), map(destination)]
}

/** Writes at an offset and reads from there, with other bytes all around. */
function writeAndRead(write: (target: Uint8Array, offset: number) => number): {
  header: ProxyHeader
  bytes: Buffer
  length: number
} {
  const bytes = Buffer.alloc(2000, 0x55)
  const length = write(bytes, 7)
  assert.equal(bytes[6], 0x55)
  assert.equal(bytes[7 + length], 0x55)
  return { header: readProxyHeader(bytes, 7, bytes.length, { v2LengthMax: 4096 }), bytes, length }
}

function parsed(text: string): Endpoint {
  const result = parseEndpoint(text)
  assert.ok(result, text)
  return result
}

test('a version 1 line is read as it was written', () => {
  fc.assert(
    fc.property(endpoint, endpoint, (source, destination) => {
      const { header, length } = writeAndRead((target, offset) => writeProxyV1(target, offset, source, destination))
      const [from, to] = promoted(source, destination)
      assert.ok(length <= 107)
      const end = 7 + length
      const place = { bytesRead: length, tlvStart: end, tlvEnd: end }
      assert.deepEqual(header, {
        kind: 'proxied',
        version: 1,
        transport: 'stream',
        source: from,
        destination: to,
        ...place,
      })
    }),
    { numRuns },
  )
})

test('a version 1 line is the text of the specification', () => {
  const lines: [string, string, string][] = [
    ['192.0.2.10:51234', '198.51.100.20:443', 'PROXY TCP4 192.0.2.10 198.51.100.20 51234 443\r\n'],
    ['0.0.0.0:0', '255.255.255.255:65535', 'PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n'],
    ['[2001:db8::10]:9', '[::]:10', 'PROXY TCP6 2001:db8::10 :: 9 10\r\n'],
    ['192.0.2.10:1', '[2001:db8::1]:2', 'PROXY TCP6 ::ffff:192.0.2.10 2001:db8::1 1 2\r\n'],
    ['[2001:db8::1]:1', '192.0.2.10:2', 'PROXY TCP6 2001:db8::1 ::ffff:192.0.2.10 1 2\r\n'],
    ['[::ffff:192.0.2.1]:1', '[::ffff:192.0.2.2]:2', 'PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n'],
  ]
  for (const [source, destination, line] of lines) {
    const bytes = Buffer.alloc(107)
    const length = writeProxyV1(bytes, 0, parsed(source), parsed(destination))
    assert.equal(bytes.toString('latin1', 0, length), line)
  }
  const { bytes, length, header } = writeAndRead(writeProxyV1Unknown)
  assert.equal(bytes.toString('latin1', 7, 7 + length), 'PROXY UNKNOWN\r\n')
  assert.deepEqual(header, { kind: 'local', version: 1, command: 'unknown', bytesRead: 15 })
})

test('a version 2 header is read as it was written, with TLVs and checksum', () => {
  fc.assert(
    fc.property(endpoint, endpoint, options, (source, destination, given) => {
      const { header, bytes } = writeAndRead((target, offset) =>
        writeProxyV2(target, offset, source, destination, given),
      )
      assert.equal(header.kind, 'proxied')
      if (header.kind !== 'proxied') return
      assert.deepEqual([header.source, header.destination], promoted(source, destination))
      assert.equal(header.transport, given.transport)
      assertTlvs(readTlvs(bytes, header.tlvStart, header.tlvEnd), given)
    }),
    { numRuns },
  )
})

function assertTlvs(tlvs: Tlv[], given: ProxyV2Options): void {
  assert.deepEqual(tlvs.slice(given.hasChecksum === true ? 1 : 0), given.tlvs)
  if (given.hasChecksum === true) assert.equal(tlvs[0].type, 3)
}

test('a version 2 header of UNIX sockets is read as it was written, its paths filled up with zeros', () => {
  const paths = fc.uint8Array({ maxLength: 108 })
  fc.assert(
    fc.property(paths, paths, options, (source, destination, given) => {
      const { header, bytes } = writeAndRead((target, offset) =>
        writeProxyV2Unix(target, offset, source, destination, given),
      )
      assert.equal(header.kind, 'unix')
      if (header.kind !== 'unix') return
      const filledUp = (path: Uint8Array): Uint8Array => Uint8Array.of(...path, ...new Uint8Array(108 - path.length))
      assert.deepEqual([header.source, header.destination], [filledUp(source), filledUp(destination)])
      assert.equal(header.transport, given.transport)
      assertTlvs(readTlvs(bytes, header.tlvStart, header.tlvEnd), given)
    }),
    { numRuns },
  )
})

test('LOCAL and PROXY without addresses are read as written, and their TLVs stand after 16 bytes', () => {
  fc.assert(
    fc.property(options, fc.boolean(), (given, isLocal) => {
      const write = isLocal ? writeProxyV2Local : writeProxyV2Unspec
      const { header, bytes, length } = writeAndRead((target, offset) => write(target, offset, given))
      assert.deepEqual(header, { kind: 'local', version: 2, command: isLocal ? 'local' : 'unspec', bytesRead: length })
      assert.equal(bytes[7 + 13], 0)
      assertTlvs(readTlvs(bytes, 7 + 16, 7 + length), given)
    }),
    { numRuns },
  )
})

test('a checksum among the TLVs that are given is not written', () => {
  const tlvs: Tlv[] = [
    { type: 3, value: new Uint8Array(4) },
    { type: 4, value: new Uint8Array(1) },
  ]
  const [source, destination] = [parsed('192.0.2.1:1'), parsed('192.0.2.2:2')]
  for (const hasChecksum of [false, true]) {
    const { header, bytes } = writeAndRead((target, offset) =>
      writeProxyV2(target, offset, source, destination, { tlvs, hasChecksum }),
    )
    assert.equal(header.kind, 'proxied')
    if (header.kind !== 'proxied') return
    const types = readTlvs(bytes, header.tlvStart, header.tlvEnd).map(({ type }) => type)
    assert.deepEqual(types, hasChecksum ? [3, 4] : [4])
  }
})

test('a version 2 header that does not fit or is too long is a RangeError and nothing is written', () => {
  const [source, destination] = [parsed('192.0.2.1:1'), parsed('192.0.2.2:2')]
  const small = new Uint8Array(28)
  assert.equal(writeProxyV2(small, 0, source, destination), 28)
  const untouched = Uint8Array.from(small)
  assert.throws(() => writeProxyV2(small, 1, source, destination), RangeError)
  assert.throws(() => writeProxyV2(small, 0, source, destination, { hasChecksum: true }), RangeError)
  assert.throws(() => writeProxyV2Local(small, 13), RangeError)
  assert.throws(() => writeProxyV2Unix(small, 0, new Uint8Array(109), new Uint8Array(1)), RangeError)
  assert.deepEqual(small, untouched)

  const large = new Uint8Array(70_000)
  const tlvs = [{ type: 4, value: new Uint8Array(65535 - 12 - 3) }]
  assert.equal(writeProxyV2(large, 0, source, destination, { tlvs }), 16 + 65535)
  const more = [{ type: 4, value: new Uint8Array(65535 - 12 - 3 + 1) }]
  assert.throws(() => writeProxyV2(large, 0, source, destination, { tlvs: more }), RangeError)
})

test('two endpoints of different families are both written as IPv6', () => {
  const { header } = writeAndRead((target, offset) =>
    writeProxyV2(target, offset, parsed('192.0.2.1:1'), parsed('[2001:db8::1]:2')),
  )
  assert.equal(header.kind, 'proxied')
  if (header.kind !== 'proxied') return
  assert.equal(formatEndpoint(header.source), '[::ffff:192.0.2.1]:1')
  assert.equal(formatIpAddress(header.destination.address), '2001:db8::1')
})
