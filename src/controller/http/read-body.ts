import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { unzip } from 'node:zlib'

/** As the requests of the API are bounded: 10 MiB. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024

/** The body of a request, or why there is none: it is larger than {@link BODY_BYTES_MAX}, or its client has gone. */
export type ReadBody = Buffer | 'too large' | 'cut off' | 'unknown encoding' | 'not compressed'

const inflate = promisify(unzip)

/** Reads a body, inflated where it was compressed, and no more of one that is too large. */
export async function readBody(request: IncomingMessage): Promise<ReadBody> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (!['identity', 'gzip', 'x-gzip', 'deflate', ''].includes(encoding)) return 'unknown encoding'
  const body = await readBytes(request)
  if (typeof body === 'string' || encoding === 'identity' || encoding === '' || body.length === 0) return body
  try {
    return await inflate(body, { maxOutputLength: BODY_BYTES_MAX })
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too large' : 'not compressed'
  }
}

/** Whatever else is sent of a body that is too large is not waited for. */
function readBytes(request: IncomingMessage): Promise<Buffer | 'too large' | 'cut off'> {
  return new Promise((resolve) => {
    if (Number(request.headers['content-length']) > BODY_BYTES_MAX) return resolve('too large')
    const parts: Buffer[] = []
    let length = 0
    request.on('data', (part: Buffer) => {
      length += part.length
      if (length <= BODY_BYTES_MAX) return void parts.push(part)
      request.pause()
      parts.length = 0
      resolve('too large')
    })
    request.on('end', () => resolve(Buffer.concat(parts)))
    request.on('error', () => resolve('cut off'))
  })
}

/** undefined: there is none, or it is no JSON in UTF-8. */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    return undefined
  }
}
