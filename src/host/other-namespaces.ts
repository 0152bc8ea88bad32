import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Protocol } from '../address/endpoint.ts'

/** A process with a network of its own, as containers have it. */
export type NamespaceOwner = { readonly pid: number; readonly program: string }

/** The state of a socket that takes newcomers, as /proc/net/tcp and /proc/net/udp print it: TCP_LISTEN, TCP_CLOSE. */
const LISTENING = { tcp: '0A', udp: '07' } as const

/**
 * Looks for a listener on `port` in the network namespaces of other processes (network_namespaces(7)).
 *
 * @returns one process of the first namespace that has one; only root sees the namespaces of other users
 */
export function listenerElsewhere(port: number, protocol: Protocol): NamespaceOwner | undefined {
  const seen = new Set([namespaceOf('self')])
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const namespace = namespaceOf(pid)
    if (namespace === undefined || seen.has(namespace)) continue
    seen.add(namespace)
    const tables = ['', '6'].map((suffix) => readText(`/proc/${pid}/net/${protocol}${suffix}`))
    if (tables.some((table) => listensIn(table, port, LISTENING[protocol]))) {
      return { pid: Number(pid), program: readText(`/proc/${pid}/comm`).trim() }
    }
  }
  return undefined
}

function listensIn(table: string, port: number, listening: string): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').some((line) => {
    const [, address, , state] = line.trim().split(/\s+/)
    return state === listening && address.endsWith(local)
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
