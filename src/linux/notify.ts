import { endianness } from 'node:os'
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts'
import { errnoName } from './errno.ts'
import { native } from './native.ts'

const AF_UNIX = 1
/** sizeof(sun_path), unix(7) */
const PATH_BYTES_MAX = 108
const FAMILY_BYTES = 2

/** What a service may tell its manager (sd_notify(3)); the times are of CLOCK_MONOTONIC. */
export type ServiceState = 'ready' | 'reloading' | 'stopping' | 'watchdog'

const MESSAGES: Readonly<Record<ServiceState, () => string>> = {
  ready: () => 'READY=1',
  // A manager that reloads by signal waits for the READY=1 after this very moment (systemd.service(5), notify-reload).
  reloading: () => `RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`,
  stopping: () => 'STOPPING=1',
  watchdog: () => 'WATCHDOG=1',
}

/**
 * Tells the service manager how this service is doing (sd_notify(3)).
 *
 * @param path the value of NOTIFY_SOCKET: an absolute path, or "@" and a name in the abstract namespace (unix(7))
 * @returns undefined, or the name of the error: a service goes on without its manager
 */
export function notifyServiceManager(path: string, state: ServiceState): string | undefined {
  const name = Buffer.from(path)
  if ((!path.startsWith('/') && !path.startsWith('@')) || name.length < 2) return 'EAFNOSUPPORT'
  // The kernel needs no zero behind a path that fills sun_path.
  if (name.length > PATH_BYTES_MAX) return 'ENAMETOOLONG'
  const address = new Uint8Array(FAMILY_BYTES + name.length)
  address[endianness() === 'LE' ? 0 : 1] = AF_UNIX
  address.set(name, FAMILY_BYTES)
  if (path.startsWith('@')) address[FAMILY_BYTES] = 0
  const fd = native.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return errnoName(fd)
  const message = Buffer.from(MESSAGES[state]())
  let result = native.connect(fd, address, 0, address.length)
  if (result >= 0) result = native.send(fd, message, 0, message.length, MSG_DONTWAIT | MSG_NOSIGNAL)
  native.close(fd)
  return result < 0 ? errnoName(result) : undefined
}
