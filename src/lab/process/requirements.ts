import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../linux/run.ts'
import { NamespacesRefusedError } from '../refusal.ts'
import { namespaceOptions } from './namespaces.ts'

/** What runs a lab, and the packages of Debian that have it, which are called the same almost everywhere. */
const PROGRAMS = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  flock: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  nft: 'nftables',
  openssl: 'openssl',
  hostname: 'hostname',
}
const PROGRAMS_OF_USER = { newuidmap: 'uidmap', newgidmap: 'uidmap' }
/** Where programs of an administrator are, which an ordinary user's PATH may leave out. */
const ADMINISTRATION = ['/usr/sbin', '/sbin']
/** All ids of an ordinary system, up to "nobody". */
const IDS_MIN = 65_536

/** What is tried of the kernel, and the status by which a shell says that it failed. */
const KERNEL = [
  { status: 91, what: 'virtual links', kernelModule: 'veth', probe: 'ip link add one type veth peer name two' },
  {
    status: 92,
    what: 'address translation',
    kernelModule: 'nft_chain_nat',
    probe: "nft 'table ip try { chain try { type nat hook postrouting priority 0; }; }'",
  },
  {
    status: 93,
    what: 'overlays',
    kernelModule: 'overlay',
    probe: 'cd /tmp && mkdir a b c && mount -n -t overlay -o "lowerdir=a,upperdir=b,workdir=c$1" overlay a',
  },
]
const PROBES = [
  'PATH=$PATH:/usr/sbin:/sbin',
  'mount -n -t tmpfs tmpfs /tmp || exit',
  ...KERNEL.map(({ probe, status }) => `{ ${probe}; } || exit ${status}`),
].join('\n')

/** Who wants a lab, and with which PATH. */
export type Requester = { readonly uid: number; readonly userName: string; readonly path: string }

/**
 * Says what this machine lacks for a lab of this user, with the remedy.
 *
 * @throws Error
 */
export async function requireLab({ uid, userName, path }: Requester): Promise<void> {
  const isRoot = uid === 0
  requirePrograms({ ...PROGRAMS, ...(isRoot ? {} : PROGRAMS_OF_USER) }, [...path.split(':'), ...ADMINISTRATION])
  if (!isRoot) {
    for (const file of ['/etc/subuid', '/etc/subgid']) requireIds(file, uid, userName)
    await requireUserNamespace()
  }
  await requireKernel(isRoot)
}

function requirePrograms(packageOf: Readonly<Record<string, string>>, directories: readonly string[]): void {
  const missing = Object.entries(packageOf).filter(([program]) => !isInstalled(program, directories))
  if (missing.length === 0) return
  const names = missing.map(([program]) => `"${program}"`).join(', ')
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ')
  throw new Error(`A lab needs ${names}, not found on this machine; as root, run "apt-get install ${packages}"`)
}

/** First, and without the ids: one that is to get them and is refused waits without end in unshare(1). */
async function requireUserNamespace(): Promise<void> {
  const { exitCode, stderr } = await runProgram('unshare', ['--user', '--map-root-user', 'true'])
  if (exitCode !== 0) throw new NamespacesRefusedError(stderr.trim())
}

async function requireKernel(isRoot: boolean): Promise<void> {
  if (!existsSync('/proc/sys/net/ipv6')) {
    throw new Error('A lab needs IPv6, which this kernel leaves out; take "ipv6.disable=1" off its command line')
  }
  const options = [...namespaceOptions(isRoot), '--net']
  const { exitCode, stderr } = await runProgram('unshare', [
    ...options,
    ...['sh', '-c', PROBES, 'sh', isRoot ? '' : ',userxattr'],
  ])
  if (exitCode === 0) return
  const part = KERNEL.find(({ status }) => status === exitCode)
  const [said] = stderr.trim().split('\n')
  if (part === undefined) throw new NamespacesRefusedError(said)
  throw new Error(`A lab needs ${part.what} of the kernel (${said}); as root, run "modprobe ${part.kernelModule}"`)
}

/** subuid(5): lines of a name or a number, the first id, and how many. */
function requireIds(file: string, uid: number, userName: string): void {
  const has = readLines(file).some((line) => {
    const [user, , count] = line.split(':')
    return (user === userName || user === `${uid}`) && Number(count) >= IDS_MIN
  })
  if (has) return
  const range = `200000-${200_000 + IDS_MIN - 1}`
  throw new Error(
    `The user "${userName}" has no range of ${IDS_MIN} subordinate ids in "${file}", which the users inside a lab need; ` +
      `as root, run "usermod --add-subuids ${range} --add-subgids ${range} ${userName}"`,
  )
}

function isInstalled(program: string, directories: readonly string[]): boolean {
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}
