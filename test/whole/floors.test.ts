import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testDirectory } from '../rig/directory.ts'

const CHECK = fileURLToPath(new URL('../../../tools/check-floors.mjs', import.meta.url))

/** Checks a tree of these files, and returns what was said about them. */
function problemsOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = testDirectory(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'src', name)), { recursive: true })
    writeFileSync(join(root, 'src', name), text)
  }
  const { status, stderr } = spawnSync(process.execPath, [CHECK, '--root', root], { encoding: 'utf8' })
  assert.equal(status, stderr === '' ? 0 : 1, stderr)
  return stderr
}

test('the floors: imports that lead down, and what tests import, are nobody’s problem', (t) => {
  const files = {
    'address/a.ts': '',
    'linux/b.ts': "import { a } from '../address/a.ts'\nimport { run } from 'node:child_process'\n",
    'linux/b.test.ts': "import { agent } from '../agent/c.ts'\n",
    'agent/c.ts': "import type { B } from '../linux/b.ts'\n",
  }
  assert.equal(problemsOf(t, files), '')
})

test('the floors: two files that name each other’s types only are a circle', (t) => {
  const files = {
    'agent/a.ts': "import type { B } from './b.ts'\n",
    'agent/b.ts': "import {\n  type C,\n} from './c.ts'\n",
    'agent/c.ts': "export const later = () => import('./a.ts')\n",
  }
  assert.match(problemsOf(t, files), /a circle of imports: agent\/a.ts > agent\/b.ts > agent\/c.ts > agent\/a.ts/)
})

for (const [what, line] of [
  ['a type of a floor above', "import type { Agent } from '../agent/c.ts'"],
  ['a file for its effects', "import '../agent/c.ts'"],
  ['a file in the middle of the code', "const c = await import('../agent/c.ts')"],
  ['a name that it passes on', "export { Agent } from '../agent/c.ts'"],
  ['a package', "import pino from 'pino'"],
  ['a module of node that is reserved', "import { connect } from 'node:net'"],
] as const) {
  test(`the floors: src/linux may not import ${what}`, (t) => {
    assert.match(problemsOf(t, { 'linux/a.ts': `${line}\n`, 'agent/c.ts': '' }), /^src\/linux\/a.ts imports /)
  })
}

test('the floors: only one file of a folder may import what has a door there', (t) => {
  const receive = "import { receive } from '../../linux/socket.ts'\n"
  const files = { 'linux/socket.ts': '', 'dataplane/connection/side-io.ts': receive }
  assert.equal(problemsOf(t, files), '')
  const said = problemsOf(t, { ...files, 'dataplane/connection/relay.ts': receive })
  assert.match(said, /^src\/dataplane\/connection\/relay.ts imports linux\/socket.ts: .* side-io.ts alone/)
  const inWorker = problemsOf(t, { ...files, 'edge/worker/edge-role.ts': receive })
  assert.match(inWorker, /^src\/edge\/worker\/edge-role.ts imports linux\/socket.ts: .* for no file/)
})

test('the floors: a folder without a row is named', (t) => {
  assert.match(problemsOf(t, { 'cellar/a.ts': '' }), /^src\/cellar\/a.ts: its folder has no row/)
})
