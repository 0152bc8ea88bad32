import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  findLab,
  labDirectory,
  labNames,
  makeLabDirectory,
  ownRuntimeDirectory,
  removeLabDirectory,
} from './lab-directory.ts'

const runtimeDirectory = mkdtempSync(join(tmpdir(), 'truepeer-'))
after(() => rmSync(runtimeDirectory, { recursive: true }))
// Those of root are where the tests of labs make theirs.
const user = { uid: process.getuid?.() ?? 0, runtimeDirectory }
const here = (name: string) => ({ ...labDirectory(name, { ...user, uid: 1_000 }), uid: user.uid })

test('the directory of a lab is one of the user, in /run, the runtime directory, or /tmp', () => {
  assert.equal(labDirectory('a', { uid: 0, runtimeDirectory: '/run/user/0' }).path, '/run/truepeer/lab/a')
  assert.equal(labDirectory('a', { uid: 7, runtimeDirectory: '/run/user/7' }).path, '/run/user/7/truepeer/lab/a')
  assert.equal(labDirectory('a', { uid: 7, runtimeDirectory: undefined }).path, '/tmp/truepeer-7/lab/a')
})

test('a runtime directory that is not there, is somebody else’s, or has no whole path is none', () => {
  const { uid } = user
  assert.equal(ownRuntimeDirectory(runtimeDirectory, uid), runtimeDirectory)
  for (const path of [undefined, '', 'relative', join(runtimeDirectory, 'no-such-directory'), '/proc/self/stat'])
    assert.equal(ownRuntimeDirectory(path, uid), undefined, path)
  assert.equal(ownRuntimeDirectory(runtimeDirectory, uid + 1), undefined)
})

test('one that is made is starting, runs with the process that it names, and is left when that is another one', () => {
  const directory = here('a')
  assert.equal(findLab(directory).kind, 'none')
  assert.equal(makeLabDirectory(directory), true)
  assert.equal(makeLabDirectory(directory), false, 'the second of two at a time')
  assert.equal(findLab(directory).kind, 'starting')
  const stat = readFileSync('/proc/self/stat', 'utf8')
  writeFileSync(join(directory.path, 'init'), stat)
  assert.deepEqual(findLab(directory), { kind: 'running', initPid: process.pid })
  assert.deepEqual(labNames({ ...user, uid: 1_000 }), ['a'])
  // The same number, and another start.
  const fields = stat.split(' ')
  const at = fields.length - (stat.slice(stat.lastIndexOf(')')).split(' ').length - 20)
  fields[at] = `${Number(fields[at]) + 1}`
  writeFileSync(join(directory.path, 'init'), fields.join(' '))
  assert.equal(findLab(directory).kind, 'left')
  removeLabDirectory(directory)
  assert.equal(existsSync(join(runtimeDirectory, 'truepeer')), false)
  assert.equal(existsSync(runtimeDirectory), true)
})

test('a directory of somebody else is neither taken nor read', () => {
  const directory = here('b')
  mkdirSync(join(runtimeDirectory, 'truepeer'), { mode: 0o777 })
  assert.throws(
    () => makeLabDirectory({ ...directory, uid: 12_345 }),
    /is not this user's alone; remove it, or make it/,
  )
  mkdirSync(directory.path, { recursive: true })
  assert.equal(findLab({ ...directory, uid: 12_345 }).kind, 'none')
})
