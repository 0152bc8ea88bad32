// The shell around a lab: it makes the namespaces, and removes what is left outside of them, whoever is killed.

import { dirname, relative } from 'node:path'
import type { LabDirectory } from './lab-directory.ts'

/** Where the lab process finds the directory that is seen from outside. */
export const OUTSIDE_DIRECTORY = '/run/truepeer/outside'
/** A pipe in the directory: it ends when the shell outside does. */
export const LIFELINE = 'lifeline'

/**
 * No `--net`: the API of the lab is for programs of this machine, so its port is opened here. All hosts have network
 * namespaces of their own.
 */
const NAMESPACES = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
const IN_OWN_USER_NAMESPACE = ['--user', '--map-root-user', '--map-auto', ...NAMESPACES]

/** The options for unshare(1) that make the namespaces of a lab. */
export function namespaceOptions(isRoot: boolean): readonly string[] {
  return isRoot ? NAMESPACES : IN_OWN_USER_NAMESPACE
}

/**
 * In both shells $1 is a directory that stays, and $2 the path of the lab's own below it. Whoever is being killed may put
 * another file there in the meantime.
 */
const REMOVE = 'while [ -e "$2" ]; do rm -rf "$2"; done; rmdir -p "$(dirname "$2")" 2>/dev/null'

/**
 * Waits outside for the lab to end, and removes its directory then. It has the lifeline open, and nobody else has: the
 * lab ends by itself when this shell is killed. What is killed inside ends the lab, so that this shell goes on.
 */
const OUTSIDE = [
  // Files that machines are given are for all of their users, whatever the umask of this one.
  'umask 022',
  'cd "$1" || exit 1',
  `mkfifo "$2/${LIFELINE}" && exec 4<>"$2/${LIFELINE}" || exit 1`,
  'base=$1 directory=$2; shift 2',
  '"$@" 4<&-; status=$?',
  'set -- "$base" "$directory"',
  REMOVE,
  'exit $status',
].join('\n')

/**
 * The first process inside: it reaps what others leave behind, and ends with the lab process. Its working directory is
 * one of the machine's, which stays in sight below the mounts. The /proc of the machine, mounted until then, says its
 * process id there. Then /run is the lab's own: names of ip-netns(8), and all state. Without -n mount(8) would make notes
 * in the machine's /run until then.
 */
const INSIDE = [
  'cd "$1" || exit 1',
  'read -r stat </proc/self/stat && echo "$stat" >"$2/init" || exit 1',
  'mount -n -t proc proc /proc || exit 1',
  'mkdir "$2/run" && mount -n -t tmpfs -o mode=0755 tmpfs "$1/$2/run" || exit 1',
  `mkdir -p "$2/run/\${3#/run/}" && mount -n --bind "$1/$2" "$1/$2/run/\${3#/run/}" || exit 1`,
  'mount -n --move "$1/$2/run" /run || exit 1',
  'base=$1 directory=$2 PATH=$4:$PATH:/usr/sbin:/sbin; shift 4',
  '"$@"; status=$?',
  'set -- "$base" "$directory"',
  REMOVE,
  'exit $status',
].join('\n')

/** The arguments of sh(1) that run a command as a lab: in namespaces of its own, with its directory, and with this node. */
export function labCommand(directory: LabDirectory, isRoot: boolean, command: readonly string[]): readonly string[] {
  const place = [directory.base, relative(directory.base, directory.path)]
  return [
    ...['-c', OUTSIDE, 'truepeer-lab', ...place],
    ...['unshare', ...namespaceOptions(isRoot)],
    ...['sh', '-c', INSIDE, 'truepeer-lab', ...place, OUTSIDE_DIRECTORY, dirname(process.execPath)],
    ...command,
  ]
}
