import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, pause } from '../../test/rig/eventually.ts'
import { FileWatcher } from './file-watcher.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'file-watcher-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('a file that is written in steps, or renamed into place, is one change; the same content is none', async (t) => {
  const path = join(folder(t), 'lb.yaml')
  writeFileSync(path, 'one')
  const watcher = new FileWatcher([path])
  let changes = 0
  watcher.start(() => {
    changes += 1
  })
  for (const text of ['', 'tw', 'two']) writeFileSync(path, text)
  await eventually('the change is told', () => changes === 1)
  writeFileSync(`${path}.new`, 'three')
  renameSync(`${path}.new`, path)
  await eventually('the second change is told', () => changes === 2)
  writeFileSync(path, 'three')
  writeFileSync(`${path}.other`, 'other')
  await pause(300, 'longer than it waits for the next step of a change')
  assert.equal(changes, 2)
})

test('who may read a file is part of it', async (t) => {
  const path = join(folder(t), 'key.pem')
  writeFileSync(path, 'key', { mode: 0o640 })
  const watcher = new FileWatcher([path])
  let changes = 0
  watcher.start(() => {
    changes += 1
  })
  chmodSync(path, 0o600)
  await eventually('the change is told', () => changes === 1)
})

test('what has changed between reading and watching is told at once', (t) => {
  const path = join(folder(t), 'lb.yaml')
  const watcher = new FileWatcher([path])
  writeFileSync(path, 'there by now')
  let changes = 0
  watcher.start(() => {
    changes += 1
  })
  assert.equal(changes, 1)
})

test('where the folder tells nothing the content is compared every two seconds', async (t) => {
  // The folder that is watched is that of the link, and what changes lies in another one.
  const [outer, inner] = [folder(t), folder(t)]
  writeFileSync(join(inner, 'lb.yaml'), 'one')
  symlinkSync(join(inner, 'lb.yaml'), join(outer, 'lb.yaml'))
  const watcher = new FileWatcher([join(outer, 'lb.yaml')])
  let changes = 0
  watcher.start(() => {
    changes += 1
  })
  writeFileSync(join(inner, 'lb.yaml'), 'two')
  // The watcher alone keeps no process alive.
  const alive = setInterval(() => {}, 1_000)
  t.after(() => clearInterval(alive))
  await eventually('the change is told', () => changes === 1)
})
