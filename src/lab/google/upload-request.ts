/** What a Content-Range header of a resumable upload says. */
export type UploadRange = {
  /** Where its bytes begin; undefined: there are none, it asks how far the upload is. */
  readonly start: number | undefined
  /** Of the whole object; undefined: not known yet. */
  readonly total: number | undefined
  /** What comes is the rest, however much that is. */
  readonly isRest: boolean
}

const RANGE = /^bytes (?:\*|([0-9]{1,15})-(\*|[0-9]{1,15}))\/(\*|[0-9]{1,15})$/

/** Reads the header; without one, all of the object comes. undefined: it is not valid. */
export function uploadRangeOf(header: string | undefined): UploadRange | undefined {
  if (header === undefined) return { start: 0, total: undefined, isRest: true }
  const match = RANGE.exec(header.trim())
  if (match === null) return undefined
  const [, start, end, total] = match
  return {
    start: start === undefined ? undefined : Number(start),
    total: total === '*' ? undefined : Number(total),
    isRest: end === '*',
  }
}

/** The parts of a `multipart/related` request: what is said of an object, and its bytes. */
export type MultipartUpload = {
  readonly metadata: string
  /** Of the bytes; undefined: their part does not say. */
  readonly contentType: string | undefined
  readonly media: AsyncIterable<Buffer>
}

const HEAD_BYTES_MAX = 64 * 1024

/**
 * Reads the first part, and what comes before the bytes of the second one. Lines end as the first one does: by LF alone in
 * what gcloud sends. undefined: it is not such a request.
 */
export async function readMultipart(
  contentType: string | undefined,
  source: AsyncIterable<Buffer>,
): Promise<MultipartUpload | undefined> {
  const boundary = boundaryOf(contentType ?? '')
  if (boundary === undefined) return undefined
  const chunks = source[Symbol.asyncIterator]()
  let read = Buffer.alloc(0)
  for (;;) {
    const head = headOf(read, boundary)
    if (head !== undefined) {
      const { metadata, contentType: ofMedia, end, delimiter } = head
      return { metadata, contentType: ofMedia, media: until(delimiter, read.subarray(end), chunks) }
    }
    const { done, value } = await chunks.next()
    if (done === true || read.length > HEAD_BYTES_MAX) return undefined
    read = Buffer.concat([read, value])
  }
}

function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/related\b/i.test(contentType)) return undefined
  const [, double, single, bare] = /;\s*boundary=(?:"([^"]+)"|'([^']+)'|([^\s;"']+))/i.exec(contentType) ?? []
  return double ?? single ?? bare
}

type Head = {
  readonly metadata: string
  readonly contentType: string | undefined
  readonly end: number
  readonly delimiter: Buffer
}

/** undefined: not all of it is there yet, or it is something else. */
function headOf(bytes: Buffer, boundary: string): Head | undefined {
  const text = bytes.toString('latin1')
  const first = text.indexOf(`--${boundary}`)
  if (first < 0) return undefined
  const end = text.startsWith('\r\n', first + 2 + boundary.length) ? '\r\n' : '\n'
  const delimiter = `${end}--${boundary}`
  // The first part has headers of its own, or none.
  const metadataAt = behind(text, end + end, first + 2 + boundary.length)
  const second = metadataAt === undefined ? undefined : behind(text, delimiter + end, metadataAt)
  const mediaAt = second === undefined ? undefined : behind(text, end + end, second - end.length)
  if (metadataAt === undefined || second === undefined || mediaAt === undefined) return undefined
  const [, contentType] = /^content-type:[ \t]*([^\r\n]*)/im.exec(text.slice(second, mediaAt)) ?? []
  const metadata = bytes.subarray(metadataAt, second - delimiter.length - end.length).toString('utf8')
  return { metadata, contentType: contentType?.trim(), end: mediaAt, delimiter: Buffer.from(delimiter, 'latin1') }
}

/** Where what is behind the next `mark` begins. */
function behind(text: string, mark: string, from: number): number | undefined {
  const at = text.indexOf(mark, from)
  return at < 0 ? undefined : at + mark.length
}

/** What comes before a delimiter, of which a part may be at the end of any chunk; what comes behind it is read to the end. */
async function* until(delimiter: Buffer, first: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  let held = first
  let hasEnded = false
  for (;;) {
    if (!hasEnded) {
      const at = held.indexOf(delimiter)
      const ready = at < 0 ? Math.max(0, held.length - delimiter.length + 1) : at
      if (ready > 0) yield held.subarray(0, ready)
      hasEnded = at >= 0
      held = held.subarray(ready)
    }
    const { done, value } = await chunks.next()
    if (done === true) break
    if (!hasEnded) held = Buffer.concat([held, value])
  }
  if (!hasEnded) throw new Error('The end of the upload is missing')
}
