import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { beginAnew } from './bounded-log.ts'

test('a log that has become too long begins anew, and whoever writes goes on at its beginning', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'log')
  const fd = openSync(path, 'a+')
  t.after(() => closeSync(fd))
  writeSync(fd, 'x'.repeat(100))
  assert.equal(beginAnew(fd, 100), undefined)
  writeSync(fd, 'y')
  assert.equal(beginAnew(fd, 100), 101)
  writeSync(fd, 'new')
  assert.equal(readFileSync(path, 'utf8'), 'new')
})
