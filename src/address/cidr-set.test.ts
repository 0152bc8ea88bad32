import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Cidr, formatCidr, parseCidr } from './cidr.ts'
import { CidrSet } from './cidr-set.ts'
import { formatIpAddress, type IpAddress, ipv4Address, ipv6Address, mapAddress, parseIpAddress } from './ip-address.ts'

function setOf(...texts: string[]): CidrSet {
  return new CidrSet(
    texts.map((text) => {
      const cidr = parseCidr(text)
      assert.ok(cidr, text)
      return cidr
    }),
  )
}

function isIn(set: CidrSet, text: string): boolean {
  const address = parseIpAddress(text)
  assert.ok(address, text)
  return set.has(address)
}

test('an empty set holds no address', () => {
  const set = setOf()
  assert.equal(set.size, 0)
  for (const text of ['0.0.0.0', '10.0.0.1', '::', '::1', '::ffff:10.0.0.1']) assert.equal(isIn(set, text), false)
})

test('a range holds its first and last address and not those beside it', () => {
  const set = setOf('10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1')
  assert.equal(set.size, 4)
  const inside = '10.0.0.0 10.255.255.255 192.0.2.1 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff ::1'
  const outside = '9.255.255.255 11.0.0.0 192.0.2.0 192.0.2.2 2001:db7:ffff:: 2001:db9:: :: ::2 ::10.0.0.1'
  for (const text of inside.split(' ')) assert.equal(isIn(set, text), true, text)
  for (const text of outside.split(' ')) assert.equal(isIn(set, text), false, text)
})

test('a wide range holds what a narrow one inside it does not, in either order', () => {
  for (const set of [setOf('10.0.0.0/8', '10.1.0.0/16'), setOf('10.1.0.0/16', '10.0.0.0/8')]) {
    assert.equal(isIn(set, '10.2.0.1'), true)
    assert.equal(isIn(set, '10.1.0.1'), true)
    assert.equal(isIn(set, '11.0.0.1'), false)
  }
})

test('a range of all addresses holds its own family alone', () => {
  assert.equal(isIn(setOf('0.0.0.0/0'), '255.1.2.3'), true)
  assert.equal(isIn(setOf('0.0.0.0/0'), '::ffff:255.1.2.3'), true)
  assert.equal(isIn(setOf('0.0.0.0/0'), '2001:db8::1'), false)
  assert.equal(isIn(setOf('::/0'), '2001:db8::1'), true)
  assert.equal(isIn(setOf('::/0'), '10.0.0.1'), false)
  assert.equal(isIn(setOf('::/0'), '::ffff:10.0.0.1'), false)
})

test('a mapped address or range counts as IPv4', () => {
  assert.equal(isIn(setOf('10.0.0.0/8'), '::ffff:10.0.0.1'), true)
  assert.equal(isIn(setOf('::ffff:10.0.0.0/104'), '10.0.0.1'), true)
  assert.equal(isIn(setOf('::ffff:10.0.0.0/104'), '::ffff:10.0.0.1'), true)
  assert.equal(isIn(setOf('::ffff:10.0.0.0/104'), '11.0.0.1'), false)
  assert.equal(isIn(setOf('::ffff:0.0.0.0/96'), '11.0.0.1'), true)
})

/** The same question answered without a trie: equal leading bits, as big integers. */
function isInRange(address: IpAddress, cidr: Cidr): boolean {
  if (address.family !== cidr.address.family) return false
  const hostBitCount = BigInt((address.family === 4 ? 32 : 128) - cidr.prefixLength)
  return toBigInt(address) >> hostBitCount === toBigInt(cidr.address) >> hostBitCount
}

function toBigInt({ w0, w1, w2, w3 }: IpAddress): bigint {
  return [w0, w1, w2, w3].reduce((value, word) => (value << 32n) | BigInt(word >>> 0), 0n)
}

test('a set holds exactly the addresses that begin like one of its ranges', () => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const ipv4 = word.map(ipv4Address)
  const ipv6 = fc.tuple(word, word, word, word).map((words) => ipv6Address(...words))
  const ranges = fc.array(
    fc.oneof(
      fc.tuple(ipv4, fc.nat(32)).map(([address, length]) => `${formatIpAddress(address)}/${length}`),
      fc.tuple(ipv6, fc.nat(128)).map(([address, length]) => `${formatIpAddress(address)}/${length}`),
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(ranges, fc.array(fc.oneof(ipv4, ipv6), { maxLength: 4 }), fc.nat(3), (texts, strangers, flippedBit) => {
      const cidrs = texts.map(parseCidr).filter((cidr): cidr is Cidr => cidr !== undefined)
      const set = new CidrSet(cidrs)
      // Besides strangers: the first address of every range, and one that differs in a single bit.
      const neighbours = cidrs.flatMap(({ address }): IpAddress[] => {
        const { family, w0, w1, w2, w3 } = address
        const bit = 1 << (flippedBit * 10)
        return [address, family === 4 ? ipv4Address(w3 ^ bit) : ipv6Address(w0 ^ bit, w1, w2, w3)]
      })
      for (const address of [...strangers, ...neighbours]) {
        const expected = cidrs.some((cidr) => isInRange(address, cidr))
        assert.equal(set.has(address), expected, `${formatIpAddress(address)} in ${cidrs.map(formatCidr)}`)
        if (address.family === 4) assert.equal(set.has(mapAddress(address)), expected)
      }
    }),
    { numRuns: 500 },
  )
})
