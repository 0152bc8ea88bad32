import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AddressClass, classifyAddress } from './address-class.ts'
import { formatIpAddress, parseIpAddress } from './ip-address.ts'

function assertClass(expected: AddressClass, texts: string): void {
  for (const text of texts.split(' ')) {
    const address = parseIpAddress(text)
    assert.ok(address, text)
    assert.equal(classifyAddress(address), expected, text)
  }
}

const IPV4_CLASSES: [AddressClass, string][] = [
  ['unspecified', '0.0.0.0 0.1.2.3 0.255.255.255'],
  ['loopback', '127.0.0.0 127.8.8.8 127.255.255.255'],
  ['multicast', '224.0.0.0 239.255.255.255'],
  ['reserved', '240.0.0.0 250.1.2.3 255.255.255.254'],
  ['broadcast', '255.255.255.255'],
  ['link-local', '169.254.0.0 169.254.169.254 169.254.255.255'],
  [
    'private',
    '10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 100.64.0.0 100.127.255.255',
  ],
  ['ordinary', '1.0.0.0 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 172.15.255.255 172.32.0.0 223.255.255.255'],
  ['ordinary', '169.253.255.255 169.255.0.0 192.167.255.255 192.169.0.0 100.63.255.255 100.128.0.0 209.52.88.4'],
  ['ordinary', '192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 198.19.255.255'],
]

test('an IPv4 address has the class of its range, to the last address on either side', () => {
  for (const [expected, texts] of IPV4_CLASSES) assertClass(expected, texts)
})

test('an IPv6 address has the class of its range, to the last address on either side', () => {
  assertClass('unspecified', '::')
  assertClass('loopback', '::1')
  assertClass('multicast', 'ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
  assertClass('link-local', 'fe80:: fe80::1 febf:ffff::1')
  assertClass('private', 'fc00:: fd00::1 fdff:ffff::1 fec0::1 feff:ffff::1')
  assertClass('ordinary', 'fbff:ffff::1 fe00::1 fe7f:ffff::1 2001:db8::1 2000:: 2600::1 64:ff9b:2::7f00:1 1::1')
  assertClass(
    'ordinary',
    '0:1:: 0:0:1:: 0:0:0:1:: 0:0:0:0:1:: 0:0:0:0:0:1:: 0:1::1 0:0:1::1 0:0:0:1::1 ::1:0:0:1 ::1:0:1',
  )
})

test('an IPv6 address that carries an IPv4 address has the class of that one', () => {
  for (const [expected, texts] of IPV4_CLASSES) {
    for (const text of texts.split(' ')) {
      const carried = parseIpAddress(text)
      assert.ok(carried)
      const high = (carried.w3 >>> 16).toString(16)
      const low = (carried.w3 & 0xffff).toString(16)
      assertClass(expected, `::ffff:${text} 64:ff9b::${text} 2002:${high}:${low}::1 2002:${high}:${low}:ffff:1:2:3:4`)
      assertClass(expected, `::ffff:0:${text} 64:ff9b:1::${text}`)
      if (text !== '0.0.0.1') assertClass(expected, `::${text}`)
    }
  }
})

test('a prefix that only resembles one that carries an IPv4 address is not seen through', () => {
  assertClass(
    'ordinary',
    '64:ff9b:0:1::127.0.0.1 64:ff9b:1:1::127.0.0.1 ::fffe:0:127.0.0.1 2003:7f00:1::1 0:1::127.0.0.1 ::1:0:127.0.0.1 1::ffff:127.0.0.1',
  )
  const resembling = parseIpAddress('64:ff9c::7f00:1')
  assert.ok(resembling)
  assert.equal(classifyAddress(resembling), 'ordinary', formatIpAddress(resembling))
})
