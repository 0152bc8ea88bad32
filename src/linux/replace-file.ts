import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** For its owner alone. */
const PRIVATE_MODE = 0o600

/**
 * Puts a text in the place of a file that is there, or is not: {@link replaceFileBy} with a text.
 *
 * @throws Error of the file system
 */
export function replaceFile(path: string, text: string, mode = PRIVATE_MODE): void {
  replaceFileBy(path, (partial) => writeFileSync(partial, text), mode)
}

/**
 * Puts a file in the place of another one, which is there or is not: whoever reads meanwhile, and whoever starts after a
 * crash, finds one of the two, whole.
 *
 * `write` fills a file beside it, which has its mode from the beginning. A symbolic link at `path` is replaced, and what
 * it leads to stays. There has to be one writer at a time.
 *
 * @throws Error of `write` or of the file system: the file is as it was before, and nothing is left beside it; only where
 *   the folder cannot be synchronized, the new file is there
 */
export function replaceFileBy(path: string, write: (partial: string) => void, mode = PRIVATE_MODE): void {
  const partial = `${path}.partial`
  // Made anew: one that a crash has left, or somebody else has put there, may be open to others, or lead elsewhere.
  rmSync(partial, { force: true })
  try {
    closeSync(openSync(partial, 'wx', mode))
    write(partial)
    synchronize(partial)
    renameSync(partial, path)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
  // The new name is on the disk once the folder is (fsync(2)).
  synchronize(dirname(path))
}

/** Waits until a file, or the names in a folder, are on the disk. */
function synchronize(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
