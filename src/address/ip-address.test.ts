import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatIpAddress,
  type IpAddress,
  ipv4Address,
  ipv6Address,
  isMappedAddress,
  isSameAddress,
  mapAddress,
  parseIpAddress,
  readIpv4Text,
  readIpv6Text,
  unmapAddress,
  writeDecimalText,
  writeIpAddressText,
} from './ip-address.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
/** Words of which many are zero in part, so that runs of zero groups are common. */
const sparseWord = fc.oneof(word, fc.constantFrom(0, 0xffff, -65536, 1, 0x00010000))
const ipv4 = word.map(ipv4Address)
const ipv6 = fc.tuple(sparseWord, sparseWord, sparseWord, sparseWord).map((words) => ipv6Address(...words))
const addresses = fc.oneof(ipv4, ipv6, ipv4.map(mapAddress))

function parsed(text: string): IpAddress {
  const address = parseIpAddress(text)
  assert.ok(address, `"${text}" is an address`)
  return address
}

test('IPv4 text is four decimals in network order, as signed words', () => {
  assert.deepEqual(parsed('192.0.2.10'), { family: 4, w0: 0, w1: 0, w2: 0, w3: 0xc000020a | 0 })
  assert.deepEqual(parsed('255.255.255.255'), ipv4Address(-1))
  assert.deepEqual(parsed('0.0.0.0'), ipv4Address(0))
})

test('IPv6 text is read with "::" anywhere, either case and a dotted tail', () => {
  const expected: [string, number, number, number, number][] = [
    ['::', 0, 0, 0, 0],
    ['::1', 0, 0, 0, 1],
    ['1::', 0x10000, 0, 0, 0],
    ['2001:DB8::a', 0x20010db8, 0, 0, 10],
    ['1:2:3:4:5:6:7:8', 0x10002, 0x30004, 0x50006, 0x70008],
    ['::2:3:4:5:6:7:8', 2, 0x30004, 0x50006, 0x70008],
    ['1:2:3:4:5:6:7::', 0x10002, 0x30004, 0x50006, 0x70000],
    ['1:2:3::5:6:7:8', 0x10002, 0x30000, 0x50006, 0x70008],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', -1, -1, -1, -1],
    ['::ffff:192.0.2.10', 0, 0, 0xffff, 0xc000020a],
    ['::192.0.2.10', 0, 0, 0, 0xc000020a],
    ['64:ff9b::10.0.0.1', 0x64ff9b, 0, 0, 0x0a000001],
    ['1:2:3:4:5:6:192.0.2.10', 0x10002, 0x30004, 0x50006, 0xc000020a],
    ['1:2:3:4:5::192.0.2.10', 0x10002, 0x30004, 0x50000, 0xc000020a],
    ['0001:0002:0003:0004:0005:0006:255.255.255.255', 0x10002, 0x30004, 0x50006, -1],
  ]
  for (const [text, ...words] of expected) assert.deepEqual(parsed(text), ipv6Address(...words), text)
})

test('text that inet_pton(3) refuses is no address', () => {
  const ipv4Texts =
    '1.2.3 1.2.3.4.5 1.2.3.256 01.2.3.4 1.2.3.00 1.2.3.1000 1..2.3 .1.2.3 1.2.3. 0x1.2.3.4 +1.2.3.4 1.2.3.-4'
  const ipv6Texts =
    ': ::: :1 1: 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: ::1:2:3:4:5:6:7:8 1::2::3 1:::2 :1:2:3:4:5:6:7:8 ' +
    '1:2:3:4:5:6:7:8: 12345:: ::12345 ::g 1:2:3:4:5:6:7::8:9 1:2:3:4:5:6:7:1.2.3.4 1:2:3:4:5:1.2.3.4 ::1.2.3.4:5 ' +
    '1:2:3:4:5:6::1.2.3.4 ::1.2.3 ::01.2.3.4 ::1.2.3.256 ::a.2.3.4 ::1%eth0 [::1] ::1/128 fe80::1%1 ::1.2.3.4. 1.2.3.4::'
  const others = [
    '',
    ' ',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '1.2.3.٤',
    '::١',
    '1.2.3.4\0',
    'localhost',
    '3221225994',
  ]
  for (const text of [...ipv4Texts.split(' '), ...ipv6Texts.split(' '), ...others]) {
    assert.equal(parseIpAddress(text), undefined, JSON.stringify(text))
  }
})

test('IPv6 addresses are written as RFC 5952 says', () => {
  const expected: [string, string][] = [
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:1:0:0:0:0:0', '0:0:1::'],
    ['0:1:0:1:0:1:0:1', '0:1:0:1:0:1:0:1'],
    ['::7f00:1', '::7f00:1'],
    ['::1.2.3.4', '::102:304'],
    ['::ffff:c000:20a', '::ffff:192.0.2.10'],
    ['::fffe:1.2.3.4', '::fffe:102:304'],
    ['fe80:0:0:0:abc:10:100:1000', 'fe80::abc:10:100:1000'],
  ]
  for (const [text, canonical] of expected) assert.equal(formatIpAddress(parsed(text)), canonical)
})

test('every address is the one that its text is read as', () => {
  fc.assert(fc.property(addresses, (address) => assert.deepEqual(parseIpAddress(formatIpAddress(address)), address)))
})

test('the text of an address is accepted by node and written the same as bytes', () => {
  const bytes = new Uint8Array(64).fill(0x7e)
  fc.assert(
    fc.property(addresses, (address) => {
      const text = formatIpAddress(address)
      assert.equal(isIP(text), address.family)
      const length = writeIpAddressText(bytes, 3, address)
      assert.equal(Buffer.from(bytes).toString('latin1', 3, 3 + length), text)
      assert.equal(bytes[2], 0x7e)
    }),
  )
})

test('text of address characters is an address exactly when node says so', () => {
  const texts = fc.string({ unit: fc.constantFrom(...'0012:::.f9aF25'), maxLength: 24 })
  const mutated = fc
    .tuple(addresses, fc.nat(50), fc.constantFrom('', ':', '.', '0', '::', 'f', '256', 'g', ' '), fc.nat(3))
    .map(([address, at, inserted, removed]) => {
      const text = formatIpAddress(address)
      return text.slice(0, at) + inserted + text.slice(at + removed)
    })
  fc.assert(
    fc.property(fc.oneof(texts, mutated), (text) => {
      assert.equal(parseIpAddress(text)?.family ?? 0, isIP(text), text)
    }),
    { numRuns: 3000 },
  )
})

test('text is refused at its first wrong byte and not before', () => {
  /** Some way to go on from every sound beginning. */
  const endings = ['', ':', '::', '0', ':0', '0::', '.0', '.0.0', '.0.0.0', '0.0', '0.0.0', '0.0.0.0']
  const texts = fc.string({ unit: fc.constantFrom(...'0012:::.f9aF25'), maxLength: 24 })
  const beginnings = fc.oneof(
    texts,
    fc.tuple(addresses, fc.nat(40), texts).map(([address, at, tail]) => formatIpAddress(address).slice(0, at) + tail),
  )
  fc.assert(
    fc.property(beginnings, (text) => {
      const bytes = Buffer.from(text)
      const ends = [...endings, ...endings.map((ending) => `:0${ending}`)]
      for (let filled = 2; filled <= 7; filled++) ends.push(':0'.repeat(filled), `0${':0'.repeat(filled)}`)
      const ipv4Endings = ends.filter((ending) => isIP(text + ending) === 4)
      const ipv6Endings = ends.filter((ending) => isIP(text + ending) === 6)
      assert.equal(readIpv4Text(bytes, 0, bytes.length) !== undefined, ipv4Endings.length > 0, `IPv4 ${text}`)
      assert.equal(readIpv6Text(bytes, 0, bytes.length) !== undefined, ipv6Endings.length > 0, `IPv6 ${text}`)
    }),
    { numRuns: 2000 },
  )
})

test('reading text looks at nothing before or after it', () => {
  const texts = [
    '',
    '1',
    '1.2.3',
    '1.2.3.4',
    ':',
    '::',
    '1:',
    '1::',
    '1:2:3:4:5:6:7:8',
    '::1.2.3.4',
    '::1.2',
    '1:2:3:4:5:6:7::',
  ]
  for (const text of texts) {
    for (const around of '0123456789abcdef.: '.split('')) {
      const bytes = Buffer.from(around + text + around)
      const alone = Buffer.from(text)
      const end = 1 + text.length
      assert.deepEqual(readIpv4Text(bytes, 1, end), readIpv4Text(alone, 0, alone.length), `${around}${text}`)
      assert.deepEqual(readIpv6Text(bytes, 1, end), readIpv6Text(alone, 0, alone.length), `${around}${text}`)
    }
  }
})

test('only a mapped address is unmapped, and only an IPv4 address is mapped', () => {
  const mapped = parsed('::ffff:10.0.0.1')
  assert.equal(isMappedAddress(mapped), true)
  assert.deepEqual(unmapAddress(mapped), parsed('10.0.0.1'))
  assert.deepEqual(mapAddress(parsed('10.0.0.1')), mapped)
  for (const text of ['10.0.0.1', '::10.0.0.1', '1::ffff:10.0.0.1', '::fffe:10.0.0.1', '::ffff:0:10.0.0.1']) {
    const address = parsed(text)
    assert.equal(isMappedAddress(address), false)
    assert.equal(unmapAddress(address), address)
  }
  assert.equal(mapAddress(mapped), mapped)
})

test('addresses are the same only with the same family and bits', () => {
  assert.equal(isSameAddress(parsed('10.0.0.1'), ipv4Address(0x0a000001)), true)
  assert.equal(isSameAddress(parsed('10.0.0.1'), parsed('::ffff:10.0.0.1')), false)
  assert.equal(isSameAddress(parsed('10.0.0.1'), parsed('::10.0.0.1')), false)
  const base = [1, 2, 3, 4] as const
  for (let changed = 0; changed < 4; changed++) {
    const other = base.map((value, index) => (index === changed ? 9 : value))
    assert.equal(
      isSameAddress(ipv6Address(...base), ipv6Address(...(other as [number, number, number, number]))),
      false,
    )
  }
})

test('decimal text has no leading zeros for any value up to 65535', () => {
  const bytes = new Uint8Array(8)
  for (let value = 0; value <= 0xffff; value++) {
    const length = writeDecimalText(bytes, 1, value)
    assert.equal(String.fromCharCode(...bytes.subarray(1, 1 + length)), String(value))
  }
})
