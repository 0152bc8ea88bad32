import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Program } from './program.ts'

test('a line is found whether it was written before or after the wait began', async () => {
  const program = new Program('sh', ['-c', 'echo one; sleep 0.1; echo two >&2; echo one again'])
  assert.equal(await program.waitForLine(/two/), 'two')
  assert.equal(await program.waitForLine(/one/), 'one')
  assert.equal(await program.waitForLine(/one/, { from: 1 }), 'one again')
  assert.deepEqual(await program.exited, { exitCode: 0, signal: undefined })
  assert.deepEqual(program.texts().sort(), ['one', 'one again', 'two'])
  assert.equal(program.output.find((line) => line.text === 'two')?.stream, 'stderr')
})

test('waiting for a line of a program that ends without it fails with what it wrote', async () => {
  const program = new Program('sh', ['-c', 'echo last words; exit 1'])
  await assert.rejects(program.waitForLine(/ready/), /ended without a line that matches \/ready\/:\nlast words/)
})

test('waiting for a line has a limit', async () => {
  const program = new Program('sleep', ['60'])
  await assert.rejects(program.waitForLine(/ready/, { timeoutMs: 50 }), /within 50 ms/)
  assert.equal(program.isRunning, true)
  await program.stop()
  assert.equal(program.isRunning, false)
})

test('stop() kills a program that ignores SIGTERM, and the children that hold its output', async () => {
  const program = new Program('sh', ['-c', 'trap "" TERM; sleep 60 & echo ready; wait; wait'])
  await program.waitForLine(/ready/)
  assert.deepEqual(await program.stop(100), { exitCode: undefined, signal: 'SIGKILL' })
})
