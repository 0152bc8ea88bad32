import type { ServerResponse } from 'node:http'
import { classifyAddress } from '../../address/address-class.ts'
import { formatIpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { isResourceName } from '../../compute/reference.ts'
import type { ConfigurationId, EdgeReport, InstanceAnswer, ReportedHealth, SentReport } from '../../feed/feed.ts'
import type { ApiResponse } from '../methods/api-request.ts'
import { ApiError, errorBody } from '../model/api-error.ts'
import type { EdgeHub, FeedSink, FollowerEvents } from '../publish/edge-hub.ts'
import type { EdgeSources } from '../publish/edge-sources.ts'
import type { Store } from '../store/store.ts'
import type { Identity } from '../store/token.ts'

/** What of a request these routes look at. */
export type OwnRequest = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly identity: Identity
  /** Takes the response over, for an answer without end. */
  readonly stream: () => ServerResponse
}

const PREFIX = '/truepeer/v1/'
const EDGE_STATUS = /^edges\/([^/]+)\/status$/
const EDGE = /^edges\/([^/]+)$/
const INSTANCE = /^instances\/([^/]+)$/
const AUDIT_COUNT_MAX = 1_000
const AUDIT_COUNT = 100
const PROBLEMS_MAX = 20
const PROBLEM_LENGTH_MAX = 1_000
const HEALTH_MAX = 200_000
const HEALTH_ID_LENGTH_MAX = 100
const SOURCES_MAX = 1_024

/** Reports whether a path is not one of Google's. */
export function isOwnPath(path: string): boolean {
  return path.startsWith(PREFIX)
}

/**
 * The routes that Compute Engine does not have: `GET watch`, which edges follow, `POST edges/NAME/status`, by which they
 * report, `GET sources`, which agents follow, `GET instances/NAME`, by which an agent's doctor asks what is known of its
 * host, and for people `GET edges`, `DELETE edges/NAME` and `GET audit`.
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
      return this.#report(edgeName(edge, request), request.body)
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
        return { status: 200, body: { items: this.#hub.edges() } }
      case 'audit':
        return this.#audit(request)
    }
    throw new ApiError(404, { message: `There is no ${PREFIX}${route.slice(0, 80)}`, reason: 'notFound' })
  }

  async #report(name: string, body: unknown): Promise<ApiResponse> {
    const { healthId, health = this.#hub.healthOf(name, healthId), ...rest } = readReport(body)
    if (health === undefined) {
      const message = "The health of this edge's backends is not known by its healthId; report all of it"
      throw new ApiError(409, { message, reason: 'conditionNotMet' })
    }
    if (!this.#hub.report(name, { ...rest, health }, healthId)) throw tooMany()
    await this.#sources.set(name, rest.sources)
    return { status: 200, body: {} }
  }

  #watch(name: string, { query, stream }: OwnRequest): undefined {
    const generation = query.get('generation') ?? ''
    const version = Number(query.get('version') ?? '')
    return attach(stream(), (sink) => this.#hub.follow(name, { generation, version }, sink))
  }

  #watchSources({ identity, stream }: OwnRequest): undefined {
    allowAgents(identity)
    return attach(stream(), (sink) => this.#sources.follow(sink))
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

  async #forget(name: string, { identity: { role } }: OwnRequest): Promise<ApiResponse> {
    if (role !== 'admin') throw forbidden('Only an admin may make the controller forget an edge')
    if (!this.#hub.forget(name))
      throw new ApiError(409, { message: `"${name}" is connected`, reason: 'conditionNotMet' })
    await this.#sources.set(name, [])
    return { status: 200, body: {} }
  }

  #audit(request: OwnRequest): ApiResponse {
    if (request.identity.role !== 'admin') throw forbidden('Only an admin may read the audit log')
    const text = request.query.get('count') ?? `${AUDIT_COUNT}`
    const count = /^\d{1,4}$/.test(text) ? Math.min(Number(text), AUDIT_COUNT_MAX) : 0
    if (count === 0) throw invalid('count', `give a number from 1 to ${AUDIT_COUNT_MAX}`)
    return { status: 200, body: { items: this.#store.audit(count) } }
  }
}

function attach(response: ServerResponse, follow: (sink: FeedSink) => FollowerEvents | undefined): undefined {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  const events = follow({ write: (line) => response.write(line), end: () => void response.destroy() })
  if (events === undefined) {
    response.destroy()
    return undefined
  }
  response.on('drain', events.onDrain)
  response.on('close', events.onEnd)
  return undefined
}

function allowMethod({ method, path }: OwnRequest, allowed: string): void {
  if (method === allowed) return
  throw new ApiError(405, { message: `${path.slice(0, 80)} takes only ${allowed}`, reason: 'httpMethodNotAllowed' })
}

function allowPeople({ identity: { role } }: OwnRequest): void {
  if (role === 'edge' || role === 'agent') throw forbidden(`A token of the role ${role} is not for this`)
}

function allowAgents({ role }: Identity): void {
  if (role === 'agent' || role === 'admin') return
  throw forbidden('This token may not act for an agent; make one of that role')
}

/** The name of an edge that this identity may speak for. @throws ApiError */
function edgeName(name: string, { identity: { user, role } }: OwnRequest): string {
  if (!isResourceName(name)) throw invalid('name', 'write small letters, digits and "-", such as edge-1')
  if (role === 'admin' || (role === 'edge' && user === name)) return name
  const remedy = `make a token with "--role edge --user ${name}"`
  throw forbidden(`This token may not speak for the edge "${name}"; ${remedy}`)
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
  const lines = problems.slice(0, PROBLEMS_MAX).map((line) => String(line).slice(0, PROBLEM_LENGTH_MAX))
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

/** Single addresses only: an edge cannot make agents trust a whole network. */
function readSources(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  if (!Array.isArray(value) || list.length > SOURCES_MAX) {
    throw invalid('sources', `give a list of at most ${SOURCES_MAX} addresses`)
  }
  return list.map((text) => {
    const address = typeof text === 'string' ? parseIpAddress(text) : undefined
    const isUsable =
      address !== undefined && !['unspecified', 'multicast', 'broadcast'].includes(classifyAddress(address))
    if (!isUsable) throw invalid('sources', 'give addresses of this host, such as "192.0.2.1"')
    return formatIpAddress(address)
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

function forbidden(message: string): ApiError {
  return new ApiError(403, { message, reason: 'forbidden' })
}

function tooMany(): ApiError {
  return new ApiError(503, { message: 'There are too many edges', reason: 'backendError' })
}
