import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTextFile } from './text-file.ts'

test('a text is read whole, also where a character stands across two reads', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'truepeer-text-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'text')
  const text = `x${'é'.repeat(100_000)}`
  writeFileSync(path, text)
  assert.equal(readTextFile(path), text)
  writeFileSync(path, '')
  assert.equal(readTextFile(path), '')
})

test('a device without an end, a folder and a missing file are errors', () => {
  assert.throws(() => readTextFile('/dev/zero'), /longer than 64 MiB/)
  assert.throws(() => readTextFile('/proc'), /EISDIR/)
  assert.throws(() => readTextFile('/nonexistent'), /ENOENT/)
})
