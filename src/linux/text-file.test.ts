import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NEEDS_ROOT } from '../../test/rig/skip.ts'
import { readPrivateTextFile, readTextFile, readWatchedTextFile } from './text-file.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'truepeer-text-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('a text is read whole, also where a character stands across two reads', (t) => {
  const path = join(folder(t), 'text')
  const text = `x${'é'.repeat(100_000)}`
  writeFileSync(path, text)
  assert.equal(readTextFile(path), text)
  writeFileSync(path, '')
  assert.equal(readTextFile(path), '')
})

test('a text in UTF-16 is read by its byte order mark', (t) => {
  const path = join(folder(t), 'text')
  const bytes = Buffer.from('\ufeff35.191.0.0/16\r\n', 'utf16le')
  for (const content of [bytes, Buffer.from(bytes).swap16()]) {
    writeFileSync(path, content)
    assert.equal(readTextFile(path).trim(), '35.191.0.0/16')
  }
})

test('a device without an end, a folder and a missing file are errors', (t) => {
  assert.throws(() => readTextFile('/dev/zero'), /longer than 64 MiB/)
  assert.throws(() => readTextFile('/proc'), /EISDIR/)
  assert.throws(() => readTextFile(join(folder(t), 'missing')), /ENOENT/)
})

test('a pipe is read to its end, and one that nobody writes to is given up', (t) => {
  const path = join(folder(t), 'pipe')
  execFileSync('mkfifo', [path])
  assert.throws(() => readTextFile(path, { silenceMsMax: 50 }), /it gave no data within 0\.05 s/)
  const writer = spawn('sh', ['-c', 'sleep 0.1; (printf one; sleep 0.1; printf two) > "$0"', path])
  t.after(() => writer.kill())
  assert.equal(readTextFile(path, { silenceMsMax: 5_000 }), 'onetwo')
})

test('a file that is watched is a file: nobody waits for a pipe', (t) => {
  const path = join(folder(t), 'watched')
  writeFileSync(path, 'text', { mode: 0o644 })
  assert.deepEqual(readWatchedTextFile(path), { text: 'text', isReadableByOthers: true })
  rmSync(path)
  execFileSync('mkfifo', [path])
  assert.throws(() => readWatchedTextFile(path), /^Error: it is not a file, and only files can be watched$/)
})

test('a file that others may have had in their hands is no text of our own', (t) => {
  const path = join(folder(t), 'own')
  writeFileSync(path, 'text', { mode: 0o600 })
  assert.equal(readPrivateTextFile(path), 'text')
  assert.throws(() => readPrivateTextFile(path, { bytesMax: 3 }), /longer than/)
  chmodSync(path, 0o620)
  assert.throws(() => readPrivateTextFile(path), /other users/)
  assert.throws(() => readPrivateTextFile('/dev/null'), /not a file/)
  // Another user's file: nobody has one in a user namespace.
  if (NEEDS_ROOT.skip !== false) return t.skip(NEEDS_ROOT.skip)
  chmodSync(path, 0o600)
  chownSync(path, 12_345, 12_345)
  assert.throws(() => readPrivateTextFile(path), /belongs to another user \(12345\)/)
})
