import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint } from '../address/endpoint.ts'
import { UsageError } from './flags.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseDuration,
  parsePart,
  parsePositiveDuration,
  parseText,
} from './values.ts'

const LONG = '9'.repeat(100_000)

function assertUsage(parse: () => unknown, message: string | RegExp): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof UsageError)
    assert.ok(error.message.length < 250, 'short')
    if (typeof message === 'string') assert.equal(error.message, message)
    else assert.match(error.message, message)
    return true
  })
}

test('a duration is a number of seconds, or numbers with units, in any mixture', () => {
  for (const [text, durationMs] of [
    ['0', 0],
    ['5', 5_000],
    ['5s', 5_000],
    ['500ms', 500],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1m500ms', 60_500],
    ['24d', 24 * 86_400_000],
    ['0s', 0],
    ['007', 7_000],
  ] as const) {
    assert.equal(parseDuration(text, '--x'), durationMs, text)
  }
})

test('anything else is no duration, and 25 days are more than a timer can count', () => {
  for (const text of [
    '',
    ' ',
    '-1',
    '-1s',
    '+1',
    '1.5s',
    '1 s',
    's',
    'ms',
    '5sec',
    '5S',
    '5s ',
    '5s5',
    '1e3',
    '0x10',
    '5s,5m',
    '25d',
    '24d1ms',
    '2147483648s',
    LONG,
    `${LONG}s`,
    '٥',
    '5s\n',
    'NaN',
    'Infinity',
  ]) {
    assertUsage(
      () => parseDuration(text, '--x'),
      /^--x ".*" is not a duration up to 24d; write one such as 500ms, 5s or 1h$/,
    )
  }
})

test('where a duration must be longer than 0, none of the ways to write 0 is taken', () => {
  for (const text of ['0', '0s', '00ms', '0h0m']) {
    assertUsage(
      () => parsePositiveDuration(text, '--x'),
      '--x must be longer than 0; write a time such as 500ms, 5s or 1h',
    )
  }
  assert.equal(parsePositiveDuration('1ms', '--x'), 1)
})

test('an address with a port is taken as it stands', () => {
  for (const text of ['192.0.2.1:1', '0.0.0.0:65535', '[2001:db8::1]:110', '[::]:110']) {
    assert.equal(formatEndpoint(parseAddressPort(text, '-l')), text)
  }
})

test('a host name, a bare address and a hostile text are no address with a port', () => {
  for (const text of [
    '',
    ':110',
    '110',
    '192.0.2.1',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:0110',
    '192.0.2.1:-1',
    '192.0.2.1:+1',
    '192.0.2.1:http',
    '192.0.2:110',
    '192.0.2.256:110',
    '0192.0.2.1:110',
    '2001:db8::1',
    '2001:db8::1:110',
    '[2001:db8::1]',
    '[2001:db8::1]110',
    '[fe80::1%eth0]:110',
    '[192.0.2.1]:110',
    'localhost:110',
    'app.example:110',
    '*:110',
    ' 192.0.2.1:110',
    '192.0.2.1:110 ',
    '192.0.2.1:110\n',
    '192.0.2.1:1\u001b[2J',
    `192.0.2.1:${LONG}`,
    LONG,
  ]) {
    assertUsage(
      () => parseAddressPort(text, '-l'),
      /^-l ".*" is not ADDR:PORT; write an address such as 192\.0\.2\.1:110 or \[2001:db8::1\]:110$/,
    )
  }
})

test('port 0 is no port to listen on or to connect to', () => {
  assertUsage(() => parseAddressPort('[::]:0', '-l'), '-l "[::]:0" has port 0; give one from 1 to 65535')
})

test('a whole number is decimal and within its bounds', () => {
  const parse = integerBetween(1, 256)
  assert.deepEqual([parse('1', '-n'), parse('256', '-n'), parse('08', '-n')], [1, 256, 8])
  for (const text of ['', '0', '257', '-1', '+1', '1.0', '1e1', '0x10', '0o7', ' 1', '1 ', '1\n', LONG, 'one', '１']) {
    assertUsage(() => parse(text, '-n'), /^-n ".*" is not a whole number from 1 to 256$/)
  }
})

test('one of a few words is taken only as it is written', () => {
  const parse = oneOf(['PROXY_V1', 'NONE'])
  assert.equal(parse('NONE', '--proxy-header'), 'NONE')
  for (const text of ['', 'none', 'PROXY_V1 ', 'PROXY', 'toString', LONG]) {
    assertUsage(() => parse(text, '--proxy-header'), /^--proxy-header ".*" is not one of PROXY_V1, NONE$/)
  }
})

test('a text may be anything but empty', () => {
  assert.equal(parseText('-', '--file'), '-')
  assertUsage(() => parseText('', '--file'), '--file is empty; give a value')
})

test('a part of a whole is a decimal above 0, and 1 at most', () => {
  assert.equal(parsePart('0.8', '--x'), 0.8)
  assert.equal(parsePart('1', '--x'), 1)
  for (const text of ['0', '0.0', '1.1', '80%', '.8', '0,8', '-0.1', '1e-1', '', 'NaN', LONG]) {
    assertUsage(() => parsePart(text, '--x'), /^--x ".*" is not a number above 0 and up to 1; write one such as 0\.8$/)
  }
})
