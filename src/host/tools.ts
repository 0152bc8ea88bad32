import { type RunOptions, type RunResult, runProgram } from '../linux/run.ts'

/** The programs that set a host up, by the Debian package that brings each. */
const PACKAGES = {
  ip: 'iproute2',
  'ip6tables-save': 'iptables',
  'iptables-save': 'iptables',
  nft: 'nftables',
  ss: 'iproute2',
} as const
/** In messages; the rules of a firewall are long. */
const COMMAND_CHARACTERS_MAX = 120

/** Something an operator asked for that cannot be done on this host; the message ends with the remedy. */
export class HostError extends Error {
  override readonly name = 'HostError'
}

/**
 * Runs a program of the host to its end, whatever its exit code.
 *
 * @throws HostError naming the Debian package when it is not installed
 */
export async function runTool(
  tool: keyof typeof PACKAGES,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  // An ordinary user's PATH on Debian leaves out /usr/sbin, where nft lives.
  for (const program of [tool, `/usr/sbin/${tool}`]) {
    const result = await runProgram(program, args, options).catch(rethrowUnlessMissing)
    if (result !== undefined) return result
  }
  throw new HostError(`This needs the program "${tool}"; install the Debian package ${PACKAGES[tool]}`)
}

/**
 * As {@link runTool}, but an exit code other than 0 is an error; returns the standard output.
 *
 * @throws HostError with what the program said, and the remedy where it said that it was not permitted
 */
export async function runToolChecked(
  tool: keyof typeof PACKAGES,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { exitCode, signal, stdout, stderr } = await runTool(tool, args, options)
  if (exitCode === 0) return stdout
  const said = (stderr || stdout).trim().replaceAll('\n', '; ')
  const remedy = isNotPermitted(said) ? '; run this as root or with CAP_NET_ADMIN' : ''
  const command = [tool, ...args].join(' ').slice(0, COMMAND_CHARACTERS_MAX)
  throw new HostError(`"${command}" failed (${signal ?? exitCode}): ${said}${remedy}`)
}

/** Reports whether a program said that it lacks a privilege. */
export function isNotPermitted(text: string): boolean {
  return /not permitted|must be root/i.test(text)
}

function rethrowUnlessMissing(error: unknown): undefined {
  if (error instanceof Error && error.message.includes('cannot be started')) return undefined
  throw error
}
