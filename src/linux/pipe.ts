import { SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from './constants.ts'
import { native } from './native.ts'

/** Capacities to ask for, in bytes: the larger, the fewer calls per megabyte. The last is the kernel's default. */
const CAPACITIES = [1024 * 1024, 256 * 1024, 64 * 1024]

/** A pipe(7) through which bytes go from one socket to another without entering this process. */
export type Pipe = { readonly readFd: number; readonly writeFd: number; readonly capacity: number }

const ends = new Int32Array(2)

/**
 * Opens a pipe, as large as the kernel grants.
 *
 * undefined when there is none to be had: out of descriptors, or this user has as many pipe pages as it may
 * (fs.pipe-user-pages-soft, pipe(7)) and would get one of a page or two.
 */
export function openPipe(): Pipe | undefined {
  if (native.pipe(ends) < 0) return undefined
  const [readFd, writeFd] = ends
  for (const wanted of CAPACITIES) {
    const capacity = native.setPipeSize(writeFd, wanted)
    if (capacity >= wanted) return { readFd, writeFd, capacity }
  }
  native.close(readFd)
  native.close(writeFd)
  return undefined
}

export function closePipe(pipe: Pipe): void {
  native.close(pipe.readFd)
  native.close(pipe.writeFd)
}

/**
 * Moves up to `length` bytes from the descriptor `from` to `to`, one of which is a pipe's end (splice(2)).
 *
 * @returns the count, 0 at the end of `from`, or a negated errno. EAGAIN does not say which of the two is not ready.
 */
export function splice(from: number, to: number, length: number): number {
  return native.splice(from, to, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
}
