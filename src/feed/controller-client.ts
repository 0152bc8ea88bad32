import { lookup } from 'node:dns/promises'
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { asError } from '../text/error-message.ts'
import { ALIVE_INTERVAL_MS, FEED_LINE_BYTES_MAX } from './feed.ts'

/** For a name server to answer. */
const LOOKUP_MS_MAX = 2_000
/** A line has the time of a silence, and a second more for so many bytes: 0.5 Mbit/s. */
const LINE_BYTES_PER_SECOND = 64 * 1024
/** Lines are read for so long before as much time belongs to others: health checks run on the same thread. */
const READING_MS_MAX = 10
const REFUSAL_LENGTH_MAX = 64 * 1024
const MESSAGE_LENGTH_MAX = 200
/** How long to wait before connecting again; doubled each time, and the shortest after a connection of the longest. */
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000

/** How long a controller is waited for, in milliseconds. */
type Waits = {
  /** For the beginning of an answer, and for the whole of a refusal. */
  readonly answerMsMax: number
  /** For anything at all while it is followed. */
  readonly silenceMsMax: number
}

const WAITS: Waits = { answerMsMax: 5_000, silenceMsMax: 3 * ALIVE_INTERVAL_MS }

/** Where the controller is. */
export type ControllerAddress =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'unix'; readonly path: string }

/** The controller has answered, and does not do what it was asked for. */
export class ControllerRefusal extends Error {
  override readonly name = 'ControllerRefusal'
  readonly status: number

  constructor(status: number, message: string) {
    super(`status ${status}: ${message}`)
    this.status = status
  }
}

/** Reads what a connection is made with, as it is now: both are replaced while programs run. @throws Error */
export type ControllerSecrets = {
  /** The bearer token. */
  readonly readToken: () => string | undefined
  /** Certificates in PEM that may have signed the controller's; undefined: those of node. */
  readonly readCa: () => string | undefined
}

/** Speaks with the controller, in the name of one edge or agent. */
export class ControllerClient {
  readonly #address: ControllerAddress
  readonly #secrets: ControllerSecrets
  readonly #waits: Waits
  /** Where it has answered last. */
  #lastAddress: string | undefined

  constructor(address: ControllerAddress, secrets: ControllerSecrets, waits = WAITS) {
    this.#address = address
    this.#secrets = secrets
    this.#waits = waits
  }

  /**
   * Follows what the controller says on a path, line by line, and connects again for as long as it is not told to end.
   * Never rejects.
   *
   * @param pathOf what to ask for, from where it was left
   * @param onLine takes an object of JSON; throws to begin anew
   * @param onEnd is told that the connection is gone
   * @param lineBytesMax longer lines are not taken
   */
  async follow(
    {
      pathOf,
      onLine,
      onEnd,
      lineBytesMax = FEED_LINE_BYTES_MAX,
    }: { pathOf: () => string; onLine: (line: unknown) => void; onEnd?: () => void; lineBytesMax?: number | undefined },
    { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
  ): Promise<void> {
    let retryMs = RETRY_MS_MIN
    let lastProblem = ''
    let isFollowing = false
    while (!signal.aborted) {
      const startedMs = performance.now()
      const take = (text: string): void => {
        const line = parseLine(text)
        // First: whoever sends what cannot be taken is no controller, and is asked less and less often.
        onLine(line)
        if (!isFollowing) log('info', 'following the controller')
        isFollowing = true
        lastProblem = ''
      }
      const ended = await this.#followOnce(pathOf(), signal, { onLine: take, lineBytesMax })
      isFollowing = false
      onEnd?.()
      if (signal.aborted) return
      // Not every attempt of a long night.
      if (ended.message !== lastProblem) log('warn', 'The controller cannot be followed', { problem: ended.message })
      lastProblem = ended.message
      // One that always ends at once is not asked ten times a second for ever.
      if (performance.now() - startedMs >= RETRY_MS_MAX) retryMs = RETRY_MS_MIN
      // Those that have lost the same controller do not come back at the same moment.
      await sleep(retryMs * (0.5 + Math.random() / 2), undefined, { ref: false })
      retryMs = Math.min(RETRY_MS_MAX, retryMs * 2)
    }
  }

  /** Resolves with why it has ended. */
  async #followOnce(path: string, signal: AbortSignal, reader: LineReader): Promise<Error> {
    try {
      const response = await this.#answer(this.#request('GET', path, signal))
      await readLines(response, this.#waits.silenceMsMax, reader)
      return new Error('closed by the controller')
    } catch (error) {
      return asError(error)
    }
  }

  /** Where it is, as far as it is known: what its name leads to now, and where it has answered last. */
  async addresses(): Promise<readonly string[]> {
    if (this.#address.kind === 'unix') return []
    const host = new URL(this.#address.url).hostname.replace(/^\[(.*)\]$/, '$1')
    // Without an answer of the name server there is still the last connection.
    const late = sleep(LOOKUP_MS_MAX, [], { ref: false })
    const found = await Promise.race([lookup(host, { all: true }).catch(() => []), late])
    return [...found.map(({ address }) => address), ...(this.#lastAddress === undefined ? [] : [this.#lastAddress])]
  }

  /** Tells the controller something, in JSON. @throws ControllerRefusal, or Error when there is no answer in time */
  async post(path: string, json: string, signal: AbortSignal): Promise<void> {
    const asked = this.#request('POST', path, signal)
    asked.setHeader('content-type', 'application/json')
    const response = await this.#answer(asked, json)
    // There is nothing in it that has to be read, however long it is.
    response.destroy()
  }

  /** Asks the controller something. @throws ControllerRefusal, or Error when there is no answer in time */
  async get(path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#waits.answerMsMax)
    const response = await this.#answer(this.#request('GET', path, signal))
    return JSON.parse(await readText(response)) as unknown
  }

  /**
   * Sends a request. The answer has to begin in time, and one that refuses has to end in time, however slowly it drips.
   *
   * @throws ControllerRefusal, or Error when there is no answer in time
   */
  async #answer(asked: ClientRequest, body?: string): Promise<IncomingMessage> {
    const { answerMsMax } = this.#waits
    let late: Error | undefined
    const timer = setTimeout(() => {
      late = new Error(`no answer within ${answerMsMax / 1_000} s`)
      asked.destroy(late)
    }, answerMsMax)
    try {
      asked.end(body)
      const response = await answerTo(asked)
      this.#lastAddress = response.socket.remoteAddress
      if (response.statusCode !== 200) throw await refusal(response)
      return response
    } catch (error) {
      // An answer that is cut off says only that it was.
      throw late ?? withRemedy(asError(error))
    } finally {
      clearTimeout(timer)
    }
  }

  #request(method: string, path: string, signal: AbortSignal): ClientRequest {
    const token = this.#secrets.readToken()
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const options = { method, headers, signal, agent: false } as const
    if (this.#address.kind === 'unix') {
      // The name only fills the Host header.
      return requestHttp({ ...options, path, socketPath: this.#address.path, host: 'localhost' })
    }
    const target = new URL(path, this.#address.url)
    if (target.protocol === 'http:') return requestHttp(target, options)
    const ca = this.#secrets.readCa()
    return requestHttps(target, ca === undefined ? options : { ...options, ca })
  }
}

/** What OpenSSL calls a chain that leads to no authority that is known (openssl-verification-options(1)). */
const UNKNOWN_AUTHORITY =
  /^(?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/

function withRemedy(error: NodeJS.ErrnoException): Error {
  if (!UNKNOWN_AUTHORITY.test(error.code ?? '')) return error
  const remedy = 'give the authority of its certificate with --controller-ca, or "controllerCa" in the file of an agent'
  // Later versions of node put an advice of their own behind what OpenSSL says.
  const [said] = error.message.split(';', 1)
  return new Error(`${said}; ${remedy}`, { cause: error })
}

function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once('response', resolve)
    // Stays: an error that nobody listens to would end the process.
    asked.on('error', reject)
  })
}

async function refusal(response: IncomingMessage): Promise<ControllerRefusal> {
  const { statusCode = 0, statusMessage = '', headers } = response
  const said = messageIn(await readText(response)).trim()
  const elsewhere = headers.location === undefined ? '' : `it is at "${headers.location}", which is not followed`
  const message = said || elsewhere || statusMessage
  return new ControllerRefusal(statusCode, message.slice(0, MESSAGE_LENGTH_MAX))
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) {
    text += String(part)
    if (text.length > REFUSAL_LENGTH_MAX) break
  }
  return text
}

function parseLine(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Its message repeats a part of the text, which may be that of a key.
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined
  if (typeof type !== 'string') throw new Error('sent an invalid line; is it a controller?')
  return value
}

function messageIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: unknown } }
    return String(error?.message ?? text)
  } catch {
    return text
  }
}

/** Who takes lines, and how long they may be. */
type LineReader = { readonly onLine: (text: string) => void; readonly lineBytesMax: number }

/**
 * Reads until the end.
 *
 * @param silenceMsMax without a line for this long the connection is dead, whatever TCP thinks
 * @throws Error of `onLine`, or when nothing comes, or no end of a line
 */
async function readLines(
  response: IncomingMessage,
  silenceMsMax: number,
  { onLine, lineBytesMax }: LineReader,
): Promise<void> {
  response.setTimeout(silenceMsMax, () => void response.destroy(new Error(`silent for ${silenceMsMax / 1_000} s`)))
  let parts: Buffer[] = []
  let length = 0
  let lineBeganMs = performance.now()
  let readingMs = 0
  /** @throws Error when so much of a line in such a time is not to be waited for */
  const checkLine = (lineLength: number, nowMs: number): void => {
    if (lineLength > lineBytesMax) throw new Error(`sent a line that is longer than ${lineBytesMax / 1024 / 1024} MiB`)
    const lateMs = lineBeganMs + silenceMsMax + (lineLength / LINE_BYTES_PER_SECOND) * 1_000
    if (nowMs > lateMs) throw new Error('sent a line too slowly')
  }
  for await (const chunk of response) {
    const beganMs = performance.now()
    let rest = chunk as Buffer
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      checkLine(length + end, beganMs)
      onLine(Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8'))
      parts = []
      length = 0
      lineBeganMs = performance.now()
      rest = rest.subarray(end + 1)
    }
    if (rest.length > 0) parts.push(rest)
    length += rest.length
    checkLine(length, beganMs)
    readingMs += performance.now() - beganMs
    if (readingMs < READING_MS_MAX) continue
    await sleep(readingMs, undefined, { ref: false })
    // Who is not read cannot be late.
    lineBeganMs += readingMs
    readingMs = 0
  }
}
