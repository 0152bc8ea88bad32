import assert from 'node:assert/strict'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runChecked } from '../../src/linux/run.ts'
import { type LiveController, PROJECT, startController, startFollowingEdge } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'

const COLLECTION = `${PROJECT}/global/healthChecks`
const LONG = 'x'.repeat(2_000)

/** A disk of 4 MiB, gone when the test ends; the tests run in a mount namespace of their own. */
async function smallDisk(t: TestContext): Promise<string> {
  const disk = mkdtempSync(join(tmpdir(), 'truepeer-disk-'))
  await runChecked('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
  t.after(async () => {
    await runChecked('umount', ['--lazy', disk])
    rmdirSync(disk)
  })
  return disk
}

function fill(disk: string): string {
  const ballast = join(disk, 'ballast')
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(ballast, Buffer.alloc(bavail * bsize))
  return ballast
}

function insert(controller: LiveController, name: string): ReturnType<LiveController['ask']> {
  const check = { name, description: LONG, type: 'TCP', tcpHealthCheck: { port: 80 } }
  return controller.ask('POST', COLLECTION, check)
}

async function namesOf(controller: LiveController): Promise<string[]> {
  const { status, body } = await controller.ask('GET', `${COLLECTION}?maxResults=500`)
  assert.equal(status, 200)
  return ((body as { readonly items?: readonly { readonly name: string }[] }).items ?? []).map(({ name }) => name)
}

/** Inserts until the disk is full. @returns the names that were acknowledged */
async function insertUntilFull(controller: LiveController): Promise<string[]> {
  const stored: string[] = []
  for (let count = 0; count < 2_000; count++) {
    const name = `hc-${String(count).padStart(4, '0')}`
    const { status, body } = await insert(controller, name)
    if (status !== 200) {
      assert.equal(status, 507, JSON.stringify(body))
      const { error } = body as { readonly error: { readonly message: string } }
      assert.match(error.message, /^The disk of ".*controller\.db" is full and nothing was changed; free some space/)
      return stored
    }
    stored.push(name)
  }
  return assert.fail('the disk did not get full')
}

test('with a full disk changes are refused and everything else goes on; with space again, changes do', async (t) => {
  const disk = await smallDisk(t)
  const controller = await startController(undefined, join(disk, 'data'))
  t.after(() => controller.program.kill())
  const ballast = fill(disk)
  const stored = await insertUntilFull(controller)
  assert.deepEqual(await namesOf(controller), stored)
  assert.equal((await controller.ask('GET', `${PROJECT}/global/operations`)).status, 200)
  assert.equal((await controller.ask('GET', '/truepeer/v1/edges')).status, 200)
  rmSync(ballast)
  assert.equal((await insert(controller, 'later')).status, 200)
  assert.deepEqual(await namesOf(controller), [...stored, 'later'])
})

test('a controller that was killed with a full disk starts with all that it had acknowledged', async (t) => {
  const disk = await smallDisk(t)
  const data = join(disk, 'data')
  const first = await startController(undefined, data)
  t.after(() => first.program.kill())
  const ballast = fill(disk)
  const stored = await insertUntilFull(first)
  first.program.kill()
  await first.program.exited
  const second = await startController(undefined, data)
  t.after(() => second.program.kill())
  assert.deepEqual(await namesOf(second), stored)
  rmSync(ballast)
  assert.equal((await insert(second, 'later')).status, 200)
})

test('an edge with a full disk serves what comes, and says that it cannot keep it', async (t) => {
  const disk = await smallDisk(t)
  const controller = await startController(undefined, join(testDirectory(t), 'data'))
  t.after(() => controller.program.kill())
  fill(disk)
  const { program } = await startFollowingEdge(undefined, controller.url, join(disk, 'state'))
  t.after(() => program.kill())
  await program.waitForLine(/following the controller/)
  await program.waitForLine(/cannot be saved for the next start/)
  const { body } = await controller.ask('GET', '/truepeer/v1/edges')
  assert.equal((body as { readonly items: readonly { readonly isConnected: boolean }[] }).items[0]?.isConnected, true)
})
