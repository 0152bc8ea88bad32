import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))

/** A timer that only lets time pass: what it waits for has happened by then on one machine, and not on another. */
const FIXED_WAIT = /\bsetTimeout(\((?!\d)| as\b)|\bsetTimeout\b[^}]*\} from 'node:timers\/promises'/

/** Where a timer is, and why it is no fixed wait. */
const ALLOWED: Readonly<Record<string, string>> = {
  'test/rig/eventually.ts': 'here is what tests wait with: a condition, or a pause that says why',
  'test/programs/load.ts': 'how long a client has patience',
  'test/programs/scale-bytes.ts': 'the pace of a sender is what it is for',
  'test/programs/datagram-load.ts': 'the pace of a sender is what it is for',
  'test/edge/mixed-talk.ts': 'the pace of a reader, and the patience of one',
  'test/programs/failing-program.ts': 'the moment of the failure',
  'src/lab/private-namespaces.test.ts': 'a program that hangs, to be killed',
  'test/whole/signals.test.ts': 'a program that lives until its signal is there',
}

/** The tests of the default run with all that only tests use. */
function testFiles(): string[] {
  const below = (folder: string): string[] =>
    readdirSync(join(CHECKOUT, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.full.test.ts'))
  const isTest = (path: string): boolean => path.endsWith('.test.ts') || /\/test-[^/]*\.ts$/.test(path)
  return [...below('test'), ...[...below('src'), ...below('bench')].filter(isTest)]
}

test('no test of the default run waits for a fixed time, but where `pause` says why', () => {
  const files = testFiles()
  assert.ok(files.length > 150, `${files.length}`)
  const found = files.filter((path) => FIXED_WAIT.test(readFileSync(join(CHECKOUT, path), 'utf8')))
  assert.deepEqual(found.sort(), Object.keys(ALLOWED).sort())
})
