import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { Endpoint, Protocol } from '../address/endpoint.ts'
import { listenersAt } from './socket-table.ts'

/** A port of TCP, or one of UDP. */
type SharedPort = { readonly endpoint: Endpoint; readonly protocol: Protocol }

/** Another process that listens on a port of this one's (SO_REUSEPORT). */
export type PortSharer = SharedPort & {
  /** undefined: this process may not see whose it is. */
  readonly pid: number | undefined
  readonly program: string | undefined
}

/** Looks for another process behind each of these ports. @throws SystemCallError */
export function portSharers(ports: readonly SharedPort[]): PortSharer[] {
  const listening = ports.map(({ endpoint, protocol }) => {
    return { endpoint, protocol, inodes: listenersAt(endpoint, protocol).map(({ inode }) => inode) }
  })
  const all = new Set(listening.flatMap(({ inodes }) => inodes))
  const own = heldBy('self', all)
  const foreign = listening.flatMap(({ endpoint, protocol, inodes }) => {
    const inode = inodes.find((one) => !own.has(one))
    return inode === undefined ? [] : [{ endpoint, protocol, inode }]
  })
  if (foreign.length === 0) return []
  const owners = ownersOf(new Set(foreign.map(({ inode }) => inode)))
  return foreign.map(({ endpoint, protocol, inode }) => {
    const pid = owners.get(inode)
    return { endpoint, protocol, pid, program: pid === undefined ? undefined : programOf(pid) }
  })
}

function ownersOf(inodes: ReadonlySet<number>): ReadonlyMap<number, number> {
  const owners = new Map<number, number>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const inode of heldBy(pid, inodes)) owners.set(inode, Number(pid))
    if (owners.size === inodes.size) break
  }
  return owners
}

/**
 * Those of the sockets that a process has open; none where it has ended or is somebody else's. Looks no further once it
 * has found all: a process has a descriptor for each of its connections, and listened before it had any.
 */
function heldBy(pid: string, inodes: ReadonlySet<number>): Set<number> {
  const held = new Set<number>()
  if (inodes.size === 0) return held
  try {
    const folder = `/proc/${pid}/fd`
    for (const fd of readdirSync(folder)) {
      const inode = Number(/^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1])
      if (inodes.has(inode)) held.add(inode)
      if (held.size === inodes.size) break
    }
  } catch {
    return held
  }
  return held
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
