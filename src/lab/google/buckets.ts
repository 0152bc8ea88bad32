import type { BigIntStats } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ObjectHash } from './object-hash.ts'
import type { ObjectDescription, Uploads } from './uploads.ts'

/** https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET_NAME = /^[a-z0-9](?:[a-z0-9._-]{1,61})[a-z0-9]$/
const OBJECT_NAME_BYTES_MAX = 1024
/** More objects of a bucket are not listed. */
const LISTED_MAX = 1_000
/** The facts of more files are not kept. */
const KEPT_FACTS_MAX = 10_000

/** An object that is open for reading. */
export type OpenObject = ObjectFacts & { readonly file: FileHandle }

/** What is known of an object without its bytes. */
export type ObjectFacts = ObjectDescription & {
  readonly bucket: string
  readonly name: string
  readonly size: number
  readonly modified: Date
  /** Both in base64. */
  readonly md5: string
  readonly crc32c: string
  readonly generation: string
  readonly metageneration: string
}

type FileFacts = Omit<ObjectFacts, 'bucket' | 'name'>

/** Buckets and their objects: folders with files, of which the last that has an object counts, below what was uploaded. */
export class Buckets {
  readonly #folders: readonly string[]
  readonly #uploads: Uploads
  /** By what tells one state of a file from all others: a large file is read to its end once, not with each request. */
  readonly #facts = new Map<string, Promise<FileFacts>>()

  /** @param folders each holds `BUCKET/OBJECT`, and may change at any time */
  constructor(folders: readonly string[], uploads: Uploads) {
    this.#folders = [...folders].reverse()
    this.#uploads = uploads
  }

  /** Whether there is a bucket of this name. */
  async has(bucket: string): Promise<boolean> {
    if (!isBucketName(bucket)) return false
    if (this.#uploads.buckets.has(bucket)) return true
    const found = await Promise.all(this.#folders.map((folder) => isDirectory(join(folder, bucket))))
    return found.includes(true)
  }

  /** The names of all of them, in order. */
  async names(): Promise<readonly string[]> {
    const lists = await Promise.all(this.#folders.map((folder) => readdir(folder).catch(() => [])))
    const names = [...new Set([...lists.flat(), ...this.#uploads.buckets])]
    const areThere = await Promise.all(names.map((name) => this.has(name)))
    return names.filter((_, index) => areThere[index]).sort()
  }

  /** Opens an object; who gets it closes the file. undefined: there is none. */
  async open(bucket: string, name: string): Promise<OpenObject | undefined> {
    if (!isBucketName(bucket) || !isObjectName(name)) return undefined
    const uploaded = this.#uploads.get(bucket, name)
    if (uploaded !== undefined) return { bucket, name, ...uploaded, file: await open(uploaded.path) }
    if (!isPath(name)) return undefined
    for (const folder of this.#folders) {
      const file = await openFile(join(folder, bucket, name))
      if (file === undefined) continue
      try {
        return { bucket, name, ...(await this.#factsOf(file)), file }
      } catch (error) {
        await file.close()
        throw error
      }
    }
    return undefined
  }

  async #factsOf(file: FileHandle): Promise<FileFacts> {
    const state = await file.stat({ bigint: true })
    const { dev, ino, size, mtimeNs, ctimeNs } = state
    const key = [dev, ino, size, mtimeNs, ctimeNs].join(' ')
    const known = this.#facts.get(key)
    if (known !== undefined) return await known
    const facts = readFacts(file, state)
    this.#facts.set(key, facts)
    const [oldest] = this.#facts.keys()
    if (this.#facts.size > KEPT_FACTS_MAX) this.#facts.delete(oldest)
    try {
      return await facts
    } catch (error) {
      this.#facts.delete(key)
      throw error
    }
  }

  /** What is known of an object; undefined: there is none. */
  async facts(bucket: string, name: string): Promise<ObjectFacts | undefined> {
    const object = await this.open(bucket, name)
    await object?.file.close()
    return object
  }

  /** The names in a bucket that begin with `prefix`, in order; at most 1,000. */
  async list(bucket: string, prefix: string): Promise<readonly string[]> {
    if (!isBucketName(bucket)) return []
    const lists = await Promise.all(this.#folders.map((folder) => filesBelow(join(folder, bucket))))
    const inFolders = lists.flat().filter((name) => isObjectName(name) && isPath(name))
    const names = [...new Set([...inFolders, ...this.#uploads.names(bucket)])]
    return names
      .filter((name) => name.startsWith(prefix))
      .sort()
      .slice(0, LISTED_MAX)
  }
}

/** Whether a bucket may have this name. */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name)
}

/** Whether an object may have this name. */
export function isObjectName(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= OBJECT_NAME_BYTES_MAX && !/[\0\r\n]/.test(name)
}

/** Names of files are paths below the folder of a bucket, and lead nowhere else. */
function isPath(name: string): boolean {
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

async function readFacts(file: FileHandle, { size, mtime }: BigIntStats): Promise<FileFacts> {
  const hash = new ObjectHash()
  for await (const chunk of file.createReadStream({ autoClose: false, start: 0 })) hash.update(chunk as Buffer)
  const generation = String(Math.round(mtime.getTime() * 1000))
  const description = { contentType: 'application/octet-stream', metadata: {} }
  return { ...description, size: Number(size), modified: mtime, ...hash.finish(), generation, metageneration: '1' }
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
