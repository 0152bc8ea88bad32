import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type IncomingHttpHeaders, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { TestContext } from 'node:test'
import { parseEndpoint } from '../../address/endpoint.ts'
import { EMPTY_SNAPSHOT } from '../../snapshot/snapshot.ts'
import type { ListenAddress } from '../../telemetry/listen.ts'
import type { Log, LogFields } from '../../telemetry/log.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { EdgeHub } from '../publish/edge-hub.ts'
import { EdgeSources } from '../publish/edge-sources.ts'
import { MemoryStore } from '../store/memory-store.ts'
import type { TokenRole } from '../store/store.ts'
import { makeToken } from '../store/token.ts'
import { Door } from './door.ts'
import { type HttpServerOptions, startHttpServer, type TlsIdentity } from './http-server.ts'
import { OwnRoutes } from './own-routes.ts'

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }

type Limits = Pick<HttpServerOptions, 'answerLimits' | 'bodiesBytesMax' | 'connectionsMax'>

/** A server in front of an API that says what it was asked. */
export async function serve(t: TestContext, address: ListenAddress, tls?: TlsIdentity, limits: Limits = {}) {
  const store = new MemoryStore()
  const requests: ApiRequest[] = []
  const answers: string[] = []
  const refusals: string[] = []
  const logged: (readonly [message: string, fields: LogFields | undefined])[] = []
  let answer: (request: ApiRequest) => ApiResponse | Promise<ApiResponse> = () => ({ status: 200, body: {} })
  const log: Log = (_level, message, fields) => void logged.push([message, fields])
  const hub = new EdgeHub({
    publication: () => ({ version: 1, snapshot: EMPTY_SNAPSHOT, leftOut: [] }),
    generation: 'g',
    log,
    clock: Date.now,
    monotonicClock: () => performance.now(),
  })
  const sources = new EdgeSources(store, log)
  const server = await startHttpServer({
    address,
    tls,
    door: new Door(
      store,
      () => performance.now(),
      () => {},
    ),
    api: {
      async handle(request) {
        requests.push(request)
        return answer(request)
      },
    },
    ownRoutes: new OwnRoutes(hub, sources, store),
    ...limits,
    onRefusedConnection: (reason) => void refusals.push(reason),
    onAnswer: (method, status) => void answers.push(`${method} ${status}`),
    log,
  })
  t.after(async () => {
    hub.close()
    sources.close()
    await server.close()
  })
  const where = address.kind === 'unix' ? { socketPath: address.path } : locationOf(server.url)
  return {
    server,
    hub,
    sources,
    requests,
    logged,
    answers,
    refusals,
    answerWith: (next: typeof answer): void => {
      answer = next
    },
    token(role: TokenRole, user: string = role): { authorization: string } {
      const { text, stored } = makeToken({ user, role }, '', randomBytes)
      store.addToken(stored)
      return { authorization: `Bearer ${text}` }
    },
    ask: (method: string, path: string, headers: Record<string, string> = {}, body?: string | Buffer) =>
      ask({ ...where, method, path, headers, agent: false }, body, tls),
  }
}

/** What node's clients are given for a URL. */
export function locationOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace('0.0.0.0', '127.0.0.1'), port: Number(port) }
}

/** Sends one request on a connection of its own. */
export function ask(options: RequestOptions, body: string | Buffer | undefined, tls?: TlsIdentity): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = tls === undefined ? requestHttp(options) : requestHttps({ ...options, ca: tls.cert })
    asked.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** `127.0.0.1:0` */
export function tcp(text: string): ListenAddress {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return { kind: 'tcp', endpoint }
}

/** A free port. */
export const LOOPBACK = tcp('127.0.0.1:0')
