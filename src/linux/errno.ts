import { constants } from 'node:os'

const { errno } = constants

/** Negated errno values, as the addon returns them (errno(3)). */
export const EACCES = -errno.EACCES
export const EAGAIN = -errno.EAGAIN
export const EFAULT = -errno.EFAULT
export const EINTR = -errno.EINTR
export const EINVAL = -errno.EINVAL
export const EIO = -errno.EIO
export const EOPNOTSUPP = -errno.EOPNOTSUPP
export const EINPROGRESS = -errno.EINPROGRESS
export const EADDRINUSE = -errno.EADDRINUSE
export const EADDRNOTAVAIL = -errno.EADDRNOTAVAIL
export const ECONNREFUSED = -errno.ECONNREFUSED
export const EMFILE = -errno.EMFILE
export const EMSGSIZE = -errno.EMSGSIZE
export const ENFILE = -errno.ENFILE
export const ENOBUFS = -errno.ENOBUFS
export const ENOMEM = -errno.ENOMEM
export const EPROTO = -errno.EPROTO
export const ETIMEDOUT = -errno.ETIMEDOUT

const NAMES = new Map(Object.entries(errno).map(([name, value]) => [-value, name]))

/** The name of a negated errno, such as "ECONNREFUSED"; "errno 123" where the platform has no name. */
export function errnoName(result: number): string {
  return NAMES.get(result) ?? `errno ${-result}`
}

/** Reports whether the kernel refused because descriptors or memory ran out: worth another try later. */
export function isOutOfResources(result: number): boolean {
  return isOutOfDescriptors(result) || result === ENOBUFS || result === ENOMEM
}

/** Reports whether the kernel refused because the process, or the host, has as many open files as it may have. */
export function isOutOfDescriptors(result: number): boolean {
  return result === EMFILE || result === ENFILE
}

/** A kernel call that failed: names the call, the errno and, where one is known, the remedy. */
export class SystemCallError extends Error {
  readonly code: string
  /** @param result what the addon returned: a negated errno */
  constructor(call: string, result: number, remedy = '') {
    const code = errnoName(result)
    super(`${call}: ${code}${remedy === '' ? '' : `; ${remedy}`}`)
    this.name = 'SystemCallError'
    this.code = code
  }
}

/** Returns `result`, or throws a {@link SystemCallError} when it is a negated errno. */
export function checked(call: string, result: number, remedy = ''): number {
  if (result < 0) throw new SystemCallError(call, result, remedy)
  return result
}
