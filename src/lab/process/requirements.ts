import { accessSync, constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../linux/run.ts'
import { NamespacesRefusedError } from '../refusal.ts'
import { namespaceOptions } from './namespaces.ts'

/** What runs a lab, and the packages of Debian that have it, which are called the same almost everywhere. */
const PROGRAMS = { unshare: 'util-linux', nsenter: 'util-linux', mount: 'mount', ip: 'iproute2', nft: 'nftables' }
const PROGRAMS_OF_USER = { newuidmap: 'uidmap', newgidmap: 'uidmap' }
/** Where programs of an administrator are, which an ordinary user's PATH may leave out. */
const ADMINISTRATION = ['/usr/sbin', '/sbin']
/** All ids of an ordinary system, up to "nobody". */
const IDS_MIN = 65_536

/** Who wants a lab, and with which PATH. */
export type Requester = { readonly uid: number; readonly userName: string; readonly path: string }

/**
 * Says what this machine lacks for a lab of this user, with the remedy.
 *
 * @throws Error
 */
export async function requireLab({ uid, userName, path }: Requester): Promise<void> {
  const isRoot = uid === 0
  const programs = Object.entries({ ...PROGRAMS, ...(isRoot ? {} : PROGRAMS_OF_USER) })
  const directories = [...path.split(':'), ...ADMINISTRATION]
  const missing = programs.filter(([program]) => !isInstalled(program, directories))
  if (missing.length > 0) {
    const names = missing.map(([program]) => `"${program}"`).join(', ')
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ')
    throw new Error(`A lab needs ${names}, not found on this machine; as root, run "apt-get install ${packages}"`)
  }
  if (!isRoot) {
    for (const file of ['/etc/subuid', '/etc/subgid']) requireIds(file, uid, userName)
  }
  const { exitCode, stderr } = await runProgram('unshare', [...namespaceOptions(isRoot), 'true'])
  if (exitCode !== 0) throw new NamespacesRefusedError(stderr.trim())
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
