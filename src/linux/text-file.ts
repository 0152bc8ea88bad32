import { closeSync, openSync, readSync } from 'node:fs'

/** No file that people write is longer; a device such as /dev/zero never ends. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024

/**
 * Reads a text that somebody has named: a file, a pipe, or whatever else has an end within 64 MiB.
 *
 * @throws Error of open(2) or read(2), or when there is no such end
 */
export function readTextFile(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      const count = readSync(fd, chunk)
      if (count === 0) return Buffer.concat(chunks).toString('utf8')
      chunks.push(chunk.subarray(0, count))
      length += count
      if (length > TEXT_BYTES_MAX) throw new Error(`it is longer than ${TEXT_BYTES_MAX / 1024 / 1024} MiB`)
    }
  } finally {
    closeSync(fd)
  }
}
