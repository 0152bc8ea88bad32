import type { IncomingMessage } from 'node:http'
import { createUnzip } from 'node:zlib'
import type { HeldBytes } from './held-bytes.ts'

/** As the requests of the API are bounded: 10 MiB. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024

/** Why there is no body: it is larger than it may be, there is no memory for it, its client has gone, and so on. */
export type BodyProblem = 'too large' | 'too many' | 'cut off' | 'unknown encoding' | 'not compressed'

/** What may be read of a body, and in whose share. */
export type BodyBounds = {
  readonly bytesMax: number
  /** Whether there is memory for more of it; what is taken is given back by whoever gave this. */
  readonly take: (bytes: number) => boolean
}

/** Takes memory for the bodies of one request. */
export class BodyShare {
  readonly #held: HeldBytes
  readonly #user: string
  #bytes = 0

  constructor(held: HeldBytes, user: string) {
    this.#held = held
    this.#user = user
  }

  take(bytes: number): boolean {
    if (this.#held.isFull(this.#user)) return false
    this.#held.hold(this.#user, bytes)
    this.#bytes += bytes
    return true
  }

  /** Gives back all that was taken. */
  release(): void {
    this.#held.release(this.#user, this.#bytes)
    this.#bytes = 0
  }
}

/** Reads a body, inflated where it was compressed, and no more of one than is within its bounds. */
export async function readBody(request: IncomingMessage, bounds: BodyBounds): Promise<Buffer | BodyProblem> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (!['identity', 'gzip', 'x-gzip', 'deflate', ''].includes(encoding)) return 'unknown encoding'
  const body = await readBytes(request, bounds)
  if (typeof body === 'string' || encoding === 'identity' || encoding === '' || body.length === 0) return body
  return inflate(body, bounds)
}

async function inflate(body: Buffer, { bytesMax, take }: BodyBounds): Promise<Buffer | BodyProblem> {
  const parts: Buffer[] = []
  let length = 0
  const unzip = createUnzip()
  unzip.end(body)
  try {
    // Leaving the loop ends the work, too.
    for await (const part of unzip as AsyncIterable<Buffer>) {
      length += part.length
      if (length > bytesMax) return 'too large'
      if (!take(part.length)) return 'too many'
      parts.push(part)
    }
  } catch {
    return 'not compressed'
  }
  return Buffer.concat(parts)
}

/** Whatever else is sent of a body that is too large is not waited for. */
function readBytes(request: IncomingMessage, { bytesMax, take }: BodyBounds): Promise<Buffer | BodyProblem> {
  return new Promise((resolve) => {
    if (Number(request.headers['content-length']) > bytesMax) return resolve('too large')
    const parts: Buffer[] = []
    let length = 0
    const stop = (why: BodyProblem): void => {
      request.off('data', onData)
      request.pause()
      parts.length = 0
      resolve(why)
    }
    const onData = (part: Buffer): void => {
      length += part.length
      if (length > bytesMax) stop('too large')
      else if (!take(part.length)) stop('too many')
      else parts.push(part)
    }
    request.on('data', onData)
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
