import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../src/linux/run.ts'
import type { LabEnd } from '../programs/lab-ends.ts'

const PROGRAM = fileURLToPath(new URL('../programs/lab-ends.js', import.meta.url))
const COUNT = 20
const TIME_MS_MAX = 900_000
/** A start with nothing else to do takes about 3 s. */
const UP_MS_MAX = 15_000

/** Runs the program on a machine of its own, as far as it can see. */
async function endsOf(what: 'cycle' | 'kill', t: TestContext, seed = 0): Promise<readonly LabEnd[]> {
  const machine = ['--mount', '--propagation', 'private', '--net', '--pid', '--fork', '--kill-child', '--mount-proc']
  // The shell reaps what is orphaned, as the first process of a machine does.
  const setUp =
    'umount -lR /run/netns 2>/dev/null; mount -t tmpfs -o mode=0755 tmpfs /run && ip link set lo up && "$@"; exit $?'
  const program = [process.execPath, PROGRAM, what, `${COUNT}`, `${seed}`]
  const { exitCode, stdout, stderr } = await runProgram('unshare', [...machine, 'sh', '-c', setUp, 'sh', ...program], {
    timeoutMs: TIME_MS_MAX,
  })
  t.diagnostic(`seed ${seed}\n${stdout}`)
  assert.equal(exitCode, 0, `seed ${seed}: ${stdout}${stderr}`)
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LabEnd)
}

test('20 labs that come and go leave the machine as it was, and each is there within 15 s', async (t) => {
  const ends = await endsOf('cycle', t)
  assert.equal(ends.length, COUNT)
  for (const { upMs = Number.NaN } of ends) assert.ok(upMs < UP_MS_MAX, `${upMs} ms`)
})

test('SIGKILL of any part at any moment ends a lab, or the lab goes on, and then nothing is left either', async (t) => {
  const ends = await endsOf('kill', t, Math.floor(Math.random() * 2 ** 32))
  assert.equal(ends.length, COUNT)
})
