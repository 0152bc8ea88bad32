import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { Endpoint } from '../address/endpoint.ts'
import { listenerInodes } from './socket-table.ts'

/** Another process that listens on a port of this one's (SO_REUSEPORT). */
export type PortSharer = {
  readonly endpoint: Endpoint
  /** undefined: this process may not see whose it is. */
  readonly pid: number | undefined
  readonly program: string | undefined
}

/** Looks for another process behind each of these ports. @throws SystemCallError */
export function portSharers(endpoints: readonly Endpoint[]): PortSharer[] {
  const own = inodesOf('self')
  const found = endpoints.flatMap((endpoint) => {
    const inode = listenerInodes(endpoint).find((one) => !own.has(one))
    return inode === undefined ? [] : [{ endpoint, inode }]
  })
  if (found.length === 0) return []
  const owners = ownersOf(new Set(found.map(({ inode }) => inode)))
  return found.map(({ endpoint, inode }) => {
    const pid = owners.get(inode)
    return { endpoint, pid, program: pid === undefined ? undefined : programOf(pid) }
  })
}

function ownersOf(inodes: ReadonlySet<number>): ReadonlyMap<number, number> {
  const owners = new Map<number, number>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const inode of inodesOf(pid)) if (inodes.has(inode)) owners.set(inode, Number(pid))
    if (owners.size === inodes.size) break
  }
  return owners
}

/** The inodes of the sockets of a process; none where it has ended or is somebody else's. */
function inodesOf(pid: string): Set<number> {
  const inodes = new Set<number>()
  try {
    const folder = `/proc/${pid}/fd`
    for (const fd of readdirSync(folder)) {
      const match = /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))
      if (match !== null) inodes.add(Number(match[1]))
    }
  } catch {
    return inodes
  }
  return inodes
}

/** Empty for a descriptor that has been closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function programOf(pid: number): string | undefined {
  try {
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
    // Later versions of Node name their main thread, and with it the process.
    if (name !== 'MainThread') return name
    return basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0])
  } catch {
    return undefined
  }
}
