import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/rig/eventually.ts'
import { ProgramError, runChecked, runNow, runProgram, startProgram } from './run.ts'
import { exitStatusOf } from './run-here.ts'

test('a program gets its input and hands back its output, its errors and its exit code', async () => {
  const result = await runProgram('sh', ['-c', 'cat; echo problem >&2; exit 3'], { input: 'hello' })
  assert.deepEqual(result, { exitCode: 3, signal: undefined, stdout: 'hello', stderr: 'problem\n' })
})

test('a program that is waited for gets its input and hands back the same', () => {
  const result = runNow('sh', ['-c', 'cat; echo problem >&2; exit 3'], { input: 'hello' })
  assert.deepEqual(result, { exitCode: 3, signal: undefined, stdout: 'hello', stderr: 'problem\n' })
  assert.throws(() => runNow('no-such-program', []), /"no-such-program" failed: .*; is it installed\?$/)
  assert.throws(() => runNow('sleep', ['60'], { timeoutMs: 100 }), ProgramError)
})

test('an exit code other than 0 is an error that shows the command and what it wrote', async () => {
  await assert.rejects(runChecked('sh', ['-c', 'echo reason >&2; exit 3']), (error) => {
    assert.ok(error instanceof ProgramError)
    assert.equal(error.message, '"sh -c echo reason >&2; exit 3" failed (3): reason')
    return true
  })
})

test('a program that does not exist is an error that names it', async () => {
  await assert.rejects(runProgram('no-such-program', []), /"no-such-program" cannot be started; is it installed/)
})

test('a program that takes too long is killed with its children', async () => {
  const script = 'sleep 60 & echo "child $!"; wait'
  const error = await runProgram('sh', ['-c', script], { timeoutMs: 300 }).catch((problem) => problem)
  assert.ok(error instanceof ProgramError)
  assert.match(error.message, /did not end within 300 ms/)
  const child = Number(/child ([0-9]+)$/m.exec(error.message)?.[1])
  await waitUntilGone(child)
})

test('a program that prints without end is killed, and told in few words', async () => {
  const error = await runProgram('yes', []).catch((problem) => problem)
  assert.match(error.message, /^"yes" prints without end: y\ny\n/)
  assert.ok(error.message.length < 10_000)
})

test('the PID of a started program is its own, and a signal reaches it', async () => {
  const started = startProgram('sh', ['-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done'])
  started.stdout.once('data', () => process.kill(started.pid, 'SIGTERM'))
  assert.deepEqual(await started.exited, { exitCode: 7, signal: undefined })
})

test('a signal that ends a program is reported by name', async () => {
  const started = startProgram('sleep', ['60'])
  started.signal('SIGTERM')
  assert.deepEqual(await started.exited, { exitCode: undefined, signal: 'SIGTERM' })
})

async function waitUntilGone(pid: number): Promise<void> {
  assert.ok(pid > 0)
  await eventually(`process ${pid} is gone`, () => {
    try {
      process.kill(pid, 0)
      return false
    } catch {
      return true
    }
  })
}

for (const [exitCode, signal, status] of [
  [0, undefined, 0],
  [3, undefined, 3],
  [undefined, 'SIGKILL', 137],
  [undefined, 'SIGTERM', 143],
  [undefined, 'SIGINT', 130],
] as const) {
  test(`a program that ends with ${exitCode ?? signal} has the exit status ${status}`, () => {
    assert.equal(exitStatusOf({ exitCode, signal }), status)
  })
}
