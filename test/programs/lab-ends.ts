// Run by test/lab/ends.full.test.ts on what it takes for a machine: starts labs, ends them or kills a part of them, and
// prints a line of JSON for each. Fails when the machine is not as before, with what is different.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runProgram, startProgram } from '../../src/linux/run.ts'
import { type Asked, askController, change } from '../rig/controller.ts'
import { eventually, pause } from '../rig/eventually.ts'

/** One line of the output. */
export type LabEnd = {
  readonly upMs?: number
  readonly atMs?: number
  readonly killed?: string
  readonly outcome: 'ended' | 'goes on' | 'down'
}

const TRUEPEER = fileURLToPath(new URL('../../../bin/truepeer', import.meta.url))
const SOCKET = '/run/truepeer/lab/lab/controller.sock'
/** The two shells around a lab, what is between them, and the lab process: without one of them there is no lab. */
const WHOLE = /^sh -c cd "\$1" \|\| exit 1\n|^unshare --mount --propagation private --pid |\/lab-process\.js /
/** The moments at which something is killed: before, during and after the start. */
const MOMENT_MS_MAX = 8_000

/** What a lab could leave behind, in lines. */
async function machineState(): Promise<readonly string[]> {
  const said = {
    namespace: 'ip netns',
    mount: 'cat /proc/self/mountinfo',
    address: 'ip -o address; ip -o link',
    route: 'ip rule; ip route show table all; ip -6 rule; ip -6 route show table all',
    rules: 'nft list ruleset',
    file: 'find /run',
    resolver: 'cat /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt | sha256sum',
  }
  const lines = await Promise.all(
    Object.entries(said).map(async ([kind, command]) => {
      const { stdout } = await runProgram('sh', ['-c', command])
      return stdout.split('\n').map((line) => `${kind}: ${line}`)
    }),
  )
  return [...lines.flat(), ...processes().map((pid) => `process: ${commandOf(pid)}`)].sort()
}

/** What is there and was not, and the other way round. */
async function differencesFrom(before: readonly string[]): Promise<readonly string[]> {
  const now = await machineState()
  return [
    ...now.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
    ...before.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
  ]
}

/** The processes of this machine that are not this one, nor about to be reaped. */
function processes(): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && commandOf(pid) !== '')
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

async function lab(...args: readonly string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await runProgram(TRUEPEER, ['lab', ...args], { timeoutMs: 60_000 })
  assert.equal(exitCode, 0, `${args.join(' ')}: ${stdout}${stderr}`)
}

/** An instance is part of what ends. */
async function makeInstance(): Promise<void> {
  const ask: Asked['ask'] = (method, path, body) => askController(SOCKET, method, path, body)
  await change({ ask }, 'POST', 'zones/us-central1-b/instances', { name: 'my-backend' })
}

function tell(end: LabEnd): void {
  process.stdout.write(`${JSON.stringify(end)}\n`)
}

/** Up and down. */
async function cycle(): Promise<void> {
  const before = await machineState()
  const startedMs = performance.now()
  await lab('up')
  const upMs = Math.round(performance.now() - startedMs)
  await makeInstance()
  await lab('exec', 'my-backend', '--', 'touch', '/etc/of-the-lab')
  await lab('down')
  assert.deepEqual(await differencesFrom(before), [])
  tell({ upMs, outcome: 'down' })
}

/** Kills something of a lab, at some moment. */
async function kill(random: () => number): Promise<void> {
  const before = await machineState()
  const others = new Set(processes())
  const up = startProgram(TRUEPEER, ['lab', 'up'])
  up.stdout.resume()
  up.stderr.resume()
  const used = up.exited.then(async ({ exitCode }) => {
    if (exitCode !== 0) return
    await makeInstance().catch(() => {})
    const sleeping = startProgram(TRUEPEER, ['lab', 'exec', 'my-backend', '--', 'sleep', '1000'])
    sleeping.stdout.resume()
    sleeping.stderr.resume()
  })
  const atMs = Math.round(random() * MOMENT_MS_MAX)
  await pause(atMs, 'any moment of a start and of what follows')
  const parts = processes().filter((pid) => !others.has(pid))
  // Of each kind as likely: most are those of machines. The first of a kind: a child that has not called exec(2) yet has
  // the command of its parent, and is no part of the lab.
  const kinds = [...new Map(parts.toReversed().map((pid) => [commandOf(pid), pid])).values()]
  const victim = kinds[Math.floor(random() * kinds.length)]
  const command = victim === undefined ? 'nothing' : commandOf(victim)
  const killed = command.slice(0, 100)
  if (victim !== undefined) process.kill(victim, 'SIGKILL')
  await used
  const goesOn = (): Promise<boolean> =>
    runProgram(TRUEPEER, ['lab', 'status', '--json'], { timeoutMs: 60_000 }).then(({ exitCode, stdout }) => {
      const edges = exitCode === 0 ? (stdout.match(/"state": "serves/g) ?? []) : []
      return edges.length === 3
    })
  let outcome: LabEnd['outcome'] | undefined
  let left: readonly string[] = []
  const untilNothing = async (what: string, isElse: () => Promise<boolean>): Promise<void> => {
    const isThere = async (): Promise<boolean> => {
      left = await differencesFrom(before)
      return left.length === 0 || (await isElse())
    }
    await eventually(what, isThere).catch(() => assert.deepEqual(left, [], `${killed} killed after ${atMs} ms`))
  }
  await untilNothing('it has ended, or goes on', WHOLE.test(command) ? async () => false : goesOn)
  if (left.length > 0) {
    outcome = 'goes on'
    await lab('down')
    await untilNothing('nothing is left', async () => false)
  }
  tell({ atMs, killed, outcome: outcome ?? 'ended' })
}

/** Numbers from 0 to 1, the same ones for a seed (mulberry32). */
function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const [what, count, seed] = process.argv.slice(2)
const random = numbersFrom(Number(seed))
for (let index = 0; index < Number(count); index++) await (what === 'kill' ? kill(random) : cycle())
