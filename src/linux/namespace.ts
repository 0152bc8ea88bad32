import { CLONE_NEWNET } from './constants.ts'
import { checked } from './errno.ts'
import { native } from './native.ts'

/**
 * Moves the calling thread into the network namespace that `fd` has open (setns(2)).
 *
 * Sockets opened from then on belong to that namespace; those already open keep theirs.
 *
 * @throws SystemCallError, EPERM without CAP_SYS_ADMIN in the namespace's own user namespace
 */
export function moveToNetworkNamespace(fd: number): void {
  checked('setns', native.setns(fd, CLONE_NEWNET), 'entering a network namespace needs CAP_SYS_ADMIN')
}
