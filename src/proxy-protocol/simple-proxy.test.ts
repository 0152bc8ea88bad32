import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { readSimpleProxy, SIMPLE_PROXY_LENGTH, writeSimpleProxy } from './simple-proxy.ts'

// Written out by hand from the published layout: magic, client, proxy, client's port, proxy's port.
const VECTORS = [
  {
    client: '192.0.2.10:51234',
    proxy: '198.51.100.20:53',
    hex: '56ec 00000000000000000000ffffc000020a 00000000000000000000ffffc6336414 c822 0035',
  },
  {
    client: '[2001:db8:209::4]:4660',
    proxy: '[2001:db8::1]:65535',
    hex: '56ec 20010db8020900000000000000000004 20010db8000000000000000000000001 1234 ffff',
  },
  {
    client: '[2001:db8:209::4]:1',
    proxy: '203.0.113.9:0',
    hex: '56ec 20010db8020900000000000000000004 00000000000000000000ffffcb007109 0001 0000',
  },
] as const

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

function endpoint(text: string) {
  const parsed = parseEndpoint(text)
  assert.ok(parsed, text)
  return parsed
}

for (const { client, proxy, hex } of VECTORS) {
  test(`the header of ${client} through ${proxy} is read and written byte for byte, wherever it is`, () => {
    const datagram = Buffer.concat([Buffer.alloc(3, 0x56), bytesOf(hex), Buffer.from('payload')])
    const header = readSimpleProxy(datagram, 3, datagram.length)
    assert.equal(header.kind, 'proxied')
    if (header.kind !== 'proxied') return
    assert.deepEqual([formatEndpoint(header.source), formatEndpoint(header.destination)], [client, proxy])
    assert.equal(header.bytesRead, SIMPLE_PROXY_LENGTH)
    assert.equal(datagram.toString('utf8', 3 + header.bytesRead), 'payload')

    const target = Buffer.alloc(50)
    assert.equal(writeSimpleProxy(target, 5, endpoint(client), endpoint(proxy)), SIMPLE_PROXY_LENGTH)
    assert.deepEqual(target.subarray(5, 5 + SIMPLE_PROXY_LENGTH), bytesOf(hex))
    assert.deepEqual([target[4], target[43]], [0, 0])
  })
}

test('a header that the datagram cuts off, and other bytes, are refused', () => {
  const header = bytesOf(VECTORS[0].hex)
  for (let length = 0; length < SIMPLE_PROXY_LENGTH; length++) {
    // What is behind the end is not there, even if it would complete the header.
    assert.deepEqual(readSimpleProxy(header, 0, length), { kind: 'malformed', reason: 'truncated' }, `${length} bytes`)
  }
  for (const at of [0, 1]) {
    const wrong = Buffer.from(header)
    wrong[at] ^= 1
    assert.deepEqual(readSimpleProxy(wrong, 0, wrong.length), { kind: 'malformed', reason: 'not-proxy' })
  }
  const version2 = bytesOf('0d0a0d0a000d0a515549540a 21120000')
  assert.deepEqual(readSimpleProxy(version2, 0, version2.length), { kind: 'malformed', reason: 'not-proxy' })
  assert.throws(
    () => writeSimpleProxy(new Uint8Array(37), 0, endpoint('192.0.2.1:1'), endpoint('192.0.2.2:2')),
    RangeError,
  )
})
