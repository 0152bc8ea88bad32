import { mkdirSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ObjectHash } from './object-hash.ts'
import { noObject, StorageError } from './storage-error.ts'

/** All of it is in the memory of this machine. */
const BYTES_MAX = 256 * 1024 * 1024
const OBJECTS_MAX = 10_000
const BUCKETS_MAX = 100

/** What whoever puts an object says of it. */
export type ObjectDescription = {
  readonly contentType: string
  /** Keys and values of its own. */
  readonly metadata: Readonly<Record<string, string>>
}

/** An object that was put here. */
export type Uploaded = ObjectDescription & {
  readonly path: string
  readonly size: number
  readonly md5: string
  readonly crc32c: string
  readonly modified: Date
  /** Another one for each object, also of the same name. */
  readonly generation: string
  readonly metageneration: string
}

/** What machines have put into buckets, and the buckets that they have made. It is gone with the lab. */
export class Uploads {
  readonly #directory: string
  readonly #bytesMax: number
  readonly #objects = new Map<string, Map<string, Uploaded>>()
  readonly #made = new Set<string>()
  #bytes = 0
  #files = 0
  #generation = 0

  /** @param directory for nothing else; it is made */
  constructor(directory: string, bytesMax = BYTES_MAX) {
    this.#directory = directory
    this.#bytesMax = bytesMax
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  /** The buckets that were made. */
  get buckets(): ReadonlySet<string> {
    return this.#made
  }

  makeBucket(bucket: string): void {
    if (this.#made.size >= BUCKETS_MAX) throw full(`machines of the lab make at most ${BUCKETS_MAX} buckets`)
    this.#made.add(bucket)
  }

  /** @throws StorageError when it is not one of those that were made, or there is something in it */
  deleteBucket(bucket: string): void {
    if (!this.#made.has(bucket)) throw notOurs('bucket')
    if ((this.#objects.get(bucket)?.size ?? 0) > 0)
      throw new StorageError(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty.')
    this.#made.delete(bucket)
  }

  get(bucket: string, name: string): Uploaded | undefined {
    return this.#objects.get(bucket)?.get(name)
  }

  names(bucket: string): readonly string[] {
    return [...(this.#objects.get(bucket)?.keys() ?? [])]
  }

  /** Opens a file for the bytes of an object that is to come. */
  async stage(): Promise<StagedObject> {
    const path = join(this.#directory, String(++this.#files))
    const file = await open(path, 'wx', 0o600)
    return new StagedObject(path, file, (bytes) => this.#take(bytes))
  }

  /** Makes an object of what was staged, in the place of another one. */
  async commit(bucket: string, name: string, description: ObjectDescription, staged: StagedObject): Promise<Uploaded> {
    const objects = this.#objects.get(bucket) ?? new Map<string, Uploaded>()
    const before = objects.get(name)
    if (before === undefined && this.#count() >= OBJECTS_MAX)
      throw full(`machines of the lab put at most ${OBJECTS_MAX} objects into buckets`)
    const uploaded = { ...description, ...(await staged.finish()), ...this.#now(), metageneration: '1' }
    this.#objects.set(bucket, objects.set(name, uploaded))
    if (before !== undefined) await this.#remove(before)
    return uploaded
  }

  /** Says something else of an object. */
  describe(bucket: string, name: string, description: ObjectDescription): Uploaded {
    const before = this.get(bucket, name)
    if (before === undefined) throw notOurs('object')
    const described = { ...before, ...description, metageneration: String(Number(before.metageneration) + 1) }
    this.#objects.get(bucket)?.set(name, described)
    return described
  }

  /** @throws StorageError when it was not put here: what is in a bucket of the lab itself stays */
  async delete(bucket: string, name: string, isOurs: boolean): Promise<void> {
    const uploaded = this.get(bucket, name)
    if (uploaded === undefined) throw isOurs ? notOurs('object') : noObject()
    this.#objects.get(bucket)?.delete(name)
    await this.#remove(uploaded)
  }

  async #remove({ path, size }: Uploaded): Promise<void> {
    this.#take(-size)
    await rm(path, { force: true })
  }

  #take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax)
      throw full(`all objects that machines of the lab put into buckets have at most ${this.#bytesMax} bytes together`)
    this.#bytes += bytes
  }

  #count(): number {
    let count = 0
    for (const objects of this.#objects.values()) count += objects.size
    return count
  }

  #now(): { readonly modified: Date; readonly generation: string } {
    const modified = new Date()
    this.#generation = Math.max(this.#generation + 1, modified.getTime() * 1000)
    return { modified, generation: String(this.#generation) }
  }
}

/** The bytes of an object that is to come, as they arrive. */
export class StagedObject {
  readonly #path: string
  readonly #file: FileHandle
  readonly #take: (bytes: number) => void
  readonly #hash = new ObjectHash()
  #size = 0

  /** @param take is told what it needs, and throws when that is too much */
  constructor(path: string, file: FileHandle, take: (bytes: number) => void) {
    this.#path = path
    this.#file = file
    this.#take = take
  }

  get size(): number {
    return this.#size
  }

  /** Appends all of a source; what has come of one that breaks off stays. */
  async append(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) {
      this.#take(chunk.length)
      this.#size += chunk.length
      this.#hash.update(chunk)
      await this.#file.appendFile(chunk)
    }
  }

  /** Closes the file; whoever gets this has it. */
  async finish(): Promise<Pick<Uploaded, 'path' | 'size' | 'md5' | 'crc32c'>> {
    await this.#file.close()
    return { path: this.#path, size: this.#size, ...this.#hash.finish() }
  }

  /** Removes it. */
  async discard(): Promise<void> {
    await this.#file.close()
    this.#take(-this.#size)
    await rm(this.#path, { force: true })
  }
}

function notOurs(what: string): StorageError {
  return new StorageError(403, 'AccessDenied', `This ${what} is one of the lab's own, which its machines cannot change`)
}

function full(why: string): StorageError {
  return new StorageError(413, 'EntityTooLarge', `It does not fit in: ${why}`)
}
