import { readlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { runInForeground, runProgram } from '../linux/run.ts'
import { NamespacesRefusedError } from './refusal.ts'

const OWN_NETWORK = '/proc/self/ns/net'
const OUTSIDE_NETWORK_FLAG = '--outside-network='

// What the inner program finds: a network with lo and nothing else, /proc of its own processes (--mount-proc), and
// an empty /run for ip-netns(8). An ordinary user's PATH on Debian leaves out /usr/sbin, where ip lives.
const SET_UP = 'PATH=$PATH:/usr/sbin:/sbin; mount -t tmpfs -o mode=0755 tmpfs /run && ip link set lo up || exit 1'
// $1 is the directory of this node: what the script starts as "node" is the same. The shell stays as PID 1 and reaps
// what its descendants leave behind, which node would not.
const RUN = 'PATH=$1:$PATH; shift; "$@"; exit $?'
const NAMESPACES = ['--mount', '--propagation', 'private', '--net', '--pid', '--fork', '--kill-child', '--mount-proc']
const IN_OWN_USER_NAMESPACE = ['--user', '--map-root-user', ...NAMESPACES]

/**
 * Reports whether this process was started by {@link runInPrivateNamespaces}, given the arguments of the process.
 *
 * @throws Error when the arguments say so and it is not true
 */
export function isInPrivateNamespaces(args: readonly string[]): boolean {
  const flag = args.find((arg) => arg.startsWith(OUTSIDE_NETWORK_FLAG))
  if (flag === undefined) return false
  if (flag === OUTSIDE_NETWORK_FLAG + readlinkSync(OWN_NETWORK)) {
    throw new Error(`"${OUTSIDE_NETWORK_FLAG}" is for internal use: this is the network outside`)
  }
  return true
}

/**
 * Runs `script` with this node in mount, network and PID namespaces of its own, with this process's output as its
 * output, and returns its exit code (128 and more: a signal ended it, as in a shell). A last argument is added to
 * `args`, by which {@link isInPrivateNamespaces} knows; so a script can run itself.
 *
 * Root stays root; an ordinary user becomes root of a user namespace, in which nothing of the machine is his.
 * When this process ends, however it does, everything inside is killed and the namespaces are gone with it.
 *
 * @throws NamespacesRefusedError
 */
export async function runInPrivateNamespaces(script: string, args: readonly string[] = []): Promise<number> {
  const namespaces = await allowedNamespaces()
  const inner = [process.execPath, script, ...args, OUTSIDE_NETWORK_FLAG + readlinkSync(OWN_NETWORK)]
  const { exitCode, signal } = await runInForeground('setpriv', [
    // Ends unshare when this process is killed; --kill-child then ends PID 1 inside, and that ends all the rest.
    '--pdeathsig=KILL',
    'unshare',
    ...namespaces,
    ...['sh', '-c', `${SET_UP}; ${RUN}`, 'sh', dirname(process.execPath), ...inner],
  ])
  if (exitCode !== undefined) return exitCode
  return signal === 'SIGKILL' ? 137 : 143
}

/** The options for unshare(1) with which the kernel lets this user have namespaces. */
async function allowedNamespaces(): Promise<readonly string[]> {
  // Root without a user namespace first: inside one, it could not read what other users keep for themselves.
  const choices = process.getuid?.() === 0 ? [NAMESPACES, IN_OWN_USER_NAMESPACE] : [IN_OWN_USER_NAMESPACE]
  let refusal = ''
  for (const choice of choices) {
    const { exitCode, stderr } = await runProgram('unshare', [...choice, 'sh', '-c', SET_UP])
    if (exitCode === 0) return choice
    refusal = stderr.trim()
  }
  throw new NamespacesRefusedError(refusal)
}
