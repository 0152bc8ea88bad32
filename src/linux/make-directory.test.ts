import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeDirectory, makeWritableDirectory } from './make-directory.ts'

test('what is missing of a path is made with the mode, and what exists is left as it is', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'make-directory-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'a'), { mode: 0o755 })
  makeDirectory(join(root, 'a/b/c'), 0o700)
  makeDirectory(join(root, 'a/b/c'), 0o755)
  assert.deepEqual(
    ['a', 'a/b', 'a/b/c'].map((path) => (statSync(join(root, path)).mode & 0o777).toString(8)),
    ['755', '700', '700'],
  )
})

test('a path that nobody can make is an error at once', () => {
  assert.throws(() => makeDirectory('/proc/x', 0o700), { code: 'ENOENT' })
  assert.throws(() => makeDirectory('/proc/x/y/z', 0o700), { code: 'ENOENT' })
  assert.throws(() => makeDirectory('/dev/null/x', 0o700), { code: 'ENOTDIR' })
  assert.throws(() => makeWritableDirectory('/dev/null', 0o700), { code: 'EACCES' })
})
