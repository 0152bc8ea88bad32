import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from './flags.ts'
import { parseVerify } from './verify.ts'

test('a target is a name or an address with a port', () => {
  for (const [text, host, port] of [
    ['192.0.2.1:1', '192.0.2.1', 1],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
    ['app.example:443', 'app.example', 443],
  ] as const) {
    const command = parseVerify([text])
    assert.deepEqual([command.host, command.port], [host, port])
  }
  for (const text of ['', 'a', 'a:', ':1', 'a:0', 'a:65536', '2001:db8::1:1', '[a]:1', '[192.0.2.1]:1', '-x']) {
    assert.throws(() => parseVerify([text]), UsageError, text)
  }
})

test('a server name is a host name, and only asked for with TLS', () => {
  for (const name of ['app.example', 'localhost', 'a-b._c.example']) {
    assert.equal(parseVerify(['a:1', '--tls', '--servername', name]).serverName, name)
  }
  for (const name of [
    'a b',
    '192.0.2.1',
    '::1',
    '.example',
    'a..b',
    `${'a'.repeat(64)}.example`,
    'a.'.repeat(200),
    'é',
  ]) {
    assert.throws(
      () => parseVerify(['a:1', '--tls', '--servername', name]),
      /is not a host name; write one such as/,
      name,
    )
  }
  assert.throws(() => parseVerify(['a:1', '--servername', 'a']), /are for TLS; give --tls with them/)
})

test('over UDP a header may name a client, and there is no TLS', () => {
  const { protocol, client } = parseVerify(['a:1', '-p', 'udp', '--client', '209.52.88.4:7'])
  assert.deepEqual([protocol, client?.port], ['udp', 7])
  assert.equal(parseVerify(['a:1']).protocol, 'tcp')
  assert.throws(() => parseVerify(['a:1', '-p', 'udp', '--tls']), /--tls cannot be used with -p udp/)
  assert.throws(() => parseVerify(['a:1', '--client', '209.52.88.4:7']), /--client is for UDP; give -p udp with it/)
})

test('flags may come before the target, and after it', () => {
  for (const words of ['--tls --servername x a:1', 'a:1 --tls --servername=x', '--servername=x a:1 --tls']) {
    const { host, serverName } = parseVerify(words.split(' '))
    assert.deepEqual([host, serverName], ['a', 'x'], words)
  }
  assert.throws(() => parseVerify(['--ca', 'a:1']), /^UsageError: verify needs an ADDR:PORT/)
})
