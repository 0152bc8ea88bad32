import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { Line } from '../conversation/line.ts'
import { codeOf, errorText, failure, type ProbeResult, plainText } from '../conversation/probe-result.ts'
import { type HttpCheck, HttpJudge, hostOf, USER_AGENT } from './http-check.ts'

/** In MB, the least that node takes; all that a session may hold. */
const SESSION_MEMORY_MAX = 1

/** Asks with HTTP/2 over a connection on which TLS has agreed on `h2`. */
export function exchangeHttp2(line: Line, check: HttpCheck, address: string): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const judge = new HttpJudge(check)
    const conclude = (result: ProbeResult | undefined): void => {
      if (result !== undefined) resolve(result)
    }
    const stream = requestHttp2(
      line,
      {
        ':method': 'GET',
        ':scheme': 'https',
        ':authority': hostOf(check, address),
        ':path': check.requestPath,
        'user-agent': USER_AGENT,
        accept: '*/*',
      },
      undefined,
      resolve,
    )
    stream.on('response', (headers) => conclude(judge.onStatus(headers[':status'])))
    stream.on('data', (bytes: Buffer) => conclude(judge.onBody(bytes)))
    stream.on('end', () => conclude(judge.onEnd()))
  })
}

/**
 * Sends one request on a new HTTP/2 session over the line.
 *
 * `onBroken` is called with what went wrong, and in any case when the stream has closed; only its first call counts. The
 * caller reads the stream, whose bytes are counted here.
 */
export function requestHttp2(
  line: Line,
  headers: OutgoingHttpHeaders,
  body: Uint8Array | undefined,
  onBroken: (result: ProbeResult) => void,
): ClientHttp2Stream {
  // The authority only has to be one: the request names its own.
  const session = connectHttp2(`${headers[':scheme']}://backend`, {
    createConnection: () => line.stream,
    maxSessionMemory: SESSION_MEMORY_MAX,
    settings: { enablePush: false },
  })
  session.on('error', (error) => onBroken(failure(http2Failure(error))))
  const stream = session.request(headers, { endStream: body === undefined })
  stream.on('error', (error) => onBroken(failure(http2Failure(error))))
  stream.on('data', (bytes: Buffer) => line.countTaken(bytes.length))
  stream.on('close', () => onBroken(failure('closed by the backend without a response')))
  if (body !== undefined) stream.end(body)
  line.goodbye = () => sayGoodbye(session, stream)
  return stream
}

function sayGoodbye(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  if (!stream.closed) stream.close()
  if (!session.closed) session.close()
}

function http2Failure(error: Error): string {
  const code = codeOf(error)
  return code.startsWith('ERR_HTTP2') ? `HTTP/2 failed: ${plainText(error.message)}` : errorText(error)
}
