import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AccessTokens, mayWriteObjects } from './access-tokens.ts'
import { type Buckets, isBucketName, isObjectName, type ObjectFacts } from './buckets.ts'
import { sendJson } from './json-answer.ts'
import { bucketResource, objectResource } from './storage-answers.ts'
import { noBucket, noObject, StorageError } from './storage-error.ts'
import type { StorageWrite } from './storage-request.ts'
import { readMultipart, uploadRangeOf } from './upload-request.ts'
import type { ObjectDescription, StagedObject, Uploaded, Uploads } from './uploads.ts'

const JSON_BYTES_MAX = 64 * 1024
/** Of an object's own metadata, as at Google. */
const METADATA_BYTES_MAX = 8 * 1024
/** The oldest one makes room for another. */
const SESSIONS_MAX = 64
/** How the API says that an upload is to go on. */
const RESUME_INCOMPLETE = 308

/** An object that is to be made. */
type Wanted = {
  readonly bucket: string
  readonly object: string
  readonly description: ObjectDescription
  /** The generation that it may take the place of, "0": of none; undefined: of any. */
  readonly generation: string | undefined
}

type Session = { readonly wanted: Wanted; readonly staged: StagedObject; isBusy: boolean }
type Told = { readonly name?: unknown; readonly contentType?: unknown; readonly metadata?: unknown }
/** What counts where nothing is told. */
type SaidBefore = {
  readonly contentType: string | undefined
  readonly metadata?: ObjectDescription['metadata']
}
type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse }
type OfKind<Kind extends StorageWrite['kind']> = Extract<StorageWrite, { readonly kind: Kind }>

/** Changes of buckets, by accounts whose tokens are for that. */
export class StorageWrites {
  readonly #buckets: Buckets
  readonly #uploads: Uploads
  readonly #tokens: Pick<AccessTokens, 'info'>
  /** Resumable uploads that have begun. */
  readonly #sessions = new Map<string, Session>()

  constructor(buckets: Buckets, uploads: Uploads, tokens: Pick<AccessTokens, 'info'>) {
    this.#buckets = buckets
    this.#uploads = uploads
    this.#tokens = tokens
  }

  /** @throws StorageError with why not */
  async answer(asked: StorageWrite, request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The secret name of a session is what its other requests are known by.
    if (asked.kind !== 'continue' && asked.kind !== 'cancel') this.#authorize(request)
    if (asked.kind !== 'make-bucket' && !(await this.#buckets.has(asked.bucket))) throw noBucket()
    const exchange = { request, response }
    switch (asked.kind) {
      case 'make-bucket':
        return await this.#makeBucket(exchange)
      case 'delete-bucket':
        this.#uploads.deleteBucket(asked.bucket)
        response.writeHead(204).end()
        return
      case 'upload':
        return await this.#upload(asked, exchange)
      case 'continue':
        return await this.#continue(asked, exchange)
      case 'cancel':
        await this.#end(asked.session)
        response.writeHead(499).end()
        return
      case 'describe':
        return await this.#describe(asked, exchange)
      case 'copy':
      case 'rewrite':
        return await this.#copy(asked, exchange)
      case 'delete':
        await this.#delete(asked)
        response.writeHead(204).end()
    }
  }

  #authorize({ headers }: IncomingMessage): void {
    const [, token = ''] = /^Bearer (.+)$/i.exec(headers.authorization ?? '') ?? []
    const info = this.#tokens.info(token)
    if (info === undefined)
      throw new StorageError(401, 'AuthenticationRequired', 'Buckets are changed with a token of a metadata server')
    if (mayWriteObjects(info.scopes)) return
    const remedy = 'create the instance with --scopes storage-rw or cloud-platform'
    throw new StorageError(403, 'AccessDenied', `"${info.email}" has no scope for changes of buckets; ${remedy}`)
  }

  async #makeBucket({ request, response }: Exchange): Promise<void> {
    const { name } = await readTold(request)
    if (typeof name !== 'string' || !isBucketName(name))
      throw invalid(`"${String(name)}" is not a valid name of a bucket`)
    if (await this.#buckets.has(name))
      throw new StorageError(
        409,
        'BucketAlreadyOwnedByYou',
        'Your previous request to create the named bucket succeeded',
      )
    this.#uploads.makeBucket(name)
    sendJson(response, 200, bucketResource(name))
  }

  async #upload(asked: OfKind<'upload'>, { request, response }: Exchange): Promise<void> {
    const { headers } = request
    const generation = generationIn(request)
    const wanted = (told: Told, contentType: string | undefined): Wanted =>
      wantedOf(asked.bucket, asked.object, told, { contentType }, generation)
    switch (asked.how) {
      case 'media': {
        const object = await this.#put(wanted({}, headers['content-type']), request)
        if (asked.form === 'json') sendJson(response, 200, objectResource(object))
        else response.writeHead(200, { 'Content-Length': 0 }).end()
        return
      }
      case 'multipart': {
        const parts = await readMultipart(headers['content-type'], request)
        if (parts === undefined) throw invalid('The request is not of two parts, metadata and bytes')
        const object = await this.#put(wanted(readJson(parts.metadata), parts.contentType), parts.media)
        sendJson(response, 200, objectResource(object))
        return
      }
      case 'resumable': {
        const told = await readTold(request)
        const type = headers['x-upload-content-type']
        const session = await this.#begin(wanted(told, typeof type === 'string' ? type : undefined))
        const location = `https://${headers.host ?? ''}/upload/storage/v1/b/${asked.bucket}/o?uploadType=resumable&upload_id=${session}`
        response.writeHead(200, { Location: location, 'X-GUploader-UploadID': session, 'Content-Length': 0 }).end()
      }
    }
  }

  async #put(wanted: Wanted, media: AsyncIterable<Uint8Array>): Promise<ObjectFacts> {
    const staged = await this.#uploads.stage()
    try {
      await staged.append(media)
      return await this.#commit(wanted, staged)
    } catch (error) {
      await staged.discard()
      throw error
    }
  }

  async #commit({ bucket, object, description, generation }: Wanted, staged: StagedObject): Promise<ObjectFacts> {
    const before = generation === undefined ? undefined : await this.#buckets.facts(bucket, object)
    if (generation !== undefined && (before?.generation ?? '0') !== generation)
      throw new StorageError(
        412,
        'PreconditionFailed',
        'At least one of the pre-conditions you specified did not hold.',
      )
    return factsOf(bucket, object, await this.#uploads.commit(bucket, object, description, staged))
  }

  async #begin(wanted: Wanted): Promise<string> {
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size >= SESSIONS_MAX && oldest !== undefined) await this.#end(oldest)
    const session = randomBytes(24).toString('base64url')
    this.#sessions.set(session, { wanted, staged: await this.#uploads.stage(), isBusy: false })
    return session
  }

  async #continue({ session }: OfKind<'continue'>, { request, response }: Exchange): Promise<void> {
    const found = this.#sessions.get(session)
    if (found === undefined) throw new StorageError(410, 'NoSuchUpload', 'There is no such upload, or it has ended')
    const range = uploadRangeOf(request.headers['content-range'])
    if (range === undefined) throw invalid('The header Content-Range is not valid')
    const { wanted, staged } = found
    const { start, total, isRest } = range
    if (found.isBusy) throw new StorageError(503, 'SlowDown', 'Another request of this upload goes on')
    found.isBusy = true
    try {
      if (start === staged.size) await staged.append(request)
      const isWhole = total === undefined ? isRest && start !== undefined : staged.size === total
      if (!isWhole) return resume(response, staged.size)
      this.#sessions.delete(session)
      sendJson(response, 200, objectResource(await this.#finish(wanted, staged)))
    } finally {
      found.isBusy = false
    }
  }

  async #finish(wanted: Wanted, staged: StagedObject): Promise<ObjectFacts> {
    try {
      return await this.#commit(wanted, staged)
    } catch (error) {
      await staged.discard()
      throw error
    }
  }

  async #end(session: string): Promise<void> {
    const found = this.#sessions.get(session)
    this.#sessions.delete(session)
    await found?.staged.discard()
  }

  async #delete({ bucket, object }: OfKind<'delete'>): Promise<void> {
    const isThere = (await this.#buckets.facts(bucket, object)) !== undefined
    await this.#uploads.delete(bucket, object, isThere)
  }

  async #describe({ bucket, object }: OfKind<'describe'>, { request, response }: Exchange): Promise<void> {
    const told = await readTold(request)
    const facts = await this.#buckets.facts(bucket, object)
    if (facts === undefined) throw noObject()
    const uploaded = this.#uploads.describe(bucket, object, described(told, facts))
    sendJson(response, 200, objectResource(factsOf(bucket, object, uploaded)))
  }

  async #copy(
    { kind, bucket, object, to }: OfKind<'copy' | 'rewrite'>,
    { request, response }: Exchange,
  ): Promise<void> {
    const told = await readTold(request)
    if (!(await this.#buckets.has(to.bucket))) throw noBucket()
    const source = await this.#buckets.open(bucket, object)
    if (source === undefined) throw noObject()
    try {
      const wanted = wantedOf(to.bucket, to.object, told, source, generationIn(request))
      const copy = await this.#put(wanted, source.file.createReadStream({ autoClose: false, start: 0 }))
      const resource = objectResource(copy)
      const size = String(copy.size)
      const rewritten = { kind: 'storage#rewriteResponse', totalBytesRewritten: size, objectSize: size, done: true }
      sendJson(response, 200, kind === 'copy' ? resource : { ...rewritten, resource })
    } finally {
      await source.file.close()
    }
  }
}

/** All that has come so far is kept. */
function resume(response: ServerResponse, size: number): void {
  if (size > 0) response.setHeader('Range', `bytes=0-${size - 1}`)
  response.writeHead(RESUME_INCOMPLETE, { 'Content-Length': 0 }).end()
}

function wantedOf(
  bucket: string,
  named: string | undefined,
  told: Told,
  otherwise: SaidBefore,
  generation: string | undefined,
): Wanted {
  const object = named ?? told.name
  if (typeof object !== 'string' || !isObjectName(object))
    throw invalid(`"${String(object ?? '')}" is not a valid name of an object`)
  return { bucket, object, description: described(told, otherwise), generation }
}

function described({ contentType, metadata }: Told, otherwise: SaidBefore): ObjectDescription {
  const type = typeof contentType === 'string' && contentType !== '' ? contentType : otherwise.contentType
  if (type !== undefined && !/^[\x20-\x7e]{1,256}$/.test(type)) throw invalid(`"${type}" is not a content type`)
  const all = metadata === undefined ? otherwise.metadata : metadata
  const own = typeof all === 'object' && all !== null ? Object.entries(all) : []
  if (Buffer.byteLength(JSON.stringify(own)) > METADATA_BYTES_MAX)
    throw invalid(`The metadata of an object have at most ${METADATA_BYTES_MAX} bytes`)
  return {
    contentType: type ?? 'application/octet-stream',
    // A value of null takes the key away.
    metadata: Object.fromEntries(own.filter(([, value]) => value !== null).map(([key, value]) => [key, String(value)])),
  }
}

function factsOf(bucket: string, name: string, { path: _, ...facts }: Uploaded): ObjectFacts {
  return { bucket, name, ...facts }
}

function generationIn({ url = '' }: IncomingMessage): string | undefined {
  return new URLSearchParams(url.split('?', 2)[1]).get('ifGenerationMatch') ?? undefined
}

async function readTold(request: IncomingMessage): Promise<Told> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > JSON_BYTES_MAX) throw invalid(`The metadata have more than ${JSON_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return readJson(Buffer.concat(chunks).toString())
}

function readJson(text: string): Told {
  if (text.trim() === '') return {}
  try {
    const told: unknown = JSON.parse(text)
    if (typeof told === 'object' && told !== null) return told
  } catch {
    // Said below.
  }
  throw invalid('The metadata are not a JSON object')
}

function invalid(message: string): StorageError {
  return new StorageError(400, 'InvalidArgument', message)
}
