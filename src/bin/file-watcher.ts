import { watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { readWatchedTextFile } from '../linux/text-file.ts'

/** How long a folder has to be quiet before its files are compared: editors and package managers write in steps. */
const QUIET_MS = 100
/** How often they are compared anyway: a link further up, or a network file system, tells nobody. */
const POLL_MS = 2_000

/**
 * Notices when the content of files changes, however it is replaced: written over, renamed into place, or behind a link
 * that is switched, as with a ConfigMap of Kubernetes or the certificates of certbot. Whether other users may
 * read a file counts, too: a key that they may is refused until that has changed.
 */
export class FileWatcher {
  readonly #paths: readonly string[]
  /** With a letter in front for who may read it; of a file that cannot be read: undefined. */
  #contents: readonly (string | undefined)[]
  #quiet: NodeJS.Timeout | undefined

  /** Remembers the content as it is now. */
  constructor(paths: readonly string[]) {
    this.#paths = paths
    this.#contents = this.#read()
  }

  /** Calls `onChange` from now on, also for what has changed since the constructor; never keeps the process alive. */
  start(onChange: () => void): void {
    const compare = (): void => {
      const contents = this.#read()
      if (contents.every((content, index) => content === this.#contents[index])) return
      this.#contents = contents
      onChange()
    }
    const compareWhenQuiet = (): void => {
      clearTimeout(this.#quiet)
      this.#quiet = setTimeout(compare, QUIET_MS).unref()
    }
    for (const folder of new Set(this.#paths.map((path) => dirname(resolve(path))))) {
      try {
        // Without inotify, or when the folder goes, the interval is left.
        watch(folder, { persistent: false }, compareWhenQuiet).on('error', () => {})
      } catch {
        // As above.
      }
    }
    setInterval(() => {
      // A file that is being written is not looked at before it is complete.
      if (this.#contents.some((content, index) => content !== this.#readOne(index))) compareWhenQuiet()
    }, POLL_MS).unref()
    compare()
  }

  #read(): readonly (string | undefined)[] {
    return this.#paths.map((_, index) => this.#readOne(index))
  }

  #readOne(index: number): string | undefined {
    try {
      const { text, isReadableByOthers } = readWatchedTextFile(this.#paths[index])
      return (isReadableByOthers ? 'a' : 'o') + text
    } catch {
      return undefined
    }
  }
}
