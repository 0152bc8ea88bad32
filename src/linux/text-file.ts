import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

/** No file that people write is longer; a device such as /dev/zero never ends. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
/** S_IRGRP and S_IROTH (inode(7)). */
const READABLE_BY_OTHERS = 0o044
/** Any right of S_IRWXG and S_IRWXO. */
const OPEN_TO_OTHERS = 0o077
/** How long a pipe may be silent; it is waited for with the whole process, signals included. */
const SILENCE_MS_MAX = 10_000
const PAUSE_MS = 10

/** A text, and whether other users may read the file that it is in. */
export type OwnedText = { readonly text: string; readonly isReadableByOthers: boolean }

/** How far a text is read. */
type TextLimits = { readonly bytesMax?: number; readonly silenceMsMax?: number }

/** As {@link readTextFile}; a pipe or a device counts as its owner's alone. */
export function readOwnedTextFile(path: string): OwnedText {
  return withFile(path, readOwned)
}

/**
 * As {@link readOwnedTextFile}, for a file that is read again and again while others wait: never a pipe.
 *
 * @throws Error also when it is not a file
 */
export function readWatchedTextFile(path: string): OwnedText {
  return withFile(path, (fd, stat) => {
    if (!stat.isFile()) throw new Error('it is not a file, and only files can be watched')
    return readOwned(fd, stat)
  })
}

function readOwned(fd: number, stat: Stats): OwnedText {
  const isReadableByOthers = stat.isFile() && (stat.mode & READABLE_BY_OTHERS) !== 0
  return { text: readText(fd, stat, {}), isReadableByOthers }
}

/**
 * Reads a text that this program has written for itself: a file of this user, which nobody else may read or change.
 *
 * @throws Error as {@link readTextFile}, or when somebody else may have had it in his hands
 */
export function readPrivateTextFile(path: string, limits: TextLimits = {}): string {
  return withFile(path, (fd, stat) => {
    if (!stat.isFile()) throw new Error('it is not a file; remove it')
    if (stat.uid !== process.geteuid?.()) throw new Error(`it belongs to another user (${stat.uid}); remove it`)
    if ((stat.mode & OPEN_TO_OTHERS) !== 0) throw new Error('other users have rights on it; remove it')
    return readText(fd, stat, limits)
  })
}

/**
 * Reads a text that somebody has named: a file, a pipe, or whatever else has an end within 64 MiB.
 *
 * @throws Error of open(2) or read(2), or when there is no such end
 */
export function readTextFile(path: string, limits: TextLimits = {}): string {
  return withFile(path, (fd, stat) => readText(fd, stat, limits))
}

function withFile<Result>(path: string, read: (fd: number, stat: Stats) => Result): Result {
  // A pipe that nobody writes to would hold up open(2) for ever (fifo(7)).
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return read(fd, fstatSync(fd))
  } finally {
    closeSync(fd)
  }
}

function readText(
  fd: number,
  stat: Stats,
  { bytesMax = TEXT_BYTES_MAX, silenceMsMax = SILENCE_MS_MAX }: TextLimits,
): string {
  const chunks: Buffer[] = []
  let heardMs = performance.now()
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const count = readNow(fd, chunk)
    // Before its first byte, a pipe without a writer looks like one at its end.
    if (count === 0 && !(stat.isFIFO() && length === 0)) return decoded(Buffer.concat(chunks))
    if (count === undefined || count === 0) {
      if (performance.now() - heardMs >= silenceMsMax) {
        throw new Error(`it gave no data within ${silenceMsMax / 1_000} s`)
      }
      pause()
      continue
    }
    heardMs = performance.now()
    chunks.push(chunk.subarray(0, count))
    length += count
    if (length > bytesMax) throw new Error(`it is longer than ${bytesMax / 1024 / 1024} MiB`)
  }
}

/** As its byte order mark says; without one, as UTF-8. YAML 1.2.2, section 5.2, has both, and so have people's editors. */
function decoded(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return bytes.toString('utf16le')
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  return bytes.toString('utf8')
}

/** undefined: nothing has come yet. */
function readNow(fd: number, chunk: Buffer): number | undefined {
  try {
    return readSync(fd, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
}
