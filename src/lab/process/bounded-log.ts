import { fstatSync, ftruncateSync } from 'node:fs'

/** It is in the memory of this machine, where /run is. */
const LOG_BYTES_MAX = 64 * 1024 * 1024
const LOOK_MS = 10_000

/** Has the log of a lab, a file that is appended to, begin anew whenever it has become too long. */
export function keepBounded(fd: number, onAnew: (bytes: number) => void): void {
  setInterval(() => {
    const bytes = beginAnew(fd, LOG_BYTES_MAX)
    if (bytes !== undefined) onAnew(bytes)
  }, LOOK_MS).unref()
}

/** Empties a file that has more bytes; returns how many it had. */
export function beginAnew(fd: number, bytesMax: number): number | undefined {
  const { size } = fstatSync(fd)
  if (size <= bytesMax) return undefined
  ftruncateSync(fd)
  return size
}
