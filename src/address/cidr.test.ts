import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cidr, cidrAddresses, cidrSize, cidrsWithoutOverlap, formatCidr, parseCidr } from './cidr.ts'
import { formatIpAddress } from './ip-address.ts'

test('host bits are cleared and a bare address is a range of one', () => {
  const expected: [string, string][] = [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['127.0.0.1/8', '127.0.0.0/8'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['255.255.255.255/31', '255.255.255.254/31'],
    ['192.0.2.1', '192.0.2.1/32'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0', '::/0'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/64', 'ffff:ffff:ffff:ffff::/64'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/96', 'ffff:ffff:ffff:ffff:ffff:ffff::/96'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127'],
    ['::ffff:10.1.2.3/104', '::ffff:10.0.0.0/104'],
  ]
  for (const [text, canonical] of expected) {
    const cidr = parseCidr(text)
    assert.ok(cidr, text)
    assert.equal(formatCidr(cidr), canonical)
    assert.deepEqual(parseCidr(canonical), cidr)
  }
})

test('text with a wrong address or prefix length is no range', () => {
  const texts = [
    ...['', '/', '/8', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0'],
    ...['::/129', '::/1000', '::/0x1', '10.0.0/8', '10/8', ' 10.0.0.0/8', '10.0.0.0/8 ', '10.0.0.0 /8', '10.0.0.0/8\n'],
    ...['[::]/0', 'localhost', '10.0.0.0/٨'],
  ]
  for (const text of texts) assert.equal(parseCidr(text), undefined, JSON.stringify(text))
})

test('the addresses of a range come in order, and carry over', () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    '10.0.0.255/31': ['10.0.0.254', '10.0.0.255'],
    '255.255.255.254/31': ['255.255.255.254', '255.255.255.255'],
    '127.255.255.255': ['127.255.255.255'],
    '2001:db8::ffff:fffe/126': [
      '2001:db8::ffff:fffc',
      '2001:db8::ffff:fffd',
      '2001:db8::ffff:fffe',
      '2001:db8::ffff:ffff',
    ],
  }
  for (const [text, addresses] of Object.entries(expected)) {
    const cidr = parseCidr(text)
    assert.ok(cidr, text)
    assert.deepEqual(cidrAddresses(cidr).map(formatIpAddress), addresses)
    assert.equal(cidrSize(cidr), addresses.length)
  }
})

test('of ranges that overlap the largest are left, and equal ones once', () => {
  const left = (...texts: string[]) => cidrsWithoutOverlap(texts.map((text) => parseCidr(text) as Cidr)).map(formatCidr)
  assert.deepEqual(left('10.1.2.3', '10.1.0.0/16', '10.0.0.0/8', '10.0.0.0/8'), ['10.0.0.0/8'])
  assert.deepEqual(left('10.1.2.3', '10.1.2.3/32', '10.1.2.4'), ['10.1.2.3/32', '10.1.2.4/32'])
  assert.deepEqual(left('2001:db8::1', '::/0', '10.0.0.0/8'), ['::/0', '10.0.0.0/8'], 'families are apart')
  assert.deepEqual(left('10.0.0.0/9', '10.128.0.0/9'), ['10.0.0.0/9', '10.128.0.0/9'], 'what only touches stays')
  assert.deepEqual(left(), [])
})
