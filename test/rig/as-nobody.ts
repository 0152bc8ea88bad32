// Programs of an ordinary user, who may have a lab of his own.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunResult, runProgram } from '../../src/linux/run.ts'
import { NEEDS_ROOT, skipWithout } from './skip.ts'
import { TRUEPEER } from './truepeer.ts'

const SUBORDINATE = 'nobody:200000:65536\n'

/** The reason to skip tests that {@link asNobody} is for; false: there is none. */
export const noNobody: string | false =
  skipWithout('newuidmap') || (existsSync('/etc/subuid') ? NEEDS_ROOT.skip : 'there is no /etc/subuid')

/** Runs a script as nobody, who has these subordinate ids (subuid(5)); `$0` in it is the program. */
export async function asNobody(
  script: string,
  { subordinate = SUBORDINATE, timeoutMs = 60_000 } = {},
): Promise<RunResult> {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-ids-'))
  try {
    const file = join(directory, 'ids')
    writeFileSync(file, subordinate)
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env', '-i', 'PATH=/usr/bin:/bin']
    const setUp = 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"'
    const inside = ['sh', '-c', setUp, 'sh', file, ...user, 'sh', '-c', script, TRUEPEER]
    return await runProgram('unshare', ['--mount', '--propagation', 'private', ...inside], { timeoutMs })
  } finally {
    rmSync(directory, { recursive: true })
  }
}
