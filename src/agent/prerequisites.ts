import { readFileSync } from 'node:fs'
import { errnoName, SystemCallError } from '../linux/errno.ts'
import { close, openStream, setTransparent } from '../linux/socket.ts'

const NONLOCAL_BIND_FILES = ['/proc/sys/net/ipv4/ip_nonlocal_bind', '/proc/sys/net/ipv6/ip_nonlocal_bind']

/**
 * Checks what an agent cannot work without, so that it fails at its start and not with the first client.
 *
 * @throws Error or SystemCallError with the remedy
 */
export function checkPrerequisites(): void {
  checkTransparent()
  for (const path of NONLOCAL_BIND_FILES) checkNonlocalBind(path)
}

/** Both families need the same capability, so one socket answers for both. */
function checkTransparent(): void {
  const fd = openStream(4)
  const result = fd < 0 ? fd : setTransparent(fd, 4)
  if (fd >= 0) close(fd)
  if (result >= 0) return
  throw new SystemCallError(
    "Connecting from the clients' addresses (IP_TRANSPARENT)",
    result,
    errnoName(result) === 'EPERM'
      ? 'run as root or give the process CAP_NET_RAW, such as AmbientCapabilities=CAP_NET_RAW'
      : '',
  )
}

/** With non-local binds allowed for everyone, bind(2) no longer tells this host's addresses from others. */
function checkNonlocalBind(path: string): void {
  const value = readSetting(path)
  if (value === undefined || value === '0') return
  throw new Error(
    `"${path}" is ${value}: headers that name this host's own addresses could not be told from others; set it to 0`,
  )
}

/** undefined where the kernel does not have the setting (IPv6 switched off). */
function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
