import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** No file that people write is longer; a device such as /dev/zero never ends. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
/** S_IRGRP and S_IROTH (inode(7)). */
const READABLE_BY_OTHERS = 0o044

/** A text, and whether others than its owner may read the file that it stands in. */
export type OwnedText = { readonly text: string; readonly isReadableByOthers: boolean }

/** As {@link readTextFile}; a pipe or a device counts as its owner's alone. */
export function readOwnedTextFile(path: string): OwnedText {
  const fd = openSync(path, 'r')
  try {
    const stat = fstatSync(fd)
    return { text: readText(fd), isReadableByOthers: stat.isFile() && (stat.mode & READABLE_BY_OTHERS) !== 0 }
  } finally {
    closeSync(fd)
  }
}

/**
 * Reads a text that somebody has named: a file, a pipe, or whatever else has an end within 64 MiB.
 *
 * @throws Error of open(2) or read(2), or when there is no such end
 */
export function readTextFile(path: string): string {
  const fd = openSync(path, 'r')
  try {
    return readText(fd)
  } finally {
    closeSync(fd)
  }
}

function readText(fd: number): string {
  const chunks: Buffer[] = []
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const count = readSync(fd, chunk)
    if (count === 0) return Buffer.concat(chunks).toString('utf8')
    chunks.push(chunk.subarray(0, count))
    length += count
    if (length > TEXT_BYTES_MAX) throw new Error(`it is longer than ${TEXT_BYTES_MAX / 1024 / 1024} MiB`)
  }
}
