import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../address/endpoint.ts'
import { parseEndpoint } from '../address/endpoint.ts'
import type { MalformedReason, ProxyHeader } from './proxy-header.ts'
import { readProxyHeader } from './read-proxy-header.ts'

const limits = { v2LengthMax: 4096 }

function read(text: string): ProxyHeader {
  const bytes = Buffer.from(text, 'latin1')
  return readProxyHeader(bytes, 0, bytes.length, limits)
}

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed, text)
  return parsed
}

/** Asserts that `text` up to its last byte is refused for `reason`, and one byte less is not refused. */
function assertRefusedAtLastByte(text: string, reason: MalformedReason): void {
  assert.deepEqual(read(text), { kind: 'malformed', reason }, JSON.stringify(text))
  const sound = text.slice(0, -1)
  assert.deepEqual(read(sound), { kind: 'incomplete', bytesNeeded: text.length }, JSON.stringify(sound))
}

test('a TCP4 line names both ends and says where it ends', () => {
  assert.deepEqual(read('PROXY TCP4 192.0.2.10 198.51.100.20 51234 443\r\nGET'), {
    kind: 'proxied',
    version: 1,
    transport: 'stream',
    source: endpoint('192.0.2.10:51234'),
    destination: endpoint('198.51.100.20:443'),
    bytesRead: 47,
    tlvStart: 47,
    tlvEnd: 47,
  })
})

test('a line in the middle of a buffer is counted from its start', () => {
  const bytes = Buffer.from('PROXYPROXY TCP6 ::1 ::ffff:192.0.2.1 0 65535\r\nPROXY')
  assert.deepEqual(readProxyHeader(bytes, 5, bytes.length, limits), {
    kind: 'proxied',
    version: 1,
    transport: 'stream',
    source: endpoint('[::1]:0'),
    destination: endpoint('[::ffff:192.0.2.1]:65535'),
    bytesRead: 41,
    tlvStart: 46,
    tlvEnd: 46,
  })
})

test('an IPv6 address is taken in every spelling of inet_pton(3)', () => {
  const spellings =
    '1:: ::1 :: 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1:2:3:4:5:6:1.2.3.4 ::1.2.3.4 ABCD::eF00 0001::0'
  for (const spelling of spellings.split(' ')) {
    const header = read(`PROXY TCP6 ${spelling} ::9 1 2\r\n`)
    assert.equal(header.kind, 'proxied', spelling)
    if (header.kind === 'proxied') assert.deepEqual(header.source, endpoint(`[${spelling}]:1`))
  }
})

test('what is no header is refused at its first wrong byte', () => {
  for (const text of ['X', 'p', 'PR ', 'PROXy', '\n', '\0', '\r\r', ' ']) assertRefusedAtLastByte(text, 'not-proxy')
  for (const text of ['PROXY\t', 'PROXY\r', 'PROXYT', 'PROXY\n']) assertRefusedAtLastByte(text, 'v1-syntax')
})

test('a protocol other than TCP4, TCP6 and UNKNOWN is refused at its first wrong byte', () => {
  const texts = [
    't',
    'TC4',
    'TCP5',
    'TCPX',
    'TCP ',
    'TCP4X',
    'TCP44',
    'TCP6\t',
    'TCP4\0',
    'u',
    'UD',
    'UNKNOWm',
    '\r',
    ' ',
  ]
  for (const text of [...texts, 'UNKNOWNX', 'UNKNOWN\t', 'UNKNOWN\0', 'UNKNOW\r']) {
    assertRefusedAtLastByte(`PROXY ${text}`, 'v1-proto')
  }
})

test('a wrong address is refused at its first wrong byte', () => {
  const ipv4 = [
    'a',
    '256',
    '01',
    '00',
    '1..',
    '.',
    '1.2.3.4.',
    '1.2.3.256',
    '1.2.3.4:',
    '1.2.3 ',
    '1.2.3. ',
    '-',
    '1.2.3.4\t',
    ':',
  ]
  for (const text of [...ipv4, '+', '1.2.3.\xd9']) {
    assertRefusedAtLastByte(`PROXY TCP4 ${text}`, 'v1-address')
    assertRefusedAtLastByte(`PROXY TCP4 0.0.0.0 ${text}`, 'v1-address')
  }
  const ipv6 = [
    '12345',
    '1:2:3:4:5:6:7:8:',
    '1:2:3:4:5:6:7 ',
    '1::2::',
    ':::',
    ':1',
    '1:::',
    'g',
    '[',
    '::1%',
    '::1/',
    '1:2 ',
    ': ',
  ]
  const dotted = [
    '1.',
    '::256.',
    '::01.',
    '1:2:3:4:5:6:7:8.',
    '1:2:3:4:5:1.',
    '::1.2.3 ',
    '::1.2.3.4:',
    '1:2:3:4:5:6::1.',
  ]
  for (const text of [...ipv6, ...dotted]) {
    assertRefusedAtLastByte(`PROXY TCP6 ${text}`, 'v1-address')
    assertRefusedAtLastByte(`PROXY TCP6 :: ${text}`, 'v1-address')
  }
})

test('a wrong port is refused at its first wrong byte', () => {
  for (const text of [
    '00',
    '01',
    '65536',
    '99999',
    '70000',
    '123456',
    '+',
    '-',
    'x',
    '0x',
    '1e',
    '8.',
    '1\t',
    '1\0',
    '\xd9',
  ]) {
    assertRefusedAtLastByte(`PROXY TCP4 1.2.3.4 5.6.7.8 ${text}`, 'v1-port')
    assertRefusedAtLastByte(`PROXY TCP6 ::1 ::2 1 ${text}`, 'v1-port')
  }
})

test('two spaces in a row, a missing field and a seventh field are refused as syntax', () => {
  assertRefusedAtLastByte('PROXY TCP4  ', 'v1-syntax')
  assertRefusedAtLastByte('PROXY TCP4 1.2.3.4  ', 'v1-syntax')
  assertRefusedAtLastByte('PROXY TCP4 1.2.3.4 5.6.7.8  ', 'v1-syntax')
  assertRefusedAtLastByte('PROXY TCP4 1.2.3.4 5.6.7.8 1  ', 'v1-syntax')
  const fields = ['PROXY TCP6', ' ::1', ' ::2', ' 1', ' ']
  for (let count = 1; count <= fields.length; count++) {
    assertRefusedAtLastByte(`${fields.slice(0, count).join('')}\r\n`, 'v1-syntax')
  }
  assertRefusedAtLastByte('PROXY TCP6 ::1 ::2 1 2 3', 'v1-syntax')
  assertRefusedAtLastByte('PROXY TCP6 ::1 ::2 1 2  \r\n', 'v1-syntax')
})

test('a lone CR or LF is refused wherever it stands, a CR with the byte after it', () => {
  const fronts = [
    'TCP4',
    'TCP4 ',
    'TCP4 1.2',
    'TCP4 1.2.3.4',
    'TCP4 1.2.3.4 ',
    'TCP4 1.2.3.4 5.6.7.8 1',
    'UNKNOWN',
    'UNKNOWN a b',
  ]
  for (const front of [...fronts, 'TCP4 1.2.3.4 5.6.7.8 1 2', 'TCP4 1.2.3.4 5.6.7.8 1 2 ']) {
    assertRefusedAtLastByte(`PROXY ${front}\n`, 'v1-line-ending')
    assertRefusedAtLastByte(`PROXY ${front}\rX`, 'v1-line-ending')
    assertRefusedAtLastByte(`PROXY ${front}\r\r`, 'v1-line-ending')
  }
})

test('a line of 107 bytes is accepted and a longer one refused at byte 107', () => {
  const unknown = `PROXY UNKNOWN ${'x'.repeat(91)}`
  assert.deepEqual(read(`${unknown}\r\n`), { kind: 'local', version: 1, command: 'unknown', bytesRead: 107 })
  assertRefusedAtLastByte(`${unknown}x\r`, 'v1-too-long')
  assertRefusedAtLastByte(`${unknown}xx`, 'v1-too-long')
  assertRefusedAtLastByte('PROXY TCP4 1.2.3.4 5.6.7.8 1 2'.padEnd(107), 'v1-too-long')
  const long = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255'
  assertRefusedAtLastByte(`PROXY TCP6 ${long} ${long} 1234`, 'v1-too-long')
  const longest = `PROXY TCP6 ${long} ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff 65 6\r`
  assert.equal(read(longest).kind, 'incomplete')
})

test('a line asks for one more byte and never for more than 107', () => {
  const line = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`
  for (let length = 0; length < 107; length++) {
    assert.deepEqual(read(line.slice(0, length)), { kind: 'incomplete', bytesNeeded: length + 1 })
  }
})

test('UNKNOWN is accepted whatever follows the space, and the rest is payload', () => {
  const tail = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 91,
  })
  fc.assert(
    fc.property(tail, (text) => {
      const line = `PROXY UNKNOWN ${text.replace(/[\r\n]/g, '')}\r\n`
      assert.deepEqual(read(`${line}\r\n`), { kind: 'local', version: 1, command: 'unknown', bytesRead: line.length })
    }),
  )
})
