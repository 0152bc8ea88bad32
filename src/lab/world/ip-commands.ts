import { runChecked, runProgram } from '../../linux/run.ts'
import { namespacePath, withNetworkOf } from '../network-namespaces.ts'

/** Runs commands of ip(8) inside a namespace, up to the first that fails. @throws ProgramError */
export async function ipIn(namespace: string, commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return
  await runChecked('ip', ['-netns', namespace, '-batch', '-'], { input: linesOf(commands) })
}

/** The same for what may have gone already: goes on after a command that fails. */
export async function forceIpIn(namespace: string, commands: readonly string[]): Promise<void> {
  await runProgram('ip', ['-netns', namespace, '-force', '-batch', '-'], { input: linesOf(commands) })
}

/** Runs a program with the network of a namespace. @throws ProgramError */
export async function runIn(namespace: string, program: string, args: readonly string[], input = ''): Promise<string> {
  return await runChecked(...withNetworkOf(namespacePath(namespace), program, args), { input })
}

function linesOf(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('')
}
