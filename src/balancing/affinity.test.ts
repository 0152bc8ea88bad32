import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Endpoint, parseEndpoint } from '../address/endpoint.ts'
import { ipv4Address, ipv6Address } from '../address/ip-address.ts'
import { affinityHash } from './affinity.ts'

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed, text)
  return parsed
}

const client = endpoint('198.51.100.7:40000')
const frontend = endpoint('203.0.113.10:443')

test('CLIENT_IP looks at both addresses and at no port', () => {
  const hash = affinityHash('CLIENT_IP', client, frontend)
  assert.equal(affinityHash('CLIENT_IP', { ...client, port: 1 }, { ...frontend, port: 2 }), hash)
  assert.notEqual(affinityHash('CLIENT_IP', endpoint('198.51.100.8:40000'), frontend), hash)
  assert.notEqual(affinityHash('CLIENT_IP', client, endpoint('203.0.113.11:443')), hash)
})

test('CLIENT_IP_PROTO is another hash of the same, CLIENT_IP_PORT_PROTO looks at each port', () => {
  const byAddress = affinityHash('CLIENT_IP', client, frontend)
  const byProtocol = affinityHash('CLIENT_IP_PROTO', client, frontend)
  assert.notEqual(byProtocol, byAddress)
  assert.equal(affinityHash('CLIENT_IP_PROTO', { ...client, port: 1 }, frontend), byProtocol)
  const byPort = affinityHash('CLIENT_IP_PORT_PROTO', client, frontend)
  assert.notEqual(affinityHash('CLIENT_IP_PORT_PROTO', { ...client, port: 1 }, frontend), byPort)
  assert.notEqual(affinityHash('CLIENT_IP_PORT_PROTO', client, { ...frontend, port: 1 }), byPort)
  assert.equal(affinityHash('NONE', client, frontend), byPort)
})

test('every version has the same hash of a connection: another one would send all clients elsewhere', () => {
  const hashes = (['CLIENT_IP', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO'] as const).map((affinity) => [
    affinityHash(affinity, client, frontend),
    affinityHash(affinity, endpoint('[2001:db8::7]:40000'), endpoint('[2001:db8::1]:443')),
  ])
  assert.deepEqual(hashes, [
    [-515_815_409, -2_124_159_712],
    [1_766_144_135, 880_934_312],
    [73_633_738, 566_344_462],
  ])
})

test('an IPv4 address inside IPv6 is the same client, and the same frontend', () => {
  const hash = affinityHash('CLIENT_IP_PORT_PROTO', client, frontend)
  const mapped = endpoint('[::ffff:198.51.100.7]:40000')
  assert.equal(affinityHash('CLIENT_IP_PORT_PROTO', mapped, endpoint('[::ffff:203.0.113.10]:443')), hash)
  assert.notEqual(affinityHash('CLIENT_IP_PORT_PROTO', endpoint('[::fffe:c633:6407]:40000'), frontend), hash)
})

test('every word of an IPv6 address counts, and a hash is a signed integer of 32 bits', () => {
  const words = fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer())
  fc.assert(
    fc.property(words, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 0xffff }), (given, at, change) => {
      const other = given.map((word, index) => (index === at ? word ^ change : word)) as typeof given
      const hashOf = (w: typeof given): number =>
        affinityHash('CLIENT_IP', { address: ipv6Address(...w), port: 1 }, frontend)
      assert.equal(hashOf(given), hashOf(given) | 0)
      assert.notEqual(hashOf(given), hashOf(other))
    }),
  )
})

test('neighbouring addresses are spread evenly', () => {
  const buckets = new Int32Array(16)
  const clients = 64_000
  for (let word = 0; word < clients; word++) {
    const hash = affinityHash('CLIENT_IP', { address: ipv4Address(0x0a000000 + word), port: 1 }, frontend)
    buckets[hash >>> 28]++
  }
  // Four standard deviations of a fair spread.
  for (const count of buckets) assert.ok(Math.abs(count - clients / 16) < 4 * Math.sqrt(clients / 16), `${buckets}`)
})
