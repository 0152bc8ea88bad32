import {
  Agent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { pipeline } from 'node:stream/promises'

/** Longer than a client may wait for an operation (two minutes). */
const SILENCE_MS_MAX = 150_000
const CONNECTIONS_MAX = 256
/** Of one connection, and so not passed on (RFC 9110 §7.6.1). */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']

/** Passes requests on to the controller behind a UNIX socket, and its answers back, all as they are. */
export class ControllerRelay {
  readonly #socketPath: string
  // A connection for each request: one that is kept may be closed by the controller at the same moment.
  readonly #agent = new Agent({ keepAlive: false, maxSockets: CONNECTIONS_MAX })

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  /** Rejects when one of the two is gone before the end. */
  async pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url, headers } = request
    const passed = httpRequest({
      socketPath: this.#socketPath,
      agent: this.#agent,
      method,
      path: url,
      headers: endToEnd(headers),
      timeout: SILENCE_MS_MAX,
    })
    passed.once('timeout', () => passed.destroy(new Error('The controller does not answer')))
    // A client that leaves does not wait for the answer any more.
    response.once('close', () => passed.destroy())
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      passed.once('response', resolve).on('error', reject)
    })
    // An answer may come before all of the request was read, and counts then.
    pipeline(request, passed).catch((error: Error) => passed.destroy(error))
    const answer = await answered
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
    await pipeline(answer, response)
  }

  close(): void {
    this.#agent.destroy()
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)))
}
