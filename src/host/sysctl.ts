import { readFileSync, writeFileSync } from 'node:fs'
import { messageOf } from '../text/error-message.ts'
import { HostError } from './tools.ts'

/** Whether a new process may take over the clients in the queue of one that closes its listener (ip-sysctl, 5.14). */
export const TCP_MIGRATE_REQ = 'net.ipv4.tcp_migrate_req'

function pathOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`
}

/** A kernel setting by its name for sysctl(8); undefined where this kernel does not have it or hides it. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** Changes a kernel setting until the next boot. @throws HostError with the remedy */
export function writeSysctl(name: string, value: string): void {
  try {
    writeFileSync(pathOf(name), value)
  } catch (cause) {
    const reason = messageOf(cause)
    throw new HostError(`"sysctl ${name}=${value}" failed (${reason}); run this as root or with CAP_NET_ADMIN`, {
      cause,
    })
  }
}
