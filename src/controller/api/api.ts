import { setImmediate } from 'node:timers/promises'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { partOf, readFields } from '../lists/partial-response.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { openApiDocument } from '../methods/openapi.ts'
import { type Route, routeOf } from '../methods/route.ts'
import { ApiError, errorBody, notFound } from '../model/api-error.ts'
import { ReferenceIndex } from '../model/reference-index.ts'
import { pathOf } from '../model/resource-paths.ts'
import type {
  AnswerListener,
  EdgeTls,
  HealthSource,
  Hub,
  InstanceProvider,
  Publication,
  Warning,
  World,
} from '../model/world.ts'
import { Publisher } from '../publish/publication.ts'
import { finishOperation, makeOperation, type NamedRequest, shownOperation } from '../resources/operations.ts'
import { addProjects } from '../resources/project.ts'
import {
  type JsonValue,
  type ResourceKey,
  type Store,
  type StoredOperation,
  StoreError,
  StoreFullError,
} from '../store/store.ts'
import { readBatch, writeBatch } from './batch.ts'
import { makeChange } from './change-methods.ts'
import { answerRead, storedOperation } from './read-methods.ts'
import { readActionBody, readBody } from './request-body.ts'
import { readRequestId } from './request-id.ts'

/** What an {@link Api} works with. */
export type ApiOptions = {
  readonly store: Store
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Random bytes, for ids. */
  readonly random: (count: number) => Uint8Array
  readonly health: HealthSource
  readonly hub: Hub
  readonly edgeTls: EdgeTls
  /** The projects that there are; in snapshots, names of all but the first begin with theirs. */
  readonly projects: readonly string[]
  /** Ranges that addresses of load balancers are taken from, `203.0.113.0/24`; IPv4 and IPv6. */
  readonly addressPools: readonly string[]
  /** Single addresses to take, before those of the pools. */
  readonly addresses: readonly string[]
  readonly provider?: InstanceProvider
  /** Told about mistakes of our own, which clients see as status 500, and which request has met them. */
  readonly onError?: (error: unknown, request: ApiRequest) => void
  readonly onAnswer?: AnswerListener | undefined
}

const BATCH_PATH = /^\/batch(\/compute\/v1)?\/?$/
const OPENAPI_PATH = '/compute/v1/openapi.json'
const IMAGE_COLLECTIONS = ['images', 'imageFamilyViews']

/** The Compute Engine API: from a request whose sender is known to an answer. */
export class Api {
  readonly #options: ApiOptions
  readonly #world: World
  readonly #publisher: Publisher

  /** Finishes what a controller before this one left unfinished. @throws StoreError */
  constructor(options: ApiOptions) {
    const { store, random, health, edgeTls, projects, addressPools, addresses, clock } = options
    this.#options = options
    addProjects(store, projects, clock(), random)
    const references = new ReferenceIndex(store.all())
    this.#publisher = new Publisher(store, references, projects, edgeTls.refusedIn)
    const { provider } = options
    this.#world = { store, references, random, health, edgeTls, projects, addressPools, addresses, provider }
    for (const operation of store.unfinished()) this.#finish(operation, [])
  }

  /** Answers a request. A change is durable in the store before its answer is there. Never throws. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    if (!BATCH_PATH.test(request.path)) return this.#answerOne(request)
    return this.#tell(request, (called) => {
      called('batch')
      return this.#answerBatch(request)
    })
  }

  /** The latest version and its snapshot; compiled when it is asked for, and kept. */
  publication(): Publication {
    return this.#publisher.publication()
  }

  #answerOne(request: ApiRequest): Promise<ApiResponse> {
    return this.#tell(request, (called) => {
      if (request.path === OPENAPI_PATH && request.method === 'GET') {
        called('openapi')
        return { status: 200, body: openApiDocument() }
      }
      const route = routeOf(request.method, request.path)
      called(route.method.id)
      return this.#answer(request, route)
    })
  }

  /** Tells of an answer, and makes one of what is thrown; `called` takes the name of the method once it is known. */
  async #tell(
    request: ApiRequest,
    answer: (called: (method: string) => void) => ApiResponse | Promise<ApiResponse>,
  ): Promise<ApiResponse> {
    const beganMs = performance.now()
    let method = 'unknown'
    let response: ApiResponse
    try {
      response = await answer((name) => {
        method = name
      })
    } catch (error) {
      response = this.#refuse(error, request)
    }
    this.#options.onAnswer?.(method, response.status, performance.now() - beganMs)
    return response
  }

  async #answer(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const fields = readFields(request.query)
    const response = await this.#answerWhole(request, route)
    if (fields === undefined || !('body' in response) || !isMapping(response.body)) return response
    return { ...response, body: partOf(response.body, fields) }
  }

  async #answerWhole(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const { method, project } = route
    const isShared = IMAGE_COLLECTIONS.includes(method.collection)
    if (!isShared && !this.#options.projects.includes(project)) throw notFound(`projects/${project}`)
    const call: Call = { world: this.#world, request, route, now: this.#options.clock() }
    if (method.collection === 'operations' && method.action !== 'list' && method.action !== 'aggregatedList') {
      return this.#answerOperation(call)
    }
    const body = method.isRead ? readActionBody(call) : {}
    if (method.isRead) return { status: 200, body: answerRead(call, body) }
    if (request.role === 'viewer') throw new ApiError(403, forbidden(request, method.id))
    return { status: 200, body: await this.#change(call) }
  }

  async #change(call: Call): Promise<Mapping> {
    const { request, route } = call
    const named = readRequestId(call)
    const earlier = named && this.#world.store.operationOfRequest(named.key)
    if (earlier !== undefined) return shownOperation(earlier, request.baseUrl)
    const hasOwnBody = ['insert', 'patch', 'update'].includes(route.method.action)
    const change = makeChange(call, hasOwnBody ? readBody(request) : readActionBody(call))
    const operation = this.#store(call, change, named)
    const late = this.#options.hub.published(this.#world.store.revision(), change.changesListeners)
    if (operation.isDone) return shownOperation(operation, request.baseUrl)
    return shownOperation(this.#finish(operation, lateWarnings(await late)), request.baseUrl)
  }

  /** One transaction: the resources, the operation and the audit record. */
  #store(call: Call, change: ResourceChange, named: NamedRequest | undefined): StoredOperation {
    const { request, route, now } = call
    const { store, references, random } = this.#world
    const { target, changes, before, after, warnings, changesListeners } = change
    const operation = makeOperation({
      target,
      type: route.method.action,
      user: request.user,
      now,
      named,
      isDone: !changesListeners,
      warnings,
      random,
    })
    const time = new Date(now).toISOString()
    const audit = [{ time, user: request.user, action: route.method.id, target: pathOf(target), before, after }]
    store.commit({ changes, operation, audit })
    this.#publisher.touch(changes)
    references.apply(changes)
    this.#publisher.touch(changes)
    if (target.collection === 'instances') this.#tellProvider(target, after)
    return operation
  }

  #tellProvider({ scope, name }: ResourceKey, after: JsonValue): void {
    const status = isMapping(after) ? String(after.status) : undefined
    this.#options.provider?.changed(scope.slice('zones/'.length), name, status)
  }

  /** Where the disk is full it stays as it is, and is finished when somebody asks for it. */
  #finish(operation: StoredOperation, warnings: readonly Warning[]): StoredOperation {
    const done = finishOperation(operation, this.#options.clock(), warnings)
    try {
      this.#options.store.commit({ changes: [], operation: done })
      return done
    } catch (error) {
      if (error instanceof StoreError) return operation
      throw error
    }
  }

  /** An operation ends within seconds, long before the two minutes that a client would wait for it. */
  async #answerOperation(call: Call): Promise<ApiResponse> {
    const { request, route } = call
    let operation = storedOperation(call)
    if (route.method.action === 'delete') {
      if (request.role === 'viewer') throw new ApiError(403, forbidden(request, route.method.id))
      // Done ones go away by themselves; there is nothing that one could hold up.
      return { status: 204, body: undefined }
    }
    if (route.method.action === 'wait' && !operation.isDone) {
      await this.#options.hub.published(this.#world.store.revision(), true)
      operation = storedOperation(call)
      if (!operation.isDone) operation = this.#finish(operation, [])
    }
    return { status: 200, body: shownOperation(operation, request.baseUrl) }
  }

  async #answerBatch(request: ApiRequest): Promise<ApiResponse> {
    if (request.method !== 'POST') throw notFound(request.path)
    const parts = readBatch(request)
    const pending: Promise<ApiResponse>[] = []
    // All begin in their order, and each change is stored when it begins; what only waits does not hold up the others.
    for (const part of parts) {
      pending.push(this.#answerOne(part.request))
      // Others have their turn between two parts.
      await setImmediate()
    }
    const responses = await Promise.all(pending)
    const answers = responses.map((response, index) => ({ contentId: parts[index].contentId, response }))
    const boundary = `batch_${Buffer.from(this.#options.random(16)).toString('hex')}`
    return writeBatch(boundary, answers)
  }

  #refuse(error: unknown, request: ApiRequest): ApiResponse {
    const known = error instanceof ApiError ? error : storeRefusal(error)
    if (known !== undefined) return { status: known.status, body: errorBody(known) }
    this.#options.onError?.(error, request)
    const message = 'Internal error: the request was not carried out, and the log of the controller says why'
    return { status: 500, body: errorBody(new ApiError(500, { message, reason: 'internalError' })) }
  }
}

function storeRefusal(error: unknown): ApiError | undefined {
  if (error instanceof StoreFullError)
    return new ApiError(507, { message: error.message, reason: 'insufficientStorage' })
  return error instanceof StoreError ? new ApiError(503, { message: error.message, reason: 'backendError' }) : undefined
}

function forbidden({ user }: ApiRequest, method: string) {
  return { message: `Required permission for '${method}': '${user}' is a viewer`, reason: 'forbidden' }
}

function lateWarnings(names: readonly string[]): readonly Warning[] {
  if (names.length === 0) return []
  const message = `These edges have not applied the change yet: ${names.slice(0, 20).join(', ')}`
  return [{ code: 'UNREACHABLE', message }]
}
