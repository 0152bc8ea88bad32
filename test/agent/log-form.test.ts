import assert from 'node:assert/strict'
import { openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const ARGS = 'agent -l 127.0.0.1:65010 --allow-all-subnets --warm-up off'

for (const [what, environment, priority] of [
  ['the journal', (stream: string) => stream, /^<[46]>\{"level":/m],
  ['a file, with the journal for something else', () => '1:1', /^\{"level":/m],
] as const) {
  test(`records that go to ${what} have its form`, async (t) => {
    const log = join(testDirectory(t), 'log')
    openSync(log, 'w')
    const { dev, ino } = statSync(log)
    const command = `${TRUEPEER} ${ARGS} > ${log} & until grep -q listening ${log}; do sleep 0.05; done; kill $!; wait`
    await runProgram('env', [`JOURNAL_STREAM=${environment(`${dev}:${ino}`)}`, 'sh', '-c', command])
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
    assert.ok(lines.length >= 2)
    for (const line of lines) assert.match(line, priority)
  })
}

test('records on a terminal are lines for people', async () => {
  const command = `timeout 3 ${TRUEPEER} ${ARGS}`
  const { stdout } = await runProgram('script', ['-qec', command, '/dev/null'], { timeoutMs: 20_000 })
  assert.match(stdout, /^\d\d:\d\d:\d\d INFO {2}listening listen=127\.0\.0\.1:65010 /m)
})
