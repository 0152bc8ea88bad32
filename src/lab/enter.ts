import { closeSync, openSync } from 'node:fs'
import { moveToNetworkNamespace } from '../linux/namespace.ts'

/**
 * Runs `task` with the calling thread inside the network namespace at `namespacePath`, and returns its result.
 *
 * `task` must be synchronous: a socket belongs to the namespace in which it was opened, so everything that
 * `task` leaves for a later turn of the event loop happens outside. The thread is back when this returns or throws.
 */
export function runInNamespace<T>(namespacePath: string, task: () => T): T {
  // thread-self, not self: in a worker thread the latter names the main thread's namespace.
  const outside = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const inside = openSync(namespacePath, 'r')
    try {
      moveToNetworkNamespace(inside)
      try {
        return task()
      } finally {
        moveToNetworkNamespace(outside)
      }
    } finally {
      closeSync(inside)
    }
  } finally {
    closeSync(outside)
  }
}
