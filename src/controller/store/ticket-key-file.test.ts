import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TicketKeyFile } from './ticket-key-file.ts'

const KEPT = { rotatedMs: 1, keys: ['0a'.repeat(80), '0b'.repeat(80)] }

function testFile(t: TestContext): TicketKeyFile {
  const directory = mkdtempSync(join(tmpdir(), 'ticket-keys-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return new TicketKeyFile(directory)
}

test('what was written is read again, and only its owner may', (t) => {
  const file = testFile(t)
  assert.equal(file.read(), undefined)
  file.write(KEPT)
  assert.deepEqual(file.read(), KEPT)
  assert.equal(statSync(file.path).mode & 0o777, 0o600)
  chmodSync(file.path, 0o640)
  assert.throws(() => file.read(), /other users have rights on it/)
})

test('a damaged file is told without a part of it', (t) => {
  const file = testFile(t)
  for (const text of [
    '',
    'secret',
    '{"keys":["secret"',
    'null',
    JSON.stringify({ ...KEPT, rotatedMs: 'x' }),
    JSON.stringify(KEPT).replace('"rotatedMs":1', '"rotatedMs":1e999'),
    JSON.stringify({ ...KEPT, keys: ['1', '2', '3', '4', '5', '6'].map((digit) => digit.repeat(160)) }),
    JSON.stringify({ ...KEPT, keys: [KEPT.keys[0], KEPT.keys[0].slice(0, 32) + '0'.repeat(128)] }),
    JSON.stringify({ ...KEPT, keys: [KEPT.keys[0]] }),
    JSON.stringify({ ...KEPT, keys: [KEPT.keys[0], 'secret'] }),
  ]) {
    writeFileSync(file.path, text, { mode: 0o600 })
    assert.throws(() => file.read(), { message: 'it is damaged' }, text)
  }
})
