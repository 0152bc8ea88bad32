import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { headerLengthMax, type MalformedReason, type ProxyHeader } from './proxy-header.ts'
import { readProxyDatagram, readProxyHeader } from './read-proxy-header.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const INET = 'c000020ac6336414c82201bb'
const INET6 = `${'20010db8'.repeat(4)}${'fe800001'.repeat(4)}c82201bb`
const limits = { v2LengthMax: 4096 }

function read(hex: string, v2LengthMax = limits.v2LengthMax): ProxyHeader {
  const bytes = Buffer.from(hex, 'hex')
  return readProxyHeader(bytes, 0, bytes.length, { v2LengthMax })
}

/** A version 2 header whose length field says what follows. */
function header(commandAndFamily: string, ...block: string[]): string {
  const body = block.join('')
  return `${SIGNATURE}${commandAndFamily}${(body.length / 2).toString(16).padStart(4, '0')}${body}`
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

/** Asserts that the header is refused at its last byte given here, and one byte less is not refused. */
function assertRefusedAtLastByte(hex: string, reason: MalformedReason): void {
  assert.deepEqual(read(hex), { kind: 'malformed', reason }, hex)
  assert.equal(read(hex.slice(0, -2)).kind, 'incomplete', hex)
}

test('TCP and UDP over IPv4 and IPv6 name both ends', () => {
  const cases = [
    ['2111', INET, 'stream', '192.0.2.10:51234', '198.51.100.20:443'],
    ['2112', INET, 'dgram', '192.0.2.10:51234', '198.51.100.20:443'],
    ['2121', INET6, 'stream', '[2001:db8:2001:db8:2001:db8:2001:db8]:51234', '[fe80:1:fe80:1:fe80:1:fe80:1]:443'],
    ['2122', INET6, 'dgram', '[2001:db8:2001:db8:2001:db8:2001:db8]:51234', '[fe80:1:fe80:1:fe80:1:fe80:1]:443'],
  ] as const
  for (const [commandAndFamily, block, transport, source, destination] of cases) {
    const bytesRead = 16 + block.length / 2
    assert.deepEqual(read(`${header(commandAndFamily, block)}2a2a`), {
      kind: 'proxied',
      version: 2,
      transport,
      source: parseEndpoint(source),
      destination: parseEndpoint(destination),
      bytesRead,
      tlvStart: bytesRead,
      tlvEnd: bytesRead,
    })
  }
})

test('UNIX paths are 108 bytes each and do not change with the buffer they came in', () => {
  const [source, destination] = [Buffer.alloc(108, 'a'), Buffer.alloc(108, 'b')]
  const bytes = Buffer.from(header('2132', source.toString('hex'), destination.toString('hex'), '0400012a'), 'hex')
  const result = readProxyHeader(bytes, 0, bytes.length, limits)
  bytes.fill(0)
  assert.deepEqual(result, {
    kind: 'unix',
    version: 2,
    transport: 'dgram',
    source: new Uint8Array(source),
    destination: new Uint8Array(destination),
    bytesRead: 236,
    tlvStart: 232,
    tlvEnd: 236,
  })
})

test('byte 13 is version 2 with command LOCAL or PROXY, and anything else is refused there', () => {
  for (let byte = 0; byte < 256; byte++) {
    if (byte === 0x20 || byte === 0x21) assert.equal(read(SIGNATURE + hexByte(byte)).kind, 'incomplete')
    else assertRefusedAtLastByte(SIGNATURE + hexByte(byte), byte >>> 4 === 2 ? 'v2-command' : 'v2-version')
  }
})

test('byte 14 of PROXY is a family up to UNIX and a transport up to datagram, or refused there', () => {
  for (let byte = 0; byte < 256; byte++) {
    const start = `${SIGNATURE}21${hexByte(byte)}`
    if (byte >>> 4 <= 3 && (byte & 15) <= 2) assert.deepEqual(read(start), { kind: 'incomplete', bytesNeeded: 16 })
    else assertRefusedAtLastByte(start, 'v2-family')
  }
})

test('LOCAL skips its block without a look at family, addresses or TLVs', () => {
  for (let byte = 0; byte < 256; byte++) {
    const local = header(`20${hexByte(byte)}`, '03000100ffff')
    assert.deepEqual(read(`${local}2a`), { kind: 'local', version: 2, command: 'local', bytesRead: 22 })
    assert.deepEqual(read(local.slice(0, -2)), { kind: 'incomplete', bytesNeeded: 22 })
  }
  assert.deepEqual(read(header('2000')), { kind: 'local', version: 2, command: 'local', bytesRead: 16 })
})

test('PROXY without a family or a transport skips its block, however long', () => {
  for (const family of ['00', '01', '02', '10', '20', '30']) {
    for (const block of ['', 'ff', INET, `${INET}03000100`]) {
      const bytesRead = 16 + block.length / 2
      assert.deepEqual(read(header(`21${family}`, block)), { kind: 'local', version: 2, command: 'unspec', bytesRead })
    }
  }
})

test('a length below the address block is refused at byte 16', () => {
  for (const [family, addressLength] of [
    ['11', 12],
    ['12', 12],
    ['21', 36],
    ['22', 36],
    ['31', 216],
    ['32', 216],
  ] as const) {
    for (const length of [0, 1, addressLength - 1]) {
      assertRefusedAtLastByte(`${SIGNATURE}21${family}00${hexByte(length)}`, 'v2-length')
    }
    assert.equal(read(`${SIGNATURE}21${family}00${hexByte(addressLength)}`).kind, 'incomplete')
  }
})

test('a length above the limit is refused at byte 16, for LOCAL too', () => {
  for (const start of ['2111', '2000', '2100', '20f1']) {
    assert.equal(read(`${SIGNATURE}${start}1000`, 4096).kind, 'incomplete')
    assert.deepEqual(read(`${SIGNATURE}${start}1001`, 4096), { kind: 'malformed', reason: 'v2-too-long' })
    assert.equal(read(`${SIGNATURE}${start}10`, 4096).kind, 'incomplete')
  }
  assert.equal(headerLengthMax({ v2LengthMax: 4096 }), 4112)
  assert.equal(headerLengthMax({ v2LengthMax: 0 }), 107)
})

test('a TLV that cannot be is refused with its length field', () => {
  const front = `${SIGNATURE}21110020${INET}`
  assertRefusedAtLastByte(`${front}020012`, 'v2-tlv')
  assertRefusedAtLastByte(`${front}02ffff`, 'v2-tlv')
  assertRefusedAtLastByte(`${front}030003`, 'v2-tlv')
  assertRefusedAtLastByte(`${front}030005`, 'v2-tlv')
  assertRefusedAtLastByte(`${front}03000412345678030004`, 'v2-crc')
  assertRefusedAtLastByte(`${front}200004`, 'v2-tlv')
  assertRefusedAtLastByte(`${front}2000080000000000210001`, 'v2-tlv')
  assertRefusedAtLastByte(`${SIGNATURE}21110100${INET}050081`, 'v2-tlv')
})

test('one or two bytes left over are refused as soon as their number is known', () => {
  for (const stray of ['0d', '0e']) assertRefusedAtLastByte(`${SIGNATURE}211100${stray}`, 'v2-tlv')
  for (const stray of ['11', '12']) assertRefusedAtLastByte(`${SIGNATURE}211100${stray}${INET}040001`, 'v2-tlv')
  for (const stray of ['06', '07']) {
    assertRefusedAtLastByte(`${SIGNATURE}21110020${INET}2000${stray}`, 'v2-tlv')
  }
})

test('UNIQUE_ID of 128 bytes, SSL of 5 and empty TLVs of other types are accepted', () => {
  const tlvs = [
    `050080${'75'.repeat(128)}`,
    '2000050000000000',
    '010000020000040000050000300000e00000ea0000ee0000ff0000',
  ]
  assert.equal(read(header('2111', INET, ...tlvs)).kind, 'proxied')
  assert.equal(read(header('2111', INET, '2000080000000000210000')).kind, 'proxied')
})

test('what is asked for is the next length field, then the whole header', () => {
  const whole = header('2111', INET, '0200026161', '2000100000000000', '2100022e2e', '220003', '414141', '0400012a')
  const steps = [16, 31, 36, 44, 49, 55, 56]
  for (let length = 15; length < 56; length++) {
    const needed = steps.find((step) => step > length)
    assert.deepEqual(read(whole.slice(0, 2 * length)), { kind: 'incomplete', bytesNeeded: needed })
  }
  assert.equal(read(whole).kind, 'proxied')
})

test('a checksum over the whole header is required to be right where it is given', () => {
  const good = header('2111', INET, '030004a1d95b54')
  assert.equal(read(good).kind, 'proxied')
  for (let bit = 0; bit < 8 * 35; bit++) {
    const bytes = Buffer.from(good, 'hex')
    bytes[bit >> 3] ^= 1 << (bit & 7)
    const kind = readProxyHeader(bytes, 0, bytes.length, limits).kind
    // A damaged length asks for more, LOCAL has no checksum, and a damaged type hides it: the rest is refused.
    const isElsewhere = bit === 96 || (bit >= 104 && bit < 128) || (bit >= 224 && bit < 248)
    if (!isElsewhere) assert.equal(kind, 'malformed', `bit ${bit}`)
  }
})

test('a datagram holds its whole header or is refused, and is not looked at beyond that', () => {
  const readDatagram = (bytes: Buffer) => readProxyDatagram(bytes, 0, bytes.length, limits)
  const whole = Buffer.from(`${header('2112', INET, '0400012a')}7061796c6f6164`, 'hex')
  const result = readDatagram(whole)
  assert.equal(result.kind === 'proxied' && result.bytesRead, 32)
  for (let length = 0; length < 32; length++) {
    assert.deepEqual(
      readDatagram(whole.subarray(0, length)),
      { kind: 'malformed', reason: 'truncated' },
      `${length} bytes`,
    )
  }
  const refused: [string, MalformedReason][] = [
    [`${SIGNATURE}21120064${INET}50ffff`, 'truncated'],
    [`${SIGNATURE}21121001${INET}`, 'v2-too-long'],
    [`${SIGNATURE}2112000b`, 'v2-length'],
    [`${SIGNATURE}2212`, 'v2-command'],
    [`${SIGNATURE}200000ff`, 'truncated'],
    [Buffer.from('PROXY UNKNOWN\r\n').toString('hex'), 'v1-in-datagram'],
    [Buffer.from('PROXY').toString('hex'), 'v1-in-datagram'],
    [Buffer.from('PROX').toString('hex'), 'not-proxy'],
    ['68656c6c6f', 'not-proxy'],
  ]
  for (const [hex, reason] of refused) {
    assert.deepEqual(readDatagram(Buffer.from(hex, 'hex')), { kind: 'malformed', reason }, hex)
  }
})
