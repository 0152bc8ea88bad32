import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory and those above it that are missing. One that exists already is no error.
 *
 * Not mkdirSync's own `recursive`: it never returns for a path such as /proc/x, whose parent exists, but which still
 * cannot be made (ENOENT).
 *
 * @throws Error of mkdir(2)
 */
export function makeDirectory(path: string, mode: number): void {
  const parent = dirname(path)
  if (parent !== path && !existsSync(parent)) makeDirectory(parent, mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/**
 * As {@link makeDirectory}, for a directory that this process will write to: what is in the way shows now, not at the
 * first write.
 *
 * @throws Error of mkdir(2) or access(2)
 */
export function makeWritableDirectory(path: string, mode: number): void {
  makeDirectory(path, mode)
  accessSync(path, constants.W_OK | constants.X_OK)
}
