import type { IncomingMessage } from 'node:http'

/** As the requests of the API are bounded: 10 MiB. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024

/** The body of a request, or why there is none: it is larger than {@link BODY_BYTES_MAX}, or its client has gone. */
export type ReadBody = Buffer | 'too large' | 'cut off'

/** Reads a body, and no more of one that is too large: whatever else is sent is not waited for. */
export function readBody(request: IncomingMessage): Promise<ReadBody> {
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
