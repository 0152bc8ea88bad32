// SIGUSR1 opens the inspector of an ordinary node, by which any user of the host runs code in the process.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Program } from '../../src/lab/program.ts'
import { runProgram } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { pause } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { COLD, TRUEPEER } from '../rig/truepeer.ts'

const SIGUSR1_BIT = 1n << 9n
/** Each of the early ones costs node a try to listen: more of them would leave it no time to start. */
const SIGNAL_EVERY_MS = 5

/** The program, or the shell that is about to become it, does something with SIGUSR1 other than to die. */
function isPrepared({ pid }: Program): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return [...status.matchAll(/^Sig(?:Ign|Cgt|Blk):\t([0-9a-f]+)$/gm)].some(
    ([, mask]) => (BigInt(`0x${mask}`) & SIGUSR1_BIT) !== 0n,
  )
}

/** Sends SIGUSR1 all the while from the first moment on until a line comes that matches. */
async function startUnderSignals(program: Program, ready: RegExp): Promise<void> {
  while (!isPrepared(program)) await setImmediate()
  let isReady = false
  const line = program.waitForLine(ready, { timeoutMs: 60_000 }).finally(() => {
    isReady = true
  })
  while (!isReady) {
    program.signal('SIGUSR1')
    await pause(SIGNAL_EVERY_MS, 'a signal comes every few milliseconds, so that one meets each moment of the start')
  }
  await line
}

test('no SIGUSR1 opens an inspector in edge, agent, controller or another command, from the first moment on', async (t) => {
  const { edge: host } = await agentHosts(t)
  const directory = testDirectory(t)
  const edge = ['edge', '--listen', '127.0.0.1:9000', '--backend', '127.0.0.1:9001', '--workers', '2', ...COLD]
  const agent = ['agent', '-l', '127.0.0.1:9002', '-4', '127.0.0.1:9003', '--allow-all-subnets', ...COLD]
  const controller = ['controller', '--create', '--data', join(directory, 'data'), '--unix', join(directory, 'socket')]
  for (const argv of [edge, agent, controller, ['whoami', '--listen', '127.0.0.1:9004']]) {
    const program = host.start(TRUEPEER, argv)
    await startUnderSignals(program, /listening/)
    for (let count = 0; count < 100; count++) program.signal('SIGUSR1')
    // Its signals are taken in order: what it does at the first one is written before it ends at the last one.
    const { exitCode, signal } = await program.stop()
    const output = program.texts().join('\n')
    assert.doesNotMatch(output, /Debugger listening/, argv[0])
    if (argv[0] !== 'whoami') assert.deepEqual([exitCode, signal], [0, undefined], `${argv[0]}: ${output}`)
  }
})

test('an inspector cannot listen where bin/truepeer has it listen', async () => {
  const port = /--inspect-port='([^']+)'/.exec(readFileSync(TRUEPEER, 'utf8'))?.[1]
  const open = "process.kill(process.pid, 'SIGUSR1'); setTimeout(() => {}, 100)"
  const { stderr } = await runProgram('node', [`--inspect-port=${port}`, '-e', open])
  assert.match(stderr, /^Starting inspector on fe80::1:9229 failed: invalid argument\n/)
  assert.doesNotMatch(stderr, /Debugger listening/)
})
