import { inNamespaces } from '../enter-namespaces.ts'
import { withoutPowers } from '../without-powers.ts'

/** What a program inside is given of this process, instead of its environment. */
export type Entering = {
  readonly initPid: number
  readonly isRoot: boolean
  /** Arguments of nsenter(1), from the lab's namespaces to those of the host. */
  readonly enter: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Where to start, if the host has this directory. */
  readonly directory: string
}

/** $1 is the directory to start in. */
const THERE = 'cd "$1" 2>/dev/null || cd; shift; exec "$@"'

/**
 * The command that runs another one on a host of a lab: from here into the namespaces of the lab, and from there into
 * those of the host. The environment is that of somebody who has just logged in there.
 */
export function enterCommand(
  { initPid, isRoot, enter, environment, directory }: Entering,
  command: readonly string[],
): readonly string[] {
  const user = isRoot ? [] : ['--user']
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const there = [...withoutPowers, 'env', '-i', ...variables, 'sh', '-c', THERE, 'sh', directory, ...command]
  return inNamespaces([`--target=${initPid}`, ...user, '--mount', '--pid'], inNamespaces(enter, there))
}
