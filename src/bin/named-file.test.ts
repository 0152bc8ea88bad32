import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { UsageError } from '../cli/flags.ts'
import { readCredentialToken, readNamedFile, readNamedRoots, readNamedToken } from './named-file.ts'

function fileWith(t: TestContext, content: string | Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'named-file-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'file'), content, { mode: 0o600 })
  return join(folder, 'file')
}

function refusal(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof UsageError)
    return error.message
  }
  return assert.fail('it was taken')
}

test('a file that cannot be read, or does not end, is named with its flag', () => {
  assert.match(
    refusal(() => readNamedFile('--ca', '/nowhere')),
    /^--ca "\/nowhere": the file cannot be read \(ENOENT.*\); give a readable file$/,
  )
  assert.match(
    refusal(() => readNamedFile('--ca', '/proc')),
    /^--ca "\/proc": the file cannot be read \(EISDIR/,
  )
  assert.match(
    refusal(() => readNamedToken('--token-file', '/dev/zero')),
    /^--token-file "\/dev\/zero": the file cannot be read \(it is longer/,
  )
})

test('a token is one word of a header, and what is none is not repeated', (t) => {
  assert.equal(readNamedToken('--token-file', fileWith(t, 'tp_abc\n')), 'tp_abc')
  for (const content of [
    '',
    '\n',
    'sec ret',
    'sec\nret',
    'secr\u00e9t',
    '{"sec":1}',
    Buffer.from([1, 2, 3]),
    's'.repeat(2_000),
  ]) {
    const message = refusal(() => readNamedToken('--token-file', fileWith(t, content)))
    assert.match(message, /contains no token; write the output of "truepeer controller token create" into it$/)
    assert.doesNotMatch(message, /sec/)
  }
})

test('a token that others can read is refused, and one that the service manager has passed is not', (t) => {
  for (const mode of [0o640, 0o604, 0o644]) {
    const path = fileWith(t, 'tp_secret')
    chmodSync(path, mode)
    const message = refusal(() => readNamedToken('--token-file', path))
    assert.equal(message, `--token-file "${path}" can be read by others; run "chmod 600 ${path}"`)
    assert.equal(readCredentialToken('--token-file', path), 'tp_secret')
  }
  assert.match(
    refusal(() => readCredentialToken('--token-file', fileWith(t, 'sec ret'))),
    /contains no token/,
  )
})

test('roots are certificates, each of which can be read', (t) => {
  assert.match(
    refusal(() => readNamedRoots('--ca', fileWith(t, 'x'))),
    /it contains no certificate; give one in PEM/,
  )
  assert.match(
    refusal(() => readNamedRoots('--ca', fileWith(t, '-----BEGIN PRIVATE KEY-----\nAAAA\n'))),
    /it is a private key in PEM, and not a certificate; give one in PEM/,
  )
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  assert.match(
    refusal(() => readNamedRoots('--ca', fileWith(t, broken))),
    /certificate 1 is damaged; copy it again/,
  )
  const startedMs = performance.now()
  refusal(() => readNamedRoots('--ca', fileWith(t, '-----BEGIN CERTIFICATE-----\n'.repeat(100_000))))
  assert.ok(performance.now() - startedMs < 2_000)
})
