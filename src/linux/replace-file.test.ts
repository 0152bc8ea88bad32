import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { replaceFile, replaceFileBy } from './replace-file.ts'

function folder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'replace-file-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}

test('a file is made, and replaced, for its owner alone, whatever the mode of the one before', (t) => {
  const path = join(folder(t), 'file')
  replaceFile(path, 'one')
  assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['one', 0o600])
  chmodSync(path, 0o644)
  replaceFile(path, 'two')
  assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['two', 0o600])
})

test('a file that is for everybody gets the mode that is asked for', (t) => {
  const path = join(folder(t), 'file')
  replaceFile(path, 'one', 0o644)
  assert.equal(modeOf(path), 0o644)
})

test('the mode is there before the first byte', (t) => {
  const path = join(folder(t), 'file')
  let seen: unknown
  replaceFileBy(path, (partial) => {
    seen = [modeOf(partial), readFileSync(partial, 'utf8')]
    writeFileSync(partial, 'one')
  })
  assert.deepEqual(seen, [0o600, ''])
})

test('whoever has the file open goes on reading the old one', (t) => {
  const path = join(folder(t), 'file')
  replaceFile(path, 'one')
  const fd = openSync(path, 'r')
  try {
    replaceFile(path, 'two, and longer')
    assert.equal(readFileSync(fd, 'utf8'), 'one')
  } finally {
    closeSync(fd)
  }
})

test('until the new file is whole the old one has its place', (t) => {
  const path = join(folder(t), 'file')
  replaceFile(path, 'one')
  replaceFileBy(path, (partial) => {
    writeFileSync(partial, 'tw')
    assert.equal(readFileSync(path, 'utf8'), 'one')
    writeFileSync(partial, 'two')
  })
  assert.equal(readFileSync(path, 'utf8'), 'two')
})

test('when writing fails the old file stays, and nothing is left beside it', (t) => {
  const directory = folder(t)
  const path = join(directory, 'file')
  replaceFile(path, 'one')
  const fail = (partial: string): void => {
    writeFileSync(partial, 'half')
    throw new Error('the disk is full')
  }
  assert.throws(() => replaceFileBy(path, fail), /the disk is full/)
  assert.equal(readFileSync(path, 'utf8'), 'one')
  assert.deepEqual(readdirSync(directory), ['file'])
})

test('when the file cannot take its place nothing is left beside it', (t) => {
  const directory = folder(t)
  const path = join(directory, 'file')
  mkdirSync(join(path, 'inside'), { recursive: true })
  assert.throws(() => replaceFile(path, 'one'), { code: 'EISDIR' })
  assert.deepEqual(readdirSync(directory), ['file'])
})

test('what a crash has left beside it is made anew, for its owner alone', (t) => {
  const directory = folder(t)
  const path = join(directory, 'file')
  writeFileSync(`${path}.partial`, 'longer than what comes')
  chmodSync(`${path}.partial`, 0o666)
  replaceFile(path, 'one')
  assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['one', 0o600])
  assert.deepEqual(readdirSync(directory), ['file'])
})

test('no symbolic link is followed, neither at the place of the file nor beside it', (t) => {
  const directory = folder(t)
  const path = join(directory, 'file')
  const victim = join(directory, 'victim')
  writeFileSync(victim, 'untouched')
  symlinkSync(victim, path)
  symlinkSync(victim, `${path}.partial`)
  replaceFile(path, 'one')
  assert.equal(readFileSync(victim, 'utf8'), 'untouched')
  assert.equal(readFileSync(path, 'utf8'), 'one')
  assert.ok(lstatSync(path).isFile())
})

test('a folder that is not there is an error that names the file', (t) => {
  const path = join(folder(t), 'missing', 'file')
  assert.throws(() => replaceFile(path, 'one'), { code: 'ENOENT', path: `${path}.partial` })
})
