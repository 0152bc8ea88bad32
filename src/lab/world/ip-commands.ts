import { runChecked, runProgram } from '../../linux/run.ts'

/** The path of a namespace that ip-netns(8) has a name for. */
export function namespacePath(namespace: string): string {
  return `/run/netns/${namespace}`
}

/** Makes network namespaces, with nothing in them. */
export async function addNamespaces(names: readonly string[]): Promise<void> {
  await runChecked('ip', ['-batch', '-'], { input: linesOf(names.map((name) => `netns add ${name}`)) })
}

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
  return await runChecked('nsenter', [`--net=${namespacePath(namespace)}`, '--', program, ...args], { input })
}

function linesOf(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('')
}
