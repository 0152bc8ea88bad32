import { request } from 'node:http'
import { connect } from 'node:net'

const ANSWER_MS_MAX = 60_000

/** What a server has answered; the body is text. */
export type Answer = { readonly status: number; readonly body: string }

/** Asks an HTTP server on a UNIX socket. Rejects when it does not answer in a minute. */
export function askHttp(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(ANSWER_MS_MAX)
    const options = { socketPath, method, path, headers, host: 'localhost', agent: false, signal }
    const asked = request(options, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }))
    })
    asked.on('error', reject)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Asks the preload of an edge one word; its answer is JSON. Rejects when it does not answer in a minute. */
export function askPreload(socketPath: string, question: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(`${question}\n`))
    const parts: Buffer[] = []
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error(`The preload does not answer "${question}"`)))
    socket.on('data', (part) => parts.push(part))
    socket.on('error', reject)
    socket.on('end', () => resolve(JSON.parse(Buffer.concat(parts).toString()) as unknown))
  })
}
