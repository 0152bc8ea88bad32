import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Buckets, OpenObject } from './buckets.ts'
import { sendJson } from './json-answer.ts'
import { bucketResource, layoutResource, objectHeaders, objectResource, refuse } from './storage-answers.ts'
import { noBucket, noObject, StorageError } from './storage-error.ts'
import { rangeOf, readStorageRequest, type StorageRead } from './storage-request.ts'
import type { StorageWrites } from './storage-writes.ts'

/** Answers for Google's storage: whatever is in the buckets, for everybody; who may change them, `StorageWrites` says. */
export class Storage {
  readonly #buckets: Buckets
  readonly #writes: StorageWrites

  constructor(buckets: Buckets, writes: StorageWrites) {
    this.#buckets = buckets
    this.#writes = writes
  }

  /** Rejects when the client, or the file, cannot be reached to the end. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = readStorageRequest(request.method ?? '', request.url ?? '/')
    try {
      switch (asked.kind) {
        case 'refused':
          return refuse(response, asked)
        case 'buckets':
        case 'bucket':
        case 'layout':
        case 'managed-folders':
        case 'list':
        case 'object':
        case 'media':
          return await this.#read(asked, request, response)
        default:
          return await this.#writes.answer(asked, request, response)
      }
    } catch (error) {
      if (!(error instanceof StorageError) || response.headersSent) throw error
      const { status, code, message } = error
      refuse(response, { form: asked.form, status, code, message })
    }
  }

  async #read(asked: StorageRead, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (asked.kind === 'buckets') {
      const items = (await this.#buckets.names()).map(bucketResource)
      return sendJson(response, 200, { kind: 'storage#buckets', items })
    }
    const { kind, form, bucket } = asked
    if (!(await this.#buckets.has(bucket))) throw noBucket()
    if (kind === 'bucket') {
      if (form === 'json') return sendJson(response, 200, bucketResource(bucket))
      throw noObject('Objects are listed by the JSON API only')
    }
    if (kind === 'layout') return sendJson(response, 200, layoutResource(bucket))
    if (kind === 'managed-folders') return sendJson(response, 200, { kind: 'storage#managedFolders', items: [] })
    if (kind === 'list') return sendJson(response, 200, await this.#list(bucket, asked.prefix, asked.delimiter))
    const object = await this.#buckets.open(bucket, asked.object)
    if (object === undefined) throw noObject()
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
      const facts = await this.#buckets.facts(bucket, name)
      if (facts !== undefined) items.push(objectResource(facts))
    }
    return { kind: 'storage#objects', prefixes, items }
  }
}

async function sendMedia(request: IncomingMessage, response: ServerResponse, object: OpenObject): Promise<void> {
  const { size, file } = object
  const range = rangeOf(request.headers.range, size)
  if (range === 'none') {
    response.setHeader('Content-Range', `bytes */${size}`)
    throw new StorageError(416, 'InvalidRange', 'The requested range cannot be satisfied')
  }
  const { start, end } = range ?? { start: 0, end: size - 1 }
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`)
  response.writeHead(range === undefined ? 200 : 206, { ...objectHeaders(object), 'Content-Length': end - start + 1 })
  if (request.method === 'HEAD' || size === 0) response.end()
  else await pipeline(file.createReadStream({ autoClose: false, start, end }), response)
}
