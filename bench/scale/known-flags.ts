import { join } from 'node:path'
import { runProgram } from '../../src/linux/run.ts'

/** Those of some flags that the command of a checkout has: an older one does without being told. */
export async function knownFlags(
  checkout: string,
  command: 'controller' | 'edge',
  flags: readonly string[],
): Promise<readonly string[]> {
  const { stdout: help } = await runProgram(join(checkout, 'bin/truepeer'), [command, '--help'])
  return flags.filter((flag) => help.includes(flag))
}
