import type { ServerResponse } from 'node:http'
import type { ObjectFacts } from './buckets.ts'
import { sendJson } from './json-answer.ts'
import type { StorageRefusal } from './storage-request.ts'

const API = 'https://www.googleapis.com'
const REASONS: Readonly<Record<number, string>> = {
  400: 'invalid',
  401: 'required',
  404: 'notFound',
  409: 'conflict',
  412: 'conditionNotMet',
  501: 'notImplemented',
}

/** A bucket as the JSON API describes it. */
export function bucketResource(bucket: string): unknown {
  const selfLink = `${API}/storage/v1/b/${bucket}`
  return { kind: 'storage#bucket', id: bucket, name: bucket, selfLink, location: 'US', storageClass: 'STANDARD' }
}

/** How the objects of a bucket are kept: by names alone. */
export function layoutResource(bucket: string): unknown {
  const hierarchicalNamespace = { enabled: false }
  return { kind: 'storage#storageLayout', bucket, location: 'US', locationType: 'multi-region', hierarchicalNamespace }
}

/** An object as the JSON API describes it. */
export function objectResource(object: ObjectFacts): unknown {
  const { bucket, name, size, md5, crc32c, modified, generation, metageneration, contentType, metadata } = object
  const path = `storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`
  return {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    selfLink: `${API}/${path}`,
    mediaLink: `https://storage.googleapis.com/download/${path}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation,
    metageneration,
    contentType,
    storageClass: 'STANDARD',
    size: String(size),
    md5Hash: md5,
    crc32c,
    etag: etagOf(object),
    timeCreated: modified.toISOString(),
    updated: modified.toISOString(),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
}

/** What the answer with the bytes of an object says of it. */
export function objectHeaders(object: ObjectFacts): Readonly<Record<string, string | number>> {
  const { size, md5, crc32c, modified, generation, metageneration, contentType } = object
  return {
    'Accept-Ranges': 'bytes',
    'Content-Type': contentType,
    ETag: etagOf(object),
    'Last-Modified': modified.toUTCString(),
    'X-Goog-Generation': generation,
    'X-Goog-Hash': `crc32c=${crc32c},md5=${md5}`,
    'X-Goog-Metageneration': metageneration,
    'X-Goog-Storage-Class': 'STANDARD',
    'X-Goog-Stored-Content-Encoding': 'identity',
    'X-Goog-Stored-Content-Length': size,
  }
}

/** Answers that something is refused, in the form of the API that was asked. */
export function refuse(response: ServerResponse, { form, status, code, message }: Omit<StorageRefusal, 'kind'>): void {
  response.setHeader('Connection', 'close')
  if (form === 'json') {
    const reason = REASONS[status] ?? 'forbidden'
    sendJson(response, status, { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } })
    return
  }
  const text = message.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
  const body = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${text}</Message></Error>`
  response.writeHead(status, { 'Content-Type': 'application/xml; charset=UTF-8' }).end(body)
}

function etagOf({ md5 }: ObjectFacts): string {
  return `"${Buffer.from(md5, 'base64').toString('hex')}"`
}
