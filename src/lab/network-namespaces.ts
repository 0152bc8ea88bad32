import { makeDirectory } from '../linux/make-directory.ts'
import { runChecked } from '../linux/run.ts'

/** Where ip-netns(8) keeps the names of network namespaces. */
const NAMESPACES_DIRECTORY = '/run/netns'

/**
 * As `ip netns add` does it, one call at a time, but for the way back to the network that it came from, which is not open
 * to who is root of a user namespace. $1 is the directory of the names, which are the further arguments.
 */
const ADD = `
cd "$1"
mount --make-rshared . 2>/dev/null || { mount --rbind . . && mount --make-rshared "$1"; }
cd "$1"
shift
set -C
for name; do
  : >"$name"
  unshare --net="$name" true || { rm "$name"; exit 1; }
done
`

/** The path of a namespace that ip-netns(8) has a name for. */
export function namespacePath(namespace: string): string {
  return `${NAMESPACES_DIRECTORY}/${namespace}`
}

/**
 * The command that runs a program with the network of the namespace at `path`, as the program's own process: nsenter(1)
 * executes it in its own place. `ip netns exec` does as well, but mounts /sys anew, which a container may forbid.
 */
export function withNetworkOf(
  path: string,
  program: string,
  args: readonly string[],
): readonly [program: string, args: readonly string[]] {
  return ['nsenter', [`--net=${path}`, '--', program, ...args]]
}

/** Makes network namespaces, with nothing in them. @throws ProgramError; the first of a name that exists ends it */
export async function addNamespaces(names: readonly string[]): Promise<void> {
  makeDirectory(NAMESPACES_DIRECTORY, 0o755)
  await runChecked('flock', [NAMESPACES_DIRECTORY, 'sh', '-ec', ADD, 'sh', NAMESPACES_DIRECTORY, ...names])
}
