import { readFileSync } from 'node:fs'

/** Bit numbers of capabilities(7). */
export const CAP_NET_BIND_SERVICE = 10
export const CAP_NET_ADMIN = 12
export const CAP_SYS_ADMIN = 21
export const CAP_SYS_RESOURCE = 24

/** Reports whether a capability is in the effective set of this process (proc_pid_status(5), CapEff). */
export function hasCapability(bit: number): boolean {
  return isCapabilitySet(readFileSync('/proc/self/status', 'utf8'), bit)
}

/** Reads one bit of the line CapEff in the text of /proc/PID/status. */
export function isCapabilitySet(status: string, bit: number): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  return ((BigInt(`0x${mask}`) >> BigInt(bit)) & 1n) === 1n
}
