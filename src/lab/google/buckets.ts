import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET_NAME = /^[a-z0-9](?:[a-z0-9._-]{1,61})[a-z0-9]$/
const OBJECT_NAME_BYTES_MAX = 1024
/** More objects of a bucket are not listed. */
const LISTED_MAX = 1_000

/** An object that is open for reading. */
export type OpenObject = ObjectFacts & { readonly file: FileHandle }

/** What is known of an object without its bytes. */
export type ObjectFacts = {
  readonly bucket: string
  readonly name: string
  readonly size: number
  readonly modified: Date
  /** In base64. */
  readonly md5: string
}

/** Buckets and their objects: folders with files, of which the last that has an object counts. */
export class Buckets {
  readonly #folders: readonly string[]

  /** @param folders each holds `BUCKET/OBJECT`, and may change at any time */
  constructor(folders: readonly string[]) {
    this.#folders = [...folders].reverse()
  }

  /** Whether there is a bucket of this name. */
  async has(bucket: string): Promise<boolean> {
    if (!BUCKET_NAME.test(bucket)) return false
    const found = await Promise.all(this.#folders.map((folder) => isDirectory(join(folder, bucket))))
    return found.includes(true)
  }

  /** Opens an object; who gets it closes the file. undefined: there is none. */
  async open(bucket: string, name: string): Promise<OpenObject | undefined> {
    if (!BUCKET_NAME.test(bucket) || !isObjectName(name)) return undefined
    for (const folder of this.#folders) {
      const file = await openFile(join(folder, bucket, name))
      if (file === undefined) continue
      try {
        const { size, mtime } = await file.stat()
        return { bucket, name, size, modified: mtime, md5: await md5Of(file), file }
      } catch (error) {
        await file.close()
        throw error
      }
    }
    return undefined
  }

  /** The names in a bucket that begin with `prefix`, in order; at most 1,000. */
  async list(bucket: string, prefix: string): Promise<readonly string[]> {
    if (!BUCKET_NAME.test(bucket)) return []
    const lists = await Promise.all(this.#folders.map((folder) => filesBelow(join(folder, bucket))))
    const names = [...new Set(lists.flat())].filter((name) => name.startsWith(prefix) && isObjectName(name))
    return names.sort().slice(0, LISTED_MAX)
  }
}

/** Names are paths below the folder of a bucket, and lead nowhere else. */
function isObjectName(name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > OBJECT_NAME_BYTES_MAX || name.includes('\0')) return false
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  // What is no file, such as a FIFO, is not even opened: that might never end.
  if (!(await isFile(path))) return undefined
  return await open(path).catch(() => undefined)
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const files = await Promise.all(names.map((name) => isFile(join(folder, name))))
  return names.filter((_, index) => files[index])
}

async function md5Of(file: FileHandle): Promise<string> {
  const hash = createHash('md5')
  for await (const chunk of file.createReadStream({ autoClose: false, start: 0 })) hash.update(chunk as Buffer)
  return hash.digest('base64')
}
