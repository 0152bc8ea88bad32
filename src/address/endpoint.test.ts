import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint, isSameEndpoint, parseEndpoint } from './endpoint.ts'
import { parseIpAddress } from './ip-address.ts'

test('an endpoint is written in the form in which it is read', () => {
  for (const text of ['192.0.2.1:80', '0.0.0.0:0', '[2001:db8::1]:65535', '[::ffff:192.0.2.1]:443', '[::]:1']) {
    const endpoint = parseEndpoint(text)
    assert.ok(endpoint)
    assert.equal(formatEndpoint(endpoint), text)
  }
  assert.deepEqual(parseEndpoint('192.0.2.1:8080'), { address: parseIpAddress('192.0.2.1'), port: 8080 })
})

test('text without one address, one colon and one plain port is no endpoint', () => {
  const texts = [
    ...['', ':', ':80', '192.0.2.1', '192.0.2.1:', '192.0.2.1:080', '192.0.2.1:65536', '192.0.2.1:100000'],
    ...['192.0.2.1:+80', '192.0.2.1:-1', '192.0.2.1:0x50', '192.0.2.1:1e3', '192.0.2.1: 80', '192.0.2.1:80 '],
    ...['192.0.2.1:80\n', '192.0.2.1:٨٠', '[192.0.2.1]:80', '2001:db8::1:80', '::1', '[::1]', '[::1]80', '[::1:80'],
    ...['::1]:80', '[]:80', '[[::1]]:80', '[::1%lo]:80', 'localhost:80', '192.0.2.1:00'],
  ]
  for (const text of texts) assert.equal(parseEndpoint(text), undefined, JSON.stringify(text))
})

test('endpoints are the same only with the same address and port', () => {
  const [a, b, otherPort, otherAddress] = ['10.0.0.1:1', '10.0.0.1:1', '10.0.0.1:2', '[::ffff:10.0.0.1]:1'].map(
    (text) => {
      const endpoint = parseEndpoint(text)
      assert.ok(endpoint)
      return endpoint
    },
  )
  assert.equal(isSameEndpoint(a, b), true)
  assert.equal(isSameEndpoint(a, otherPort), false)
  assert.equal(isSameEndpoint(a, otherAddress), false)
})
