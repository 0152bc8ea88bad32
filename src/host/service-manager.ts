// What a service manager hands to the process it starts (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3),
// systemd.exec(5) "Credentials").
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The name of the credential that holds the token for the controller. */
export const TOKEN_CREDENTIAL = 'controller-token'

/** A socket that the service manager opened: its descriptor, and its name in the socket unit ("" without one). */
export type PassedSocket = { readonly fd: number; readonly name: string }

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>

/** SD_LISTEN_FDS_START: behind the three standard streams. */
const FIRST_FD = 3
const SOCKETS_MAX = 4_096

/**
 * The listening sockets that were passed to the process `pid`, in the order of the socket unit.
 *
 * The descriptors are the process's own: open, and to be closed by it. They block unless the unit says NonBlocking=yes.
 * Empty when there are none, or when they are for another process (an ancestor that left its environment behind).
 *
 * @throws Error when LISTEN_FDS is no number: what was passed is unknown then
 */
export function passedSockets(environment: Environment, pid: number): PassedSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(pid)) return []
  const count = /^\d{1,5}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : Number.NaN
  if (!(count <= SOCKETS_MAX)) {
    throw new Error(`LISTEN_FDS is ${JSON.stringify(LISTEN_FDS)}; it must be the number of sockets passed`)
  }
  const names = LISTEN_FDNAMES === undefined ? [] : LISTEN_FDNAMES.split(':')
  return Array.from({ length: count }, (_, index) => ({ fd: FIRST_FD + index, name: names[index] ?? '' }))
}

/** The file of a credential that was passed to the process; undefined: there is none. */
export function credentialFile(environment: Environment, name: string): string | undefined {
  const { CREDENTIALS_DIRECTORY } = environment
  if (CREDENTIALS_DIRECTORY === undefined || CREDENTIALS_DIRECTORY === '') return undefined
  const path = join(CREDENTIALS_DIRECTORY, name)
  return existsSync(path) ? path : undefined
}

/** Where the service manager wants to hear from the process; undefined: nowhere. */
export function notifySocket(environment: Environment): string | undefined {
  const { NOTIFY_SOCKET } = environment
  return NOTIFY_SOCKET === '' ? undefined : NOTIFY_SOCKET
}

/**
 * How often to send "watchdog", in milliseconds: half of what the service manager waits; undefined: not at all.
 *
 * @throws Error when WATCHDOG_USEC is no number
 */
export function watchdogIntervalMs(environment: Environment, pid: number): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment
  if (WATCHDOG_USEC === undefined || (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid))) return undefined
  const limitUsec = /^\d{1,18}$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) : 0
  if (limitUsec === 0) throw new Error(`WATCHDOG_USEC is ${JSON.stringify(WATCHDOG_USEC)}; it must be a time`)
  return Math.max(1, Math.floor(limitUsec / 2_000))
}
