import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Buckets, ObjectFacts, OpenObject } from './buckets.ts'
import { sendJson } from './json-answer.ts'
import { rangeOf, readStorageRequest, type StorageForm, type StorageRefusal } from './storage-request.ts'

const API = 'https://www.googleapis.com'

/** Answers for Google's storage: whatever is in the buckets, for everybody. */
export class Storage {
  readonly #buckets: Buckets

  constructor(buckets: Buckets) {
    this.#buckets = buckets
  }

  /** Rejects when the client, or the file, cannot be reached to the end. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = readStorageRequest(request.method ?? '', request.url ?? '/')
    if (asked.kind === 'refused') return refuse(response, asked)
    const { kind, form, bucket } = asked
    if (!(await this.#buckets.has(bucket))) return refuse(response, noBucket(form))
    if (kind === 'bucket') {
      if (form === 'json') return sendJson(response, 200, bucketResource(bucket))
      return refuse(response, { ...noObject('xml'), message: 'Objects are listed by the JSON API only' })
    }
    if (kind === 'list') return sendJson(response, 200, await this.#list(bucket, asked.prefix, asked.delimiter))
    const object = await this.#buckets.open(bucket, asked.object)
    if (object === undefined) return refuse(response, noObject(form))
    try {
      if (kind === 'object') sendJson(response, 200, objectResource(object))
      else await sendMedia(request, response, object)
    } finally {
      await object.file.close()
    }
  }

  async #list(bucket: string, prefix: string, delimiter: string): Promise<unknown> {
    const names = await this.#buckets.list(bucket, prefix)
    const folderOf = (name: string) => {
      const at = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length)
      return at < 0 ? undefined : name.slice(0, at + delimiter.length)
    }
    const prefixes = [...new Set(names.map(folderOf).filter((folder) => folder !== undefined))]
    const items: unknown[] = []
    for (const name of names.filter((one) => folderOf(one) === undefined)) {
      const object = await this.#buckets.open(bucket, name)
      if (object === undefined) continue
      items.push(objectResource(object))
      await object.file.close()
    }
    return { kind: 'storage#objects', prefixes, items }
  }
}

async function sendMedia(request: IncomingMessage, response: ServerResponse, object: OpenObject): Promise<void> {
  const { size, modified, md5, file } = object
  const range = rangeOf(request.headers.range, size)
  if (range === 'none') {
    response.setHeader('Content-Range', `bytes */${size}`)
    const message = 'The requested range cannot be satisfied'
    return refuse(response, { kind: 'refused', form: 'xml', status: 416, code: 'InvalidRange', message })
  }
  const { start, end } = range ?? { start: 0, end: size - 1 }
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`)
  response.writeHead(range === undefined ? 200 : 206, {
    'Accept-Ranges': 'bytes',
    'Content-Length': end - start + 1,
    'Content-Type': 'application/octet-stream',
    ETag: etagOf(object),
    'Last-Modified': modified.toUTCString(),
    'X-Goog-Generation': generationOf(object),
    'X-Goog-Hash': `md5=${md5}`,
    'X-Goog-Metageneration': '1',
    'X-Goog-Storage-Class': 'STANDARD',
    'X-Goog-Stored-Content-Encoding': 'identity',
    'X-Goog-Stored-Content-Length': size,
  })
  if (request.method === 'HEAD' || size === 0) response.end()
  else await pipeline(file.createReadStream({ autoClose: false, start, end }), response)
}

function bucketResource(bucket: string): unknown {
  const selfLink = `${API}/storage/v1/b/${bucket}`
  return { kind: 'storage#bucket', id: bucket, name: bucket, selfLink, location: 'US', storageClass: 'STANDARD' }
}

function objectResource(object: ObjectFacts): unknown {
  const { bucket, name, size, md5, modified } = object
  const generation = generationOf(object)
  const path = `storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`
  return {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    selfLink: `${API}/${path}`,
    mediaLink: `https://storage.googleapis.com/download/${path}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation,
    metageneration: '1',
    contentType: 'application/octet-stream',
    storageClass: 'STANDARD',
    size: String(size),
    md5Hash: md5,
    etag: etagOf(object),
    timeCreated: modified.toISOString(),
    updated: modified.toISOString(),
  }
}

function generationOf({ modified }: ObjectFacts): string {
  return String(Math.round(modified.getTime() * 1000))
}

function etagOf({ md5 }: ObjectFacts): string {
  return `"${Buffer.from(md5, 'base64').toString('hex')}"`
}

function noBucket(form: StorageForm): StorageRefusal {
  return { kind: 'refused', form, status: 404, code: 'NoSuchBucket', message: 'The specified bucket does not exist.' }
}

function noObject(form: StorageForm): StorageRefusal {
  return { kind: 'refused', form, status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.' }
}

function refuse(response: ServerResponse, { form, status, code, message }: StorageRefusal): void {
  response.setHeader('Connection', 'close')
  if (form === 'json') {
    const reason = status === 404 ? 'notFound' : 'forbidden'
    sendJson(response, status, { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } })
    return
  }
  const body = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  response.writeHead(status, { 'Content-Type': 'application/xml; charset=UTF-8' }).end(body)
}
