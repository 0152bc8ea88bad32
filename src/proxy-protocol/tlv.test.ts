import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import {
  alpnTlv,
  authorityTlv,
  escapeTlvValue,
  networkNamespaceTlv,
  readAlpn,
  readAuthority,
  readNetworkNamespace,
} from './text-tlvs.ts'
import { type ClientTls, clientTlsTlv, readClientTls } from './tls-tlv.ts'
import { countPaddingBytes, noopTlv, readChecksum, readTlvs, readUniqueId, type Tlv, uniqueIdTlv } from './tlv.ts'
import {
  awsVpcEndpointIdTlv,
  azureLinkIdTlv,
  gcpPscConnectionIdTlv,
  readAwsVpcEndpointId,
  readAzureLinkId,
  readGcpPscConnectionId,
} from './vendor-tlvs.ts'

const value = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const tlv = (type: number, hex: string): Tlv => ({ type, value: value(hex) })
/** Text without control characters, as everything that is read as text is. */
const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((string) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(string))

test('CRC-32C has the check value of RFC 3720 and takes the given four bytes as zero', () => {
  const digits = Buffer.from('123456789')
  assert.equal(crc32c(digits, 0, 9) >>> 0, 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32), 0, 32) >>> 0, 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff), 0, 32) >>> 0, 0x62a8ab43)
  assert.equal(crc32c(Buffer.from('x12\0\0\0\0' + '789x'), 1, 10), crc32c(Buffer.from('x123456789x'), 1, 10, 3))
})

test('TLVs are read in order, duplicates included, as copies', () => {
  const bytes = Buffer.from('ff020001610200016204000002000163', 'hex')
  const tlvs = readTlvs(bytes, 1, bytes.length)
  bytes.fill(0)
  assert.deepEqual(tlvs, [tlv(2, '61'), tlv(2, '62'), tlv(4, ''), tlv(2, '63')])
})

test('reading TLVs that nobody has checked ends before the first that does not fit', () => {
  for (const stray of ['02', '0200', '020002', '02000261', '02ffff']) {
    const bytes = Buffer.from(`02000161${stray}`, 'hex')
    assert.deepEqual(readTlvs(bytes, 0, bytes.length), [tlv(2, '61')], stray)
  }
})

test('of two TLVs of one type the first counts, even if it cannot be read', () => {
  assert.equal(readAuthority([authorityTlv('a.example'), authorityTlv('b.example')]), 'a.example')
  assert.equal(readAuthority([tlv(2, 'ff'), authorityTlv('b.example')]), undefined)
  assert.equal(readAlpn([tlv(2, '61'), alpnTlv('h2')]), 'h2')
})

test('a value that is not UTF-8, or would break a line or a terminal, is not read as text', () => {
  const values = ['ff', 'c3', 'c0af', 'eda080', 'f4908080', '610a62', '00', '1b5b', '7f', 'c285', 'e280a8', 'e280a9']
  for (const hex of values) {
    assert.equal(readAuthority([tlv(0x02, hex)]), undefined, hex)
    assert.equal(readAlpn([tlv(0x01, hex)]), undefined, hex)
    assert.equal(readNetworkNamespace([tlv(0x30, hex)]), undefined, hex)
    assert.equal(readAwsVpcEndpointId([tlv(0xea, `01${hex}`)]), undefined, hex)
    const size = (hex.length / 2).toString(16).padStart(4, '0')
    assert.equal(readClientTls([tlv(0x20, `010000000022${size}${hex}`)])?.commonName, undefined, hex)
  }
  assert.equal(readAuthority([tlv(0x02, 'efbbbf61')]), '\ufeffa')
  assert.equal(readAuthority([tlv(0x02, '')]), '')
})

test('any value is shown in printable ASCII and no two alike', () => {
  assert.equal(escapeTlvValue(value('61200a1b5cff7e7f')), 'a \\x0a\\x1b\\x5c\\xff~\\x7f')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const escaped = escapeTlvValue(bytes)
      assert.match(escaped, /^[ -~]*$/)
      const back = escaped.replace(/\\x(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
      assert.deepEqual(new Uint8Array(Buffer.from(back, 'latin1')), bytes)
    }),
  )
})

test('text TLVs are read as they were made', () => {
  fc.assert(
    fc.property(text, text, text, (protocol, hostName, namespace) => {
      const tlvs = [networkNamespaceTlv(namespace), authorityTlv(hostName), alpnTlv(protocol)]
      assert.equal(readAlpn(tlvs), protocol)
      assert.equal(readAuthority(tlvs), hostName)
      assert.equal(readNetworkNamespace(tlvs), namespace)
    }),
  )
})

test('an SSL TLV is read as it was made, and in the bits and types of the specification', () => {
  const client = fc.record({
    isTls: fc.boolean(),
    hasCertificateInConnection: fc.boolean(),
    hasCertificateInSession: fc.boolean(),
    verifyResult: fc.nat(0xffffffff),
    version: fc.option(text, { nil: undefined }),
    commonName: fc.option(text, { nil: undefined }),
    cipher: fc.option(text, { nil: undefined }),
    signatureAlgorithm: fc.option(text, { nil: undefined }),
    keyAlgorithm: fc.option(text, { nil: undefined }),
    group: fc.option(text, { nil: undefined }),
    signatureScheme: fc.option(text, { nil: undefined }),
    clientCertificate: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
  })
  fc.assert(fc.property(client, (made) => assert.deepEqual(readClientTls([clientTlsTlv(made)]), { ...made })))

  const inner = [
    '210001',
    '61',
    '220001',
    '62',
    '230001',
    '63',
    '240001',
    '64',
    '250001',
    '65',
    '260001',
    '66',
    '270001',
    '67',
  ]
  const expected: ClientTls = {
    isTls: true,
    hasCertificateInConnection: true,
    hasCertificateInSession: false,
    verifyResult: 0x80000001,
    version: 'a',
    commonName: 'b',
    cipher: 'c',
    signatureAlgorithm: 'd',
    keyAlgorithm: 'e',
    group: 'f',
    signatureScheme: 'g',
    clientCertificate: value('3082'),
  }
  const ssl = tlv(0x20, `0380000001${inner.join('')}2800023082`)
  assert.deepEqual(readClientTls([ssl]), expected)
  assert.deepEqual(clientTlsTlv(expected), ssl)
  assert.equal(readClientTls([tlv(0x20, '01000000')]), undefined)
  assert.equal(readClientTls([tlv(0x21, '0100000000')]), undefined)
})

test('vendor ids are read in the byte order of each vendor', () => {
  assert.equal(readAwsVpcEndpointId([tlv(0xea, '02ff'), tlv(0xea, '01767063652d31')]), 'vpce-1')
  assert.equal(readAzureLinkId([tlv(0xee, '01c1b2a390')]), 0x90a3b2c1)
  assert.equal(readGcpPscConnectionId([tlv(0xe0, 'fffffffffffffffe')]), 0xfffffffffffffffen)
  assert.deepEqual(awsVpcEndpointIdTlv('vpce-1'), tlv(0xea, '01767063652d31'))
  assert.deepEqual(azureLinkIdTlv(0x90a3b2c1), tlv(0xee, '01c1b2a390'))
  assert.deepEqual(gcpPscConnectionIdTlv(0xfffffffffffffffen), tlv(0xe0, 'fffffffffffffffe'))
})

test('vendor values of another kind or size are not read', () => {
  for (const hex of ['', '02767063652d31']) assert.equal(readAwsVpcEndpointId([tlv(0xea, hex)]), undefined)
  for (const hex of ['', '01', '01c1b2a3', '01c1b2a39000', '02c1b2a390']) {
    assert.equal(readAzureLinkId([tlv(0xee, hex)]), undefined)
  }
  for (const hex of ['', 'ff', '00000000000000', '000000000000000000']) {
    assert.equal(readGcpPscConnectionId([tlv(0xe0, hex)]), undefined)
  }
})

test('UNIQUE_ID has up to 128 bytes, CRC32C four, and NOOP is counted as padding', () => {
  const id = new Uint8Array(128).fill(0xff)
  assert.deepEqual(readUniqueId([uniqueIdTlv(id)]), id)
  assert.equal(readUniqueId([{ type: 5, value: new Uint8Array(129) }]), undefined)
  assert.throws(() => uniqueIdTlv(new Uint8Array(129)), RangeError)
  assert.equal(readChecksum([tlv(3, 'a1d95b54')]), 0xa1d95b54)
  assert.equal(readChecksum([tlv(3, 'a1d95b')]), undefined)
  assert.equal(countPaddingBytes([noopTlv(3), alpnTlv('h2'), noopTlv(10)]), 13)
  assert.throws(() => noopTlv(2), RangeError)
})

test('what is not there is undefined', () => {
  const readers = [readAlpn, readAuthority, readNetworkNamespace, readUniqueId, readChecksum, readClientTls]
  for (const read of [...readers, readAwsVpcEndpointId, readAzureLinkId, readGcpPscConnectionId]) {
    assert.equal(read([]), undefined)
    assert.equal(read([tlv(0x7f, '01')]), undefined)
  }
})
