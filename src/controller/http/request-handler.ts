import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../telemetry/log.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { errorBody } from '../model/api-error.ts'
import { baseUrlFor } from '../model/resource-paths.ts'
import type { AnswerListener } from '../model/world.ts'
import type { Identity } from '../store/token.ts'
import { type AnswerLimits, Answers } from './answers.ts'
import type { Access, Door } from './door.ts'
import { logInternalError } from './internal-error.ts'
import { isOwnPath, type OwnRoutes } from './own-routes.ts'
import { BODY_BYTES_MAX, parseJson, type ReadBody, readBody } from './read-body.ts'

const BODY_REFUSALS: Readonly<Record<Exclude<ReadBody, Buffer>, readonly [number, string, string]>> = {
  'too large': [413, 'uploadTooLarge', `The request is larger than the limit of ${BODY_BYTES_MAX} bytes`],
  'cut off': [400, 'badRequest', 'The request is not complete'],
  'unknown encoding': [415, 'unsupportedMediaType', 'The Content-Encoding is unknown; send gzip, deflate or none'],
  'not compressed': [400, 'badRequest', 'The body is not compressed as its Content-Encoding says'],
}

/** What is behind the server. */
export type RequestHandlerOptions = {
  readonly door: Door
  readonly api: { handle(request: ApiRequest): Promise<ApiResponse> }
  readonly ownRoutes: OwnRoutes
  /** Told of answers that are not of the API. */
  readonly onAnswer?: AnswerListener | undefined
  readonly log: Log
  readonly answerLimits?: AnswerLimits | undefined
}

/** Takes requests through the door, reads them, and hands them to whoever answers. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions
  readonly #access: Access
  readonly #isClosing: () => boolean
  readonly #answers: Answers

  /** @param isClosing whether only requests that have come are still answered */
  constructor(options: RequestHandlerOptions, access: Access, isClosing: () => boolean) {
    this.#options = options
    this.#access = access
    this.#isClosing = isClosing
    this.#answers = new Answers(options.log, options.answerLimits)
  }

  /** Answers; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#isClosing()) return this.#refuse(response, 503, 'backendError', 'The controller is stopping')
      const identity = this.#letIn(request, response)
      if (identity !== undefined) await this.#answer(request, response, identity)
    } catch (error) {
      this.#fail(error, request, response)
    }
  }

  /** Before the body is read; undefined: it was refused. */
  #letIn({ headers, socket }: IncomingMessage, response: ServerResponse): Identity | undefined {
    const { host, origin, authorization } = headers
    const peerAddress = socket.remoteAddress ?? ''
    const entered = this.#options.door.enter({ host, origin, authorization, peerAddress }, this.#access)
    if (!('status' in entered)) return entered
    const { status, reason, message } = entered
    this.#refuse(response, status, reason, message)
    return undefined
  }

  async #answer(request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void> {
    const { url = '/', headers } = request
    const { user, role } = identity
    const method = methodOf(request)
    const [path, query = ''] = splitOnce(url, '?')
    if (!isDecodable(path)) return this.#refuse(response, 400, 'badRequest', 'The path is not a valid URL')
    const rawBody = await readBody(request)
    if (typeof rawBody === 'string') return this.#refuse(response, ...BODY_REFUSALS[rawBody])
    const asked = { method, path, query: new URLSearchParams(query), body: parseJson(rawBody) }
    if (isOwnPath(path)) {
      const beganMs = performance.now()
      const answer = await this.#options.ownRoutes.answer({ ...asked, identity, stream: () => response })
      if (answer === undefined) return
      this.#options.onAnswer?.('truepeer', answer.status, performance.now() - beganMs)
      return this.#answers.send(response, answer, user)
    }
    if (role === 'edge' || role === 'agent') {
      const what = 'may only follow the configuration; use one of viewer, operator or admin'
      return this.#refuse(response, 403, 'forbidden', `A token of the role ${role} ${what}`)
    }
    if (this.#answers.isFull(user)) {
      const message = 'Too many answers wait for clients that do not take them; try again later'
      return this.#refuse(response, 503, 'backendError', message)
    }
    const contentType = headers['content-type'] ?? ''
    const baseUrl = baseUrlFor(this.#access.scheme, headers.host ?? 'localhost')
    const isGone = (): boolean => request.socket.destroyed
    const answer = await this.#options.api.handle({ ...asked, rawBody, contentType, baseUrl, user, role, isGone })
    // Nothing else is answered on this connection.
    if (this.#isClosing()) response.setHeader('connection', 'close')
    this.#answers.send(response, answer, user)
  }

  /** Answers what has not been read whole; whatever may follow of it is not waited for. */
  #refuse(response: ServerResponse, status: number, reason: string, message: string): void {
    this.#options.onAnswer?.('none', status, 0)
    response.setHeader('connection', 'close')
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
