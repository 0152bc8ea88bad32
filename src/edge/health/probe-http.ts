import { type IncomingMessage, request as requestHttp } from 'node:http'
import type { Line } from '../conversation/line.ts'
import { codeOf, errorText, failure, type ProbeResult, plainText } from '../conversation/probe-result.ts'
import { type HttpCheck, HttpJudge, hostOf, USER_AGENT } from './http-check.ts'

const HEADER_BYTES_MAX = 16 * 1024

/** Asks with HTTP/1.1 over a connection that is open, with or without TLS. */
export function exchangeHttp(line: Line, check: HttpCheck, address: string): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const judge = new HttpJudge(check)
    const conclude = (result: ProbeResult | undefined): void => {
      if (result !== undefined) resolve(result)
    }
    const request = requestHttp({
      createConnection: () => line.stream,
      path: check.requestPath,
      headers: { host: hostOf(check, address), 'user-agent': USER_AGENT, accept: '*/*', connection: 'close' },
      maxHeaderSize: HEADER_BYTES_MAX,
      // Lines may end with LF alone, as those of a health page made with a shell do.
      insecureHTTPParser: true,
    })
    // node closes the connection when the response ends: until then the backend is not disturbed by a FIN.
    line.goodbye = () => {}
    request.on('error', (error) => resolve(failure(requestFailure(error))))
    request.on('close', () => resolve(failure('closed by the backend without a response')))
    request.on('response', (response: IncomingMessage) => {
      conclude(judge.onStatus(response.statusCode))
      response.on('error', (error) => resolve(failure(`${errorText(error)} in the body of the response`)))
      response.on('data', (bytes: Buffer) => {
        line.countTaken(bytes.length)
        conclude(judge.onBody(bytes))
      })
      response.on('end', () => conclude(judge.onEnd()))
    })
    request.end()
  })
}

function requestFailure(error: Error): string {
  const code = codeOf(error)
  if (code === 'HPE_HEADER_OVERFLOW') return `the headers of the response are longer than ${HEADER_BYTES_MAX} bytes`
  if (code.startsWith('HPE_'))
    return `the answer is not HTTP: ${plainText(error.message.replace(/^Parse Error: /, ''))}`
  if (error.message === 'socket hang up') return 'closed by the backend without a response'
  return errorText(error)
}
