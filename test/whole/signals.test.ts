// What signals do to a program that is still starting. SIGUSR1 opens the inspector of an ordinary node, by which any
// user of the host runs code in the process; SIGHUP ends it, and does so still in the moments in which node
// itself starts, which gives every signal its default action.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Program } from '../../src/lab/program.ts'
import { runProgram } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { pause } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { COLD, TRUEPEER } from '../rig/truepeer.ts'

const SIGHUP_BIT = 1n << 0n
const SIGUSR1_BIT = 1n << 9n
/** Each of the early ones costs node a try to listen: more of them would leave it no time to start. */
const SIGNAL_EVERY_MS = 5

/** Waits until the program, or the shell that is about to become it, ignores, catches or blocks a signal. */
async function prepared({ pid }: Program, bit: bigint, ways = ['SigIgn', 'SigCgt', 'SigBlk']): Promise<void> {
  const isPrepared = (): boolean => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return [...status.matchAll(/^(Sig\w+):\t([0-9a-f]+)$/gm)].some(
      ([, way, mask]) => ways.includes(way) && (BigInt(`0x${mask}`) & bit) !== 0n,
    )
  }
  while (!isPrepared()) await setImmediate()
}

/** Sends SIGUSR1 all the while from the first moment on until a line comes that matches. */
async function startUnderSignals(program: Program, ready: RegExp): Promise<void> {
  await prepared(program, SIGUSR1_BIT)
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

/** An edge, an agent and a controller that listen on loopback. */
function servers(t: TestContext): readonly (readonly string[])[] {
  const directory = testDirectory(t)
  return [
    ['edge', '--listen', '127.0.0.1:9000', '--backend', '127.0.0.1:9001', '--workers', '2', ...COLD],
    ['agent', '-l', '127.0.0.1:9002', '-4', '127.0.0.1:9003', '--allow-all-subnets', ...COLD],
    ['controller', '--create', '--data', join(directory, 'data'), '--unix', join(directory, 'socket')],
  ]
}

test('a reload that is asked for before node starts, or once the program runs, does not end edge, agent or controller', async (t) => {
  const { edge: host } = await agentHosts(t)
  for (const argv of servers(t)) {
    const program = host.start(TRUEPEER, argv)
    const listening = program.waitForLine(/listening/, { timeoutMs: 60_000 })
    // In the shell first, and as soon as node runs the first line of the program.
    await prepared(program, SIGHUP_BIT)
    program.signal('SIGHUP')
    await prepared(program, SIGHUP_BIT, ['SigCgt'])
    program.signal('SIGHUP')
    await listening
    const { exitCode, signal } = await program.stop()
    assert.deepEqual([exitCode, signal], [0, undefined], `${argv[0]}: ${program.texts().join('\n')}`)
  }
})

test('no SIGUSR1 opens an inspector in edge, agent, controller or another command, from the first moment on', async (t) => {
  const { edge: host } = await agentHosts(t)
  for (const argv of [...servers(t), ['whoami', '--listen', '127.0.0.1:9004']]) {
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
