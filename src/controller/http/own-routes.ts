import type { ServerResponse } from 'node:http'
import { formatIpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { copyJson } from '../../compute/json-value.ts'
import { isResourceName } from '../../compute/reference.ts'
import { isEdgeSource, SOURCES_MAX } from '../../feed/edge-source.ts'
import {
  type ConfigurationId,
  type EdgeReport,
  type InstanceAnswer,
  isAsked,
  type ReportedHealth,
  type SentReport,
} from '../../feed/feed.ts'
import { isWhyAnswer, type WhyAnswer } from '../../telemetry/edge-why.ts'
import type { ApiResponse } from '../methods/api-request.ts'
import { ApiError, errorBody, shown } from '../model/api-error.ts'
import type { EdgeHub, FeedSink, FollowerEvents, HubRefusal, NoAnswer } from '../publish/edge-hub.ts'
import type { EdgeSources } from '../publish/edge-sources.ts'
import type { Store } from '../store/store.ts'
import type { Identity } from '../store/token.ts'
import { ANYBODY_ON_HOST } from './door.ts'
import { edgePage } from './edge-list.ts'

/** What of a request these routes look at. */
export type OwnRequest = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Reads the body, once it is known that its sender may send one; undefined: there is none, or it is not JSON. */
  readonly body: (bytesMax?: number) => Promise<unknown>
  readonly identity: Identity
  /** Takes the response over, for an answer without end. */
  readonly stream: () => ServerResponse
}

const PREFIX = '/truepeer/v1/'
const EDGE_STATUS = /^edges\/([^/]+)\/status$/
const EDGE_WHY = /^edges\/([^/]+)\/why$/
const EDGE_ANSWER = /^edges\/([^/]+)\/answers\/([-0-9a-f]{36})$/
const EDGE = /^edges\/([^/]+)$/
const INSTANCE = /^instances\/([^/]+)$/
/** Longer than an explanation of the largest services, for each frontend that an edge explains at a time. */
const ANSWER_BYTES_MAX = 1024 * 1024
const ANSWER_PROBLEM_LENGTH_MAX = 1_000
const AUDIT_COUNT_MAX = 1_000
const AUDIT_COUNT = 100
const PROBLEMS_MAX = 20
const PROBLEM_LENGTH_MAX = 1_000
const HEALTH_MAX = 200_000
const HEALTH_ID_LENGTH_MAX = 100
/** How a process of an edge calls itself; empty: it does not. */
const PROCESS_FORM = /^[-0-9a-f]{0,64}$/

/** Reports whether a path is not one of Google's. */
export function isOwnPath(path: string): boolean {
  return path.startsWith(PREFIX)
}

/**
 * The routes that Compute Engine does not have: `GET watch`, which edges follow, `POST edges/NAME/status`, by which they
 * report, and by which an edge's doctor asks whether its token may, `GET sources`, which agents follow,
 * `GET instances/NAME`, by which an agent's doctor asks what is known of its host, and for people `GET edges`,
 * `DELETE edges/NAME` and `GET audit`.
 */
export class OwnRoutes {
  readonly #hub: EdgeHub
  readonly #sources: EdgeSources
  readonly #store: Pick<Store, 'audit' | 'all'>

  constructor(hub: EdgeHub, sources: EdgeSources, store: Pick<Store, 'audit' | 'all'>) {
    this.#hub = hub
    this.#sources = sources
    this.#store = store
  }

  /** Answers, or takes the response over and returns undefined. */
  async answer(request: OwnRequest): Promise<ApiResponse | undefined> {
    try {
      return await this.#answer(request)
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, body: errorBody(error) }
      throw error
    }
  }

  async #answer(request: OwnRequest): Promise<ApiResponse | undefined> {
    const route = request.path.slice(PREFIX.length)
    const edge = EDGE_STATUS.exec(route)?.[1]
    if (edge !== undefined) {
      allowMethod(request, 'POST')
      return this.#report(edgeName(edge, request), request)
    }
    const answered = EDGE_ANSWER.exec(route)
    if (answered !== null) {
      allowMethod(request, 'POST')
      return this.#answerOfEdge(edgeName(answered[1], request), answered[2], request)
    }
    const explained = EDGE_WHY.exec(route)?.[1]
    if (explained !== undefined) {
      allowMethod(request, 'GET')
      return this.#why(explained, request)
    }
    const forgotten = EDGE.exec(route)?.[1]
    if (forgotten !== undefined) {
      allowMethod(request, 'DELETE')
      return this.#forget(forgotten, request)
    }
    allowMethod(request, 'GET')
    const instance = INSTANCE.exec(route)?.[1]
    if (instance !== undefined) return this.#instance(instance, request)
    switch (route) {
      case 'sources':
        return this.#watchSources(request)
      case 'watch':
        return this.#watch(edgeName(request.query.get('name') ?? '', request), request)
      case 'edges':
        allowPeople(request)
        return { status: 200, body: edgePage(this.#hub.edges(), request.query.get('pageToken') ?? '') }
      case 'audit':
        return this.#audit(request)
    }
    throw new ApiError(404, { message: `There is no ${PREFIX}${route.slice(0, 80)}`, reason: 'notFound' })
  }

  async #report(name: string, { body, query }: OwnRequest): Promise<ApiResponse> {
    const { healthId, health = this.#hub.healthOf(name, healthId), ...rest } = readReport(await body())
    if (health === undefined) {
      const message = 'The healthId is unknown; report the health of all backends'
      throw new ApiError(409, { message, reason: 'conditionNotMet' })
    }
    const refused = this.#hub.report(name, { ...rest, health }, healthId, processOf(query))
    if (refused !== undefined) throw hubError(name, refused)
    const limit = await this.#sources.set(name, rest.sources)
    if (limit === undefined) return { status: 200, body: {} }
    const message = `The addresses of "${name}" are not taken: ${limit}`
    throw new ApiError(429, { message, reason: 'rateLimitExceeded' })
  }

  /** Asks an edge on behalf of a person. */
  async #why(name: string, request: OwnRequest): Promise<ApiResponse> {
    allowPeople(request)
    const client = request.query.get('client') ?? ''
    if (!isAsked(client)) throw invalid('client', 'give an address, such as 192.0.2.7')
    const frontend = request.query.get('frontend') ?? undefined
    if (frontend !== undefined && !isAsked(frontend)) throw invalid('frontend', 'give a forwarding rule')
    const answer = await this.#hub.ask(name, { client, frontend })
    if (answer === 'away' && !this.#isKnown(name)) throw unknownEdge(name)
    if (typeof answer === 'string') throw noAnswer(name, answer)
    if (answer.kind === 'explained') return { status: 200, body: answer }
    throw new ApiError(400, { message: answer.problem.slice(0, ANSWER_PROBLEM_LENGTH_MAX), reason: 'invalid' })
  }

  /** Who asked hears at once of an answer that is not one. */
  async #answerOfEdge(name: string, id: string, { body, query }: OwnRequest): Promise<ApiResponse> {
    const answer = readAnswer(await body(ANSWER_BYTES_MAX))
    const refused = this.#hub.answer(name, id, answer, processOf(query))
    if (refused === 'unasked') {
      throw new ApiError(404, { message: 'Nobody waits for this answer', reason: 'notFound' })
    }
    if (refused !== undefined) throw hubError(name, refused)
    if (answer === 'invalid') throw invalid('body', 'give an explanation, or why there is none')
    return { status: 200, body: {} }
  }

  #watch(name: string, { query, stream }: OwnRequest): undefined {
    const generation = query.get('generation') ?? ''
    const version = Number(query.get('version') ?? '')
    const digest = query.get('digest') ?? undefined
    const process = processOf(query)
    attach(stream(), (sink) => {
      const events = this.#hub.follow(name, { generation, version, digest }, sink, process)
      if (typeof events === 'string') throw hubError(name, events)
      return events
    })
  }

  #watchSources({ identity, stream }: OwnRequest): undefined {
    allowAgents(identity)
    attach(stream(), (sink) => {
      const events = this.#sources.follow(sink)
      if (events === undefined) throw tooMany('agents')
      return events
    })
  }

  /** Edges may reach a host as an endpoint, too: that no instance has this name is no error. */
  #instance(name: string, { identity }: OwnRequest): ApiResponse {
    allowAgents(identity)
    if (!isResourceName(name)) throw invalid('name', 'write small letters, digits and "-", such as my-backend')
    const instances = this.#store
      .all()
      .filter((stored) => stored.collection === 'instances' && stored.name === name)
      .map(({ project, scope }) => `projects/${project}/${scope}/instances/${name}`)
    const body: InstanceAnswer = { instances, edges: this.#sources.addresses() }
    return { status: 200, body }
  }

  #isKnown(name: string): boolean {
    return this.#hub.knows(name) || this.#sources.has(name)
  }

  async #forget(name: string, { identity }: OwnRequest): Promise<ApiResponse> {
    if (identity.role !== 'admin') throw forbidden(identity, 'Only an admin may make the controller forget an edge')
    if (!this.#isKnown(name)) throw unknownEdge(name)
    if (!this.#hub.forget(name))
      throw new ApiError(409, { message: `"${name}" is connected`, reason: 'conditionNotMet' })
    await this.#sources.set(name, [])
    return { status: 200, body: {} }
  }

  #audit(request: OwnRequest): ApiResponse {
    const { identity } = request
    if (identity.role !== 'admin') throw forbidden(identity, 'Only an admin may read the audit log')
    const text = request.query.get('count') ?? `${AUDIT_COUNT}`
    const count = /^\d{1,4}$/.test(text) ? Math.min(Number(text), AUDIT_COUNT_MAX) : 0
    if (count === 0) throw invalid('count', `give a number from 1 to ${AUDIT_COUNT_MAX}`)
    return { status: 200, body: { items: this.#store.audit(count) } }
  }
}

/** @param follow throws when it does not let the client follow; nothing was written then */
function attach(response: ServerResponse, follow: (sink: FeedSink) => FollowerEvents): void {
  const begin = (): void => {
    if (response.headersSent) return
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    // Who follows waits for the beginning of the answer no longer than for any other.
    response.flushHeaders()
  }
  const write = (line: string): boolean => {
    begin()
    return response.write(line)
  }
  const events = follow({ write, end: () => void response.destroy() })
  begin()
  response.on('drain', events.onDrain)
  response.on('close', events.onEnd)
}

function allowMethod({ method, path }: OwnRequest, allowed: string): void {
  if (method === allowed) return
  throw new ApiError(405, { message: `${path.slice(0, 80)} takes only ${allowed}`, reason: 'httpMethodNotAllowed' })
}

function allowPeople({ identity }: OwnRequest): void {
  const { role } = identity
  if (role === 'edge' || role === 'agent')
    throw forbidden(identity, `A token with the role ${role} is not allowed to do this`)
}

function allowAgents(identity: Identity): void {
  if (identity.role === 'agent' || identity.role === 'admin') return
  throw forbidden(identity, 'This token may not act for an agent; create one with the role agent')
}

/** The name of an edge that this identity may speak for. @throws ApiError */
function edgeName(name: string, { identity }: OwnRequest): string {
  const { user, role } = identity
  if (!isResourceName(name)) throw invalid('name', 'write small letters, digits and "-", such as edge-1')
  if (role === 'admin' || (role === 'edge' && user === name)) return name
  const remedy = `make a token with "--role edge --user ${name}"`
  throw forbidden(identity, `This token may not speak for the edge "${name}"; ${remedy}`)
}

function processOf(query: URLSearchParams): string {
  const text = query.get('process') ?? ''
  if (PROCESS_FORM.test(text)) return text
  throw invalid('process', 'give a UUID')
}

/** What an edge says of a client, in the form and the depth of an answer: it is handed on to whoever asked. */
function readAnswer(body: unknown): WhyAnswer | 'invalid' {
  const answer = copyJson(body)
  return isWhyAnswer(answer) ? answer : 'invalid'
}

/** Checks what an edge says of itself. @throws ApiError */
function readReport(body: unknown): SentReport {
  const { region, zone, applied, refused, healthId, health, sources } = mapping(body, 'body')
  const id = readHealthId(healthId)
  return {
    region: optionalName(region, 'region'),
    zone: optionalName(zone, 'zone'),
    applied: readId(applied, 'applied'),
    refused: refused === undefined || refused === null ? undefined : readRefused(refused),
    healthId: id,
    health: health === undefined && id !== undefined ? undefined : readHealth(health),
    sources: readSources(sources),
  }
}

function readRefused(value: unknown): EdgeReport['refused'] {
  const { problems } = mapping(value, 'refused')
  if (!Array.isArray(problems)) throw invalid('refused.problems', 'give a list of texts')
  const lines = problems.slice(0, PROBLEMS_MAX).map((line: unknown) => {
    if (typeof line !== 'string') throw invalid('refused.problems', 'give a list of texts')
    return line.slice(0, PROBLEM_LENGTH_MAX)
  })
  return { ...readId(value, 'refused'), problems: lines }
}

function readId(value: unknown, field: string): ConfigurationId {
  const { generation, version } = mapping(value, field)
  if (typeof generation !== 'string' || generation.length > 64) throw invalid(`${field}.generation`, 'give a text')
  if (!Number.isSafeInteger(version)) throw invalid(`${field}.version`, 'give a whole number')
  return { generation, version: version as number }
}

function readHealthId(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value.length > HEALTH_ID_LENGTH_MAX) throw invalid('healthId', 'give a short text')
  return value
}

function readHealth(value: unknown): EdgeReport['health'] {
  const entries = Object.entries(mapping(value, 'health'))
  if (entries.length > HEALTH_MAX) throw invalid('health', `give at most ${HEALTH_MAX} backends`)
  for (const [key, state] of entries) {
    if (state !== 'HEALTHY' && state !== 'UNHEALTHY' && state !== 'DRAINING') {
      throw invalid(`health["${key.slice(0, 80)}"]`, 'give HEALTHY, UNHEALTHY or DRAINING')
    }
  }
  return Object.fromEntries(entries) as Readonly<Record<string, ReportedHealth>>
}

/** Single addresses only, of one host: an edge cannot make agents trust a whole network, or their own users. */
function readSources(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  if (!Array.isArray(value) || list.length > SOURCES_MAX) {
    throw invalid('sources', `give a list of at most ${SOURCES_MAX} addresses`)
  }
  return list.map((text) => {
    const address = typeof text === 'string' ? parseIpAddress(text) : undefined
    if (address !== undefined && isEdgeSource(address)) return formatIpAddress(address)
    const remedy = 'give single addresses that only the host of the edge has, such as "192.0.2.1"'
    const shownText = typeof text === 'string' ? `"${text.slice(0, 80)}"` : 'What is not a text'
    throw invalid('sources', `${shownText} is not an address that agents can trust; ${remedy}`)
  })
}

function optionalName(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || !isResourceName(value)) throw invalid(field, 'give the name of one')
  return value
}

function mapping(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid(field, 'give a JSON object')
}

function invalid(field: string, remedy: string): ApiError {
  return new ApiError(400, { message: `Invalid value for field '${field}': ${remedy}`, reason: 'invalid' })
}

/** @param message what this user may not do */
function forbidden(identity: Identity, message: string): ApiError {
  if (identity !== ANYBODY_ON_HOST) return new ApiError(403, { message, reason: 'forbidden' })
  const without =
    'A bearer token is needed for this on loopback, too; make one with "truepeer controller token create", or ask on the UNIX socket of --unix'
  return new ApiError(401, { message: without, reason: 'required' })
}

function hubError(name: string, refusal: HubRefusal): ApiError {
  if (refusal === 'full') return tooMany('edges')
  const message = `Another edge follows as "${name}"; give each edge a --name of its own, or stop the other one`
  return new ApiError(409, { message, reason: 'alreadyExists' })
}

function unknownEdge(name: string): ApiError {
  const message = `There is no edge "${shown(name)}"; "GET ${PREFIX}edges" lists them`
  return new ApiError(404, { message, reason: 'notFound' })
}

function noAnswer(name: string, why: NoAnswer): ApiError {
  const edge = `The edge "${shown(name)}"`
  const list = `GET ${PREFIX}edges lists those that are`
  switch (why) {
    case 'away':
      return new ApiError(503, { message: `${edge} is not connected; ${list}`, reason: 'backendError' })
    case 'busy':
      return new ApiError(429, {
        message: `${edge} has too much to answer already; ask again later`,
        reason: 'rateLimitExceeded',
      })
    case 'late':
      return new ApiError(504, { message: `${edge} does not answer`, reason: 'backendError' })
    case 'invalid': {
      const remedy = 'compare "truepeer --version" of both'
      return new ApiError(502, {
        message: `${edge} has not given an answer of this version; ${remedy}`,
        reason: 'backendError',
      })
    }
  }
}

function tooMany(followers: string): ApiError {
  return new ApiError(503, { message: `There are too many ${followers}`, reason: 'backendError' })
}
