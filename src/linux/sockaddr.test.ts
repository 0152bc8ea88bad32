import assert from 'node:assert/strict'
import { endianness } from 'node:os'
import { test } from 'node:test'
import { formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { readSockaddr, readSockaddrPort, SOCKADDR_BYTES_MAX, writeSockaddr } from './sockaddr.ts'

function write(text: string, target = new Uint8Array(SOCKADDR_BYTES_MAX).fill(0xee)): Uint8Array {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return target.subarray(0, writeSockaddr(target, endpoint.address, endpoint.port))
}

/** sa_family_t in the byte order of this host. */
function family(value: number): string {
  return endianness() === 'LE' ? `0${value.toString(16)}00` : `000${value.toString(16)}`
}

test('an IPv4 end point is a sockaddr_in: family, port and address, zeros to 16 bytes (ip(7))', () => {
  assert.equal(Buffer.from(write('192.0.2.1:443')).toString('hex'), `${family(2)}01bbc00002010000000000000000`)
})

test('an IPv6 end point is a sockaddr_in6: flow and scope are 0, 28 bytes (ipv6(7))', () => {
  const expected = `${family(10)}ffff0000000020010db800000000000000000000000100000000`
  assert.equal(Buffer.from(write('[2001:db8::1]:65535')).toString('hex'), expected)
})

test('nothing of an earlier, longer structure is left, and nothing behind the structure is touched', () => {
  const target = new Uint8Array(SOCKADDR_BYTES_MAX)
  write('[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535', target)
  assert.equal(Buffer.from(write('0.0.0.0:0', target)).toString('hex'), `${family(2)}${'00'.repeat(14)}`)
  assert.ok(target.subarray(16, 24).every((byte) => byte === 0xff))
})

for (const text of ['0.0.0.0:0', '127.0.0.1:80', '255.255.255.255:65535', '[::]:0', '[::1]:80', '[fe80::1]:256']) {
  test(`${text} is read as it was written`, () => {
    assert.equal(formatEndpoint(readSockaddr(write(text))), text)
    assert.equal(readSockaddrPort(write(text)), parseEndpoint(text)?.port)
  })
}

test('the IPv4 client of a dual-stack listener is read as IPv4', () => {
  assert.equal(formatEndpoint(readSockaddr(write('[::ffff:209.52.88.4]:51234'))), '209.52.88.4:51234')
})
