import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A process with a network of its own, as containers have it. */
export type NamespaceOwner = { readonly pid: number; readonly program: string }

/** TCP_LISTEN, as /proc/net/tcp prints it. */
const LISTEN = '0A'

/**
 * Looks for a TCP listener on `port` in the network namespaces of other processes (network_namespaces(7)).
 *
 * @returns one process of the first namespace that has one; only root sees the namespaces of other users
 */
export function listenerElsewhere(port: number): NamespaceOwner | undefined {
  const seen = new Set([namespaceOf('self')])
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const namespace = namespaceOf(pid)
    if (namespace === undefined || seen.has(namespace)) continue
    seen.add(namespace)
    if (['tcp', 'tcp6'].some((file) => listensIn(readText(`/proc/${pid}/net/${file}`), port))) {
      return { pid: Number(pid), program: readText(`/proc/${pid}/comm`).trim() }
    }
  }
  return undefined
}

function listensIn(table: string, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').some((line) => {
    const [, address, , state] = line.trim().split(/\s+/)
    return state === LISTEN && address.endsWith(local)
  })
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return undefined
  }
}

/** Empty where it cannot be read: the process may have ended. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
