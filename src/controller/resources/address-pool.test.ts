import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidr } from '../../address/cidr.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { addressesOf, firstFree, isGateway } from './address-pool.ts'

function addressesIn(range: string, countMax = 5): readonly string[] {
  const cidr = parseCidr(range)
  assert.ok(cidr)
  const found: string[] = []
  for (const address of addressesOf(cidr)) if (found.push(formatIpAddress(address)) === countMax) break
  return found
}

test('the addresses of a range leave out those of the network itself', () => {
  assert.deepEqual(addressesIn('203.0.113.0/30'), ['203.0.113.1', '203.0.113.2'])
  assert.deepEqual(addressesIn('203.0.113.0/31'), ['203.0.113.0', '203.0.113.1'])
  assert.deepEqual(addressesIn('203.0.113.7/32'), ['203.0.113.7'])
  assert.deepEqual(addressesIn('2001:db8::/127'), ['2001:db8::1'])
  assert.deepEqual(addressesIn('2001:db8::5/128'), ['2001:db8::5'])
})

test('the addresses of a large range come one by one', () => {
  assert.deepEqual(addressesIn('0.0.0.0/0', 2), ['0.0.0.1', '0.0.0.2'])
  assert.deepEqual(addressesIn('2001:db8::/32', 2), ['2001:db8::1', '2001:db8::2'])
  assert.equal(addressesIn('10.0.0.0/16', 100_000).at(-1), '10.0.255.254')
})

test('the first free address of several ranges comes in their order, and the first of a subnet is its gateway', () => {
  const ranges = ['203.0.113.0/30', '2001:db8::/126'].flatMap((range) => parseCidr(range) ?? [])
  const taken = new Set(['203.0.113.1'])
  assert.equal(
    firstFree(ranges, (address) => taken.has(address)),
    '203.0.113.2',
  )
  assert.equal(
    firstFree(ranges, (address) => address.startsWith('203.')),
    '2001:db8::1',
  )
  assert.equal(
    firstFree(ranges, () => true),
    undefined,
  )
  assert.deepEqual(
    ['203.0.113.0', '203.0.113.1', '203.0.113.2'].map((address) => isGateway(ranges[0], address)),
    [false, true, false],
  )
})
