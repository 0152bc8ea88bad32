import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../telemetry/log.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { errorBody } from '../model/api-error.ts'
import { baseUrlFor } from '../model/resource-paths.ts'
import type { AnswerListener } from '../model/world.ts'
import type { TokenRole } from '../store/store.ts'
import type { Identity } from '../store/token.ts'
import { type AnswerLimits, Answers } from './answers.ts'
import type { Access, Door } from './door.ts'
import { HeldBytes } from './held-bytes.ts'
import { logInternalError } from './internal-error.ts'
import { isOwnPath, type OwnRequest, type OwnRoutes } from './own-routes.ts'
import { BODY_BYTES_MAX, type BodyProblem, BodyShare, parseJson, readBody } from './read-body.ts'

/** No answer to such a body is the API's: whoever sends it is told at once, and nothing more of it is read. */
const BODY_REFUSALS: Readonly<Record<Exclude<BodyProblem, 'too large'>, readonly [number, string, string]>> = {
  'too many': [503, 'backendError', 'Too much of other requests is being read; try again later'],
  'cut off': [400, 'badRequest', 'The request is not complete'],
  'unknown encoding': [415, 'unsupportedMediaType', 'The Content-Encoding is unknown; send gzip, deflate or none'],
  'not compressed': [400, 'badRequest', 'The body is not compressed as its Content-Encoding says'],
}
/** Of bodies that are read, or belong to requests that are being answered, in the clear. */
const BODIES_BYTES_MAX = 128 * 1024 * 1024
/** Where hardly any body is due: of methods that only read, and of a viewer, who may send a batch of them. */
const READ_BODY_BYTES_MAX = 64 * 1024
const VIEWER_BODY_BYTES_MAX = 1024 * 1024
const RETRY_AFTER_SECONDS = 1

/** What is behind the server. */
export type RequestHandlerOptions = {
  readonly door: Door
  readonly api: { handle(request: ApiRequest): Promise<ApiResponse> }
  readonly ownRoutes: OwnRoutes
  /** Told of answers that are not of the API. */
  readonly onAnswer?: AnswerListener | undefined
  readonly log: Log
  readonly answerLimits?: AnswerLimits | undefined
  readonly bodiesBytesMax?: number | undefined
}

/** How its clients come to a handler. */
type Entrance = {
  /** How who has opened a connection comes. */
  readonly accessOf: (socket: IncomingMessage['socket']) => Access
  /** Whether only requests that have come are still answered. */
  readonly isClosing: () => boolean
  /** Told of each request whose sender is known. */
  readonly onLetIn: (request: IncomingMessage) => void
}

/** Takes requests through the door, reads them, and hands them to whoever answers. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions
  readonly #entrance: Entrance
  readonly #answers: Answers
  readonly #bodies: HeldBytes

  constructor(options: RequestHandlerOptions, entrance: Entrance) {
    this.#options = options
    this.#entrance = entrance
    this.#bodies = new HeldBytes(options.bodiesBytesMax ?? BODIES_BYTES_MAX)
    this.#answers = new Answers(options.log, options.answerLimits)
  }

  /** Answers; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#entrance.isClosing()) return this.#refuse(response, 503, 'backendError', 'The controller is stopping')
      const identity = this.#letIn(request, response)
      if (identity !== undefined) await this.#answer(request, response, identity)
    } catch (error) {
      if (error instanceof BodyError) return this.#refuse(response, ...error.refusal)
      this.#fail(error, request, response)
    }
  }

  /** Before the body is read; undefined: it was refused. */
  #letIn(request: IncomingMessage, response: ServerResponse): Identity | undefined {
    const { headers, socket } = request
    const { host, origin, authorization } = headers
    const peerAddress = socket.remoteAddress ?? ''
    const entered = this.#options.door.enter(
      { host, origin, authorization, peerAddress },
      this.#entrance.accessOf(socket),
    )
    if (!('status' in entered)) {
      this.#entrance.onLetIn(request)
      return entered
    }
    const { status, reason, message } = entered
    this.#refuse(response, status, reason, message)
    return undefined
  }

  async #answer(request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void> {
    const { url = '/' } = request
    const [path, query = ''] = splitOnce(url, '?')
    if (!isDecodable(path)) return this.#refuse(response, 400, 'badRequest', 'The path is not a valid URL')
    const asked = { method: methodOf(request), path, query: new URLSearchParams(query) }
    const share = new BodyShare(this.#bodies, identity.user)
    try {
      if (isOwnPath(path)) await this.#answerOwn(request, response, { ...asked, identity }, share)
      else await this.#answerApi(request, response, { ...asked, identity }, share)
    } finally {
      share.release()
    }
  }

  /** These routes read a body once they know that one is due from this sender. */
  async #answerOwn(request: IncomingMessage, response: ServerResponse, asked: Asked, share: BodyShare): Promise<void> {
    const beganMs = performance.now()
    const body = async (bytesMax = BODY_BYTES_MAX) => parseJson(await readWhole(request, bytesMax, share))
    const answer = await this.#options.ownRoutes.answer({ ...asked, body, stream: () => response })
    if (answer === undefined) return
    this.#options.onAnswer?.('truepeer', answer.status, performance.now() - beganMs)
    if (isUnread(request)) response.setHeader('connection', 'close')
    this.#answers.send(response, answer, asked.identity.user)
  }

  async #answerApi(request: IncomingMessage, response: ServerResponse, asked: Asked, share: BodyShare): Promise<void> {
    const { method, path, query, identity } = asked
    const { user, role } = identity
    if (role === 'edge' || role === 'agent') {
      const what = 'may only follow the configuration; use one of viewer, operator or admin'
      return this.#refuse(response, 403, 'forbidden', `A token of the role ${role} ${what}`)
    }
    if (this.#answers.isFull(user)) {
      const message = 'Too many answers wait for clients that do not take them; try again later'
      return this.#refuse(response, 503, 'backendError', message)
    }
    const { headers, socket } = request
    const rawBody = await readWhole(request, bodyBytesMax(method, role), share)
    const contentType = headers['content-type'] ?? ''
    const baseUrl = baseUrlFor(this.#entrance.accessOf(request.socket).scheme, headers.host ?? 'localhost')
    const isGone = (): boolean => socket.destroyed
    const sent = { rawBody, body: parseJson(rawBody), contentType }
    const answer = await this.#options.api.handle({ method, path, query, ...sent, baseUrl, user, role, isGone })
    // Nothing else is answered on this connection.
    if (this.#entrance.isClosing()) response.setHeader('connection', 'close')
    this.#answers.send(response, answer, user)
  }

  /** Answers what has not been read whole; whatever may follow of it is not waited for. */
  #refuse(response: ServerResponse, status: number, reason: string, message: string): void {
    this.#options.onAnswer?.('none', status, 0)
    response.setHeader('connection', 'close')
    if (status === 503) response.setHeader('retry-after', RETRY_AFTER_SECONDS)
    this.#answers.send(response, refusal(status, reason, message), '')
  }

  /** What happened inside is in the log only. */
  #fail(error: unknown, { method = '', url = '/' }: IncomingMessage, response: ServerResponse): void {
    const [path] = splitOnce(url, '?')
    logInternalError(this.#options.log, error, { method, path })
    this.#options.onAnswer?.('none', 500, 0)
    if (response.headersSent) response.destroy()
    else this.#answers.send(response, refusal(500, 'internalError', 'Internal error'), '')
  }
}

/** A request whose sender is known, without its body. */
type Asked = Pick<OwnRequest, 'method' | 'path' | 'query' | 'identity'>

/** Why a body was not read to its end, as an answer says it. */
class BodyError extends Error {
  readonly refusal: readonly [status: number, reason: string, message: string]

  constructor(refusal: BodyError['refusal']) {
    super(refusal[2])
    this.refusal = refusal
  }
}

/** @throws BodyError */
async function readWhole(request: IncomingMessage, bytesMax: number, share: BodyShare): Promise<Buffer> {
  const body = await readBody(request, { bytesMax, take: (bytes) => share.take(bytes) })
  if (typeof body !== 'string') return body
  if (body !== 'too large') throw new BodyError(BODY_REFUSALS[body])
  throw new BodyError([413, 'uploadTooLarge', `The body of the request is larger than its limit of ${bytesMax} bytes`])
}

function bodyBytesMax(method: string, role: TokenRole): number {
  if (method === 'GET' || method === 'DELETE') return READ_BODY_BYTES_MAX
  return role === 'viewer' ? VIEWER_BODY_BYTES_MAX : BODY_BYTES_MAX
}

/** Whether more of its body is still to come, which nobody reads any more. */
function isUnread({ headers, complete }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
}

function refusal(status: number, reason: string, message: string): ApiResponse {
  return { status, body: errorBody({ status, message, details: [{ message, reason }] }) }
}

/** HEAD asks for the head of what GET answers; a POST may stand for another method, as with all of Google's APIs. */
function methodOf({ method = '', headers }: IncomingMessage): string {
  if (method === 'HEAD') return 'GET'
  const override = headers['x-http-method-override']
  return method === 'POST' && typeof override === 'string' ? override.trim().toUpperCase() : method
}

function isDecodable(path: string): boolean {
  try {
    decodeURI(path)
    return true
  } catch {
    return false
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
