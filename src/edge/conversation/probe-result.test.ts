import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, errorText, failure, plainText, quote, resultOfError } from './probe-result.ts'

function systemError(code: string, message = `connect ${code} 192.0.2.1:110`): Error {
  return Object.assign(new Error(message), { code })
}

test('what this host lacks is not held against a backend', () => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']) {
    const result = resultOfError(systemError(code))
    assert.equal(result.kind, 'discarded', code)
    assert.match(result.kind === 'discarded' ? result.error : '', /^this (process|host) has /)
  }
})

test('what the backend or the way to it does is a failure in a few words', () => {
  for (const [code, error] of [
    ['ECONNREFUSED', 'connection refused'],
    ['ECONNRESET', 'connection reset'],
    ['EPIPE', 'connection reset'],
    ['ECONNABORTED', 'connection aborted'],
    ['EHOSTUNREACH', 'no route to host'],
    ['ENETUNREACH', 'network is unreachable'],
    ['EHOSTDOWN', 'host is down'],
    ['ETIMEDOUT', 'no answer from the host'],
  ] as const) {
    assert.deepEqual(resultOfError(systemError(code)), { kind: 'failure', error, isTimeout: false }, code)
  }
  assert.deepEqual(resultOfError(new Error('something else')), failure('something else'))
})

test('an error without a code, or with one of another kind, is told by its message', () => {
  assert.equal(codeOf(new Error('x')), '')
  assert.equal(codeOf(Object.assign(new Error('x'), { code: 7 })), '')
  assert.equal(errorText(systemError('EWHATEVER', 'two\nlines')), 'two lines')
})

test('what a peer has said stands in quotes, on one line, without control characters, and is cut after 40 characters', () => {
  assert.equal(quote('220 mail'), '"220 mail"')
  assert.equal(quote(Uint8Array.of(0x61, 0x0d, 0x0a, 0x00, 0x1b, 0x9b, 0x62)), quote('a\r\n\0\x1b\x9bb'))
  const controls = quote(Uint8Array.from({ length: 40 }, (_, index) => (index < 32 ? index : 0x78 + index)))
  assert.doesNotMatch(controls, /[\p{Cc}\p{Zl}\p{Zp}]/u)
  assert.equal(quote('x'.repeat(40)), `"${'x'.repeat(40)}"`)
  assert.ok(!quote('x'.repeat(41)).includes('x'.repeat(41)))
  assert.ok(quote('x'.repeat(1_000_000)).length < 50)
})

test('a message is on one line, without control characters, and cut after 120 characters', () => {
  assert.equal(plainText(' wrong\nversion\n'), 'wrong version')
  assert.doesNotMatch(plainText('\x1b[31mred\x07\u2028'), /[\p{Cc}\p{Zl}\p{Zp}]/u)
  assert.equal(plainText('x'.repeat(120)), 'x'.repeat(120))
  assert.equal(plainText('x'.repeat(121)), 'x'.repeat(120))
})
