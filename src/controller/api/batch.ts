import { STATUS_CODES } from 'node:http'
import { jsonText } from '../methods/answer-text.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { invalidField } from '../model/api-error.ts'

/** One part of a batch: a request, and what it is called. */
export type BatchPart = { readonly contentId: string; readonly request: ApiRequest }

const PARTS_MAX = 1000
/** Characters of the answers to reads; those to changes are short, and always told. */
export const ANSWER_LENGTH_MAX = 16 * 1024 * 1024
const BOUNDARY = /^multipart\/mixed\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i
const REQUEST_LINE = /^([A-Z]{1,10}) (\S{1,8000})(?: HTTP\/1\.[01])?$/

/**
 * Reads the parts of a batch (`multipart/mixed` of `application/http`); each is sent by who sent the batch.
 *
 * @throws ApiError 400 when the whole cannot be read
 */
export function readBatch(request: ApiRequest): readonly BatchPart[] {
  const match = BOUNDARY.exec(request.contentType)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) {
    throw invalidField('Content-Type', request.contentType, 'A batch must be multipart/mixed with a boundary')
  }
  const text = Buffer.from(request.rawBody).toString()
  // The first piece is what comes before the first boundary.
  const [, ...pieces] = `\n${text}`.replaceAll('\r\n', '\n').split(`\n--${boundary}`)
  const end = pieces.findIndex((piece) => piece.startsWith('--'))
  if (end < 0) throw invalidField('body', '', 'The batch has no end: it stops before its last boundary')
  if (end > PARTS_MAX) throw invalidField('body', '', `The batch has ${end} parts, more than ${PARTS_MAX}`)
  return pieces.slice(0, end).map((piece) => readPart(piece, request))
}

/** The answer to a batch while it grows. Answers are kept as the bytes that they become, which are counted. */
export class BatchAnswer {
  readonly #boundary: string
  readonly #parts: string[] = []
  #length = 0

  constructor(boundary: string) {
    this.#boundary = boundary
  }

  /** Nothing long may come any more. */
  get isFull(): boolean {
    return this.#length > ANSWER_LENGTH_MAX
  }

  /** Takes the answer to the part at `index`. */
  set(index: number, contentId: string, response: ApiResponse): void {
    const part = writePart(this.#boundary, contentId, response)
    this.#parts[index] = part
    this.#length += part.length
  }

  /** All of it, in the order of the parts. */
  whole(): ApiResponse {
    const bytes = `${[...this.#parts, `--${this.#boundary}--`].join('\r\n')}\r\n`
    // Without quotes: some clients take them for a part of it.
    return { status: 200, contentType: `multipart/mixed; boundary=${this.#boundary}`, bytes }
  }
}

function writePart(boundary: string, contentId: string, response: ApiResponse): string {
  const isJson = 'body' in response
  const body = isJson ? jsonText(response) : response.bytes
  const type = isJson ? 'application/json; charset=UTF-8' : response.contentType
  return [
    `--${boundary}`,
    'Content-Type: application/http',
    ...(contentId === '' ? [] : [`Content-ID: ${responseId(contentId)}`]),
    '',
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? 'Unknown'}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

function readPart(piece: string, batch: ApiRequest): BatchPart {
  const [outer = '', inner = '', ...rest] = splitHead(piece.replace(/^[ \t]*\n/, ''))
  const contentId = headerOf(outer, 'content-id')
  const [line = ''] = inner.split('\n', 1)
  const match = REQUEST_LINE.exec(line.trim())
  const url = match?.[2] === undefined ? undefined : readUrl(match[2])
  if (match?.[1] === undefined || url === undefined) {
    throw invalidField('body', line, 'A part of a batch must begin with a request such as GET /compute/v1/… HTTP/1.1')
  }
  const text = rest.join('').trim()
  const contentType = text === '' ? '' : headerOf(inner, 'content-type') || 'application/json'
  const request = {
    ...batch,
    method: match[1],
    path: url.pathname,
    query: url.searchParams,
    rawBody: Buffer.from(text),
    contentType,
    body: parseJson(text),
  }
  return { contentId, request }
}

/** The headers of the part, those of the request in it, and its body. */
function splitHead(piece: string): readonly string[] {
  const first = piece.indexOf('\n\n')
  if (first < 0) return [piece]
  const rest = piece.slice(first + 2).replace(/^\n+/, '')
  const second = rest.indexOf('\n\n')
  if (second < 0) return [piece.slice(0, first), rest]
  return [piece.slice(0, first), rest.slice(0, second), rest.slice(second + 2)]
}

function headerOf(head: string, name: string): string {
  // A long header goes on in lines that begin with a space.
  const lines = head.replace(/\n[ \t]+/g, ' ').split('\n')
  const line = lines.find((one) => one.slice(0, name.length + 1).toLowerCase() === `${name}:`)
  return line?.slice(name.length + 1).trim() ?? ''
}

function readUrl(text: string): URL | undefined {
  try {
    return new URL(text, 'http://batch')
  } catch {
    return undefined
  }
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `<abc + 1>` is answered as `<response-abc + 1>`, which clients take apart; control characters would begin another header. */
function responseId(contentId: string): string {
  const id = contentId.replace(/\p{Cc}/gu, '')
  return id.startsWith('<') ? id.replace('<', '<response-') : `response-${id}`
}
