import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { partOf, readFields } from '../lists/partial-response.ts'
import { checkAnswerForm, isPretty } from '../methods/answer-text.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import type { Call } from '../methods/call.ts'
import { DISCOVERY_PATHS, discoveryDocument } from '../methods/discovery.ts'
import { checkNetworkServicesQuery, isNetworkServicesPath, networkServicesRoute } from '../methods/network-services.ts'
import { networkServicesDiscovery, networkServicesVersion } from '../methods/network-services-discovery.ts'
import { openApiDocument } from '../methods/openapi.ts'
import { OPENAPI_PATH, type Route, routeOf } from '../methods/route.ts'
import { ApiError, errorBody, notFound } from '../model/api-error.ts'
import type { ReferenceIndex } from '../model/reference-index.ts'
import { pathOf } from '../model/resource-paths.ts'
import { WorkBudget } from '../model/work-budget.ts'
import type { AnswerListener, EdgeTls, HealthSource, Hub, World } from '../model/world.ts'
import type { Machines } from '../publish/machines.ts'
import { makeOperation, type NamedRequest } from '../resources/operations.ts'
import { requirePlace } from '../resources/places.ts'
import { projectOfNumber } from '../resources/project.ts'
import { shownOperation } from '../resources/shown-operation.ts'
import { commitChecked } from '../store/commit-checked.ts'
import { type Commit, type Store, type StoredOperation, StoreError, StoreFullError } from '../store/store.ts'
import { ANSWER_LENGTH_MAX, BatchAnswer, type BatchPart, readBatch } from './batch.ts'
import { makeChange } from './change-methods.ts'
import { answerNetworkServices, statusBody } from './network-services.ts'
import { answerRead, storedOperation } from './read-methods.ts'
import { readActionBody, readBody } from './request-body.ts'
import { readRequestId } from './request-id.ts'
import { RunningOperations } from './running-operations.ts'
import { Turns } from './turns.ts'

/** What an {@link Api} works with. */
export type ApiOptions = {
  readonly store: Store
  /** Follows the store. */
  readonly references: ReferenceIndex
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
  /** Ranges that instances get their addresses for the internet from, where machines are made of them. */
  readonly natPools?: readonly string[] | undefined
  /** The IPv6 range of the subnet of a region, for machines. */
  readonly ipv6Subnets?: Readonly<Record<string, string>> | undefined
  /** Backends may be at loopback and link-local addresses. */
  readonly allowsLocalBackends?: boolean | undefined
  /** Single addresses to take, before those of the pools. */
  readonly addresses: readonly string[]
  /** undefined: nobody makes machines. */
  readonly machines?: Machines | undefined
  /** Told about mistakes of our own, and what has met them: a request, whose client sees status 500, or an operation. */
  readonly onError?: (error: unknown, about: Pick<ApiRequest, 'method' | 'path'>) => void
  readonly onAnswer?: AnswerListener | undefined
}

/** What came of a change. */
type Stored = { readonly operation: StoredOperation; readonly revision: number | undefined }

/** Of the processor, for all that is read for a request, and for all reads of a batch. */
const REQUEST_MS_MAX = 1_000
const BATCH_MS_MAX = 5_000
/** Answered at once; each may hold an answer of its own meanwhile. */
const BATCHES_MAX = 16
const PROJECTS_NAMED_MAX = 10
/** The old place of all of Google's APIs, and that of each server. */
const BATCH_PATH = /^\/(?:batch(?:\/(?:compute|networkservices)\/v1)?|ns\/batch)\/?$/
const IMAGE_COLLECTIONS = ['images', 'imageFamilyViews']

/** The Compute Engine API: from a request whose sender is known to an answer. */
export class Api {
  readonly #options: ApiOptions
  readonly #world: World
  readonly #operations: RunningOperations
  /** Changes are checked and stored one after the other. */
  readonly #turns = new Turns()
  #batches = 0

  /** Ends what a controller before this one left unfinished. */
  constructor(options: ApiOptions) {
    this.#options = options
    const { machines, natPools = [], ipv6Subnets = {} } = options
    this.#world = { ...options, machines, natPools, ipv6Subnets }
    this.#operations = new RunningOperations(options)
    const { store } = options
    for (const operation of store.unfinished()) void this.#operations.end(operation, store.revision())
  }

  /** Answers a request. A change is durable in the store before its answer is there. Never throws. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    if (!BATCH_PATH.test(request.path)) return this.#answerOne(request, new WorkBudget(REQUEST_MS_MAX))
    return this.#tell(request, (called) => {
      called('batch')
      return this.#answerBatch(request)
    })
  }

  /** Answers those who wait for an operation, with what there is. */
  close(): void {
    this.#operations.close()
  }

  /** @param onStored called when a change of the request is stored, where its answer takes longer */
  #answerOne(request: ApiRequest, budget: WorkBudget, onStored: () => void = () => {}): Promise<ApiResponse> {
    return this.#tell(request, (called) => {
      if (request.path === OPENAPI_PATH && request.method === 'GET') {
        called('openapi')
        return { status: 200, body: budget.use(openApiDocument) }
      }
      const document = documentFor(request)
      if (document !== undefined) {
        called('discovery')
        return { status: 200, body: budget.use(document) }
      }
      const route = this.#routeOf(request)
      called(route.method.id)
      return this.#answer(request, route, budget, onStored)
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
    return 'body' in response ? { ...response, isPretty: isPretty(request.query) } : response
  }

  /** A project may be named by its number, too. */
  #routeOf({ method, path }: ApiRequest): Route {
    const route = isNetworkServicesPath(path) ? networkServicesRoute(method, path) : routeOf(method, path)
    const { store, projects } = this.#options
    const named = /^[0-9]+$/.test(route.project) ? projectOfNumber(store, projects, route.project) : undefined
    return named === undefined ? route : { ...route, project: named }
  }

  async #answer(request: ApiRequest, route: Route, budget: WorkBudget, onStored: () => void): Promise<ApiResponse> {
    const fields = readFields(request.query)
    checkAnswerForm(request.query)
    const response = await this.#answerWhole(request, route, budget, onStored)
    if (fields === undefined || !('body' in response)) return response
    const { body } = response
    if (!isMapping(body)) return response
    // What a change has done is told whatever is left of the budget.
    return { ...response, body: route.method.isRead ? budget.use(() => partOf(body, fields)) : partOf(body, fields) }
  }

  async #answerWhole(
    request: ApiRequest,
    route: Route,
    budget: WorkBudget,
    onStored: () => void,
  ): Promise<ApiResponse> {
    const { method, project } = route
    const isShared = IMAGE_COLLECTIONS.includes(method.collection)
    if (!isShared && !this.#options.projects.includes(project)) throw this.#noProject(project)
    const call: Call = { world: this.#world, request, route, budget, now: this.#options.clock() }
    if (!isShared) requirePlace(this.#world, route.scope)
    if (isNetworkServicesPath(request.path)) return this.#answerNetworkServices(call, onStored)
    if (method.collection === 'operations' && method.action !== 'list' && method.action !== 'aggregatedList') {
      return this.#answerOperation(call)
    }
    const body = method.isRead ? readActionBody(call) : {}
    if (method.isRead) return { status: 200, body: budget.use(() => answerRead(call, body)) }
    if (request.role === 'viewer') throw new ApiError(403, forbidden(request, method.id))
    return { status: 200, body: await this.#change(call, onStored) }
  }

  async #answerNetworkServices(call: Call, onStored: () => void): Promise<ApiResponse> {
    const { request, route, budget } = call
    const { method } = route
    checkNetworkServicesQuery(method, request.query)
    if (method.isRead) return { status: 200, body: budget.use(() => answerNetworkServices(call)) }
    if (request.role === 'viewer') throw new ApiError(403, forbidden(request, method.id))
    if (method.collection !== 'operations') return { status: 200, body: await this.#change(call, onStored) }
    const operation = storedOperation(call)
    if (method.action === 'delete') await this.#deleteOperation(call, operation)
    // As Google says of cancelling: it may come too late, and here it always does.
    return { status: 200, body: {} }
  }

  #noProject(project: string): ApiError {
    const { message, reason } = notFound(`projects/${project}`).details[0]
    const there = this.#options.projects.slice(0, PROJECTS_NAMED_MAX).join(', ')
    return new ApiError(404, {
      message: `${message}: there is ${there}; the flag --project of the controller adds one`,
      reason,
    })
  }

  async #change(call: Call, onStored: () => void): Promise<Mapping> {
    const shown = (operation: StoredOperation) => shownOperation(this.#world, operation, call.request.baseUrl)
    const named = readRequestId(call)
    const { operation, revision } = await this.#turns.take(() => this.#store(call, named))
    if (operation.isDone || revision === undefined) return shown(operation)
    onStored()
    return shown(await this.#operations.end(operation, revision))
  }

  /**
   * Checks a change against what there is, and stores it in one transaction with its operation and the audit record.
   *
   * @returns without a revision: the request has come before, and this is its operation
   */
  async #store(call: Call, named: NamedRequest | undefined): Promise<Stored> {
    let operation: StoredOperation | undefined
    const revision = await commitChecked(this.#world.store, () => {
      const earlier = named && this.#world.store.operationOfRequest(named.key)
      const commit = earlier === undefined ? this.#commitOf(call, named) : undefined
      operation = earlier ?? commit?.operation
      return commit
    })
    assert(operation !== undefined)
    return { operation, revision }
  }

  #commitOf(call: Call, named: NamedRequest | undefined): Commit & { readonly operation: StoredOperation } {
    const { request, route, now } = call
    const { method } = route
    const hasOwnBody = ['insert', 'create', 'patch', 'update'].includes(method.action)
    const change = makeChange(call, hasOwnBody ? readBody(request) : readActionBody(call))
    const { target, changes, before, after, warnings, changesListeners } = change
    const operation = makeOperation({
      target,
      type: method.action,
      user: request.user,
      now,
      named,
      isDone: !this.#operations.goesOn(target.collection, changesListeners),
      warnings,
      random: this.#world.random,
    })
    const time = new Date(now).toISOString()
    const audit = [{ time, user: request.user, action: method.id, target: pathOf(target), before, after }]
    return { changes, operation, audit }
  }

  async #answerOperation(call: Call): Promise<ApiResponse> {
    const { request, route } = call
    if (route.method.action === 'delete') {
      const operation = storedOperation(call)
      if (request.role === 'viewer') throw new ApiError(403, forbidden(request, route.method.id))
      await this.#deleteOperation(call, operation)
      return { status: 204, body: undefined }
    }
    const operation = call.budget.use(() => storedOperation(call))
    const isAwaited = route.method.action === 'wait' && !operation.isDone
    const shown = isAwaited ? await this.#operations.wait(operation) : operation
    return { status: 200, body: shownOperation(this.#world, shown, request.baseUrl) }
  }

  async #deleteOperation({ request, route, now }: Call, operation: StoredOperation): Promise<void> {
    const target = pathOf({ ...operation, collection: 'operations' })
    if (!operation.isDone) {
      throw new ApiError(400, {
        message: `The operation '${target}' is not done; wait for it`,
        reason: 'resourceNotReady',
      })
    }
    const time = new Date(now).toISOString()
    const audit = [{ time, user: request.user, action: route.method.id, target, before: null, after: null }]
    await this.#world.store.commit({ changes: [], removedOperation: operation, audit })
  }

  async #answerBatch(request: ApiRequest): Promise<ApiResponse> {
    if (request.method !== 'POST') throw notFound(request.path)
    const parts = readBatch(request)
    if (this.#batches === BATCHES_MAX) {
      const message = `${BATCHES_MAX} batches are being answered; nothing was carried out, try again later`
      throw new ApiError(429, { message, reason: 'rateLimitExceeded' })
    }
    this.#batches += 1
    try {
      const boundary = `batch_${Buffer.from(this.#options.random(16)).toString('hex')}`
      return await this.#answerParts(parts, new BatchAnswer(boundary))
    } finally {
      this.#batches -= 1
    }
  }

  async #answerParts(parts: readonly BatchPart[], answer: BatchAnswer): Promise<ApiResponse> {
    const budget = new WorkBudget(BATCH_MS_MAX)
    const pending: Promise<void>[] = []
    // Each sees what those before it have stored; what only waits after that does not hold up the others.
    for (const [index, { contentId, request }] of parts.entries()) {
      // What it asks to be changed is changed, as if it had waited.
      if (request.isGone()) budget.end('The client of the batch has gone')
      await new Promise<void>((resolve) => {
        const answered = this.#answerOne(request, budget, resolve)
        pending.push(answered.then((response) => answer.set(index, contentId, response)).finally(resolve))
      })
      if (answer.isFull) budget.end(`The answers to the batch are longer than ${ANSWER_LENGTH_MAX} characters`)
      // Others have their turn between two parts.
      await setImmediate()
    }
    await Promise.all(pending)
    return answer.whole()
  }

  #refuse(error: unknown, request: ApiRequest): ApiResponse {
    const known = error instanceof ApiError ? error : storeRefusal(error)
    const inForm = isNetworkServicesPath(request.path) ? statusBody : errorBody
    if (known !== undefined) return { status: known.status, body: inForm(known) }
    this.#options.onError?.(error, request)
    // It may have happened after a change was stored.
    const message = 'Internal error: the log of the controller says why, and the resource whether it was changed'
    return { status: 500, body: inForm(new ApiError(500, { message, reason: 'internalError' })) }
  }
}

/** Makes the document that a client library asks for; undefined: it asks for none. Of Compute Engine there is one version. */
function documentFor({ method, path, query, baseUrl }: ApiRequest): (() => Mapping) | undefined {
  if (method !== 'GET') return undefined
  const asked = query.get('version') ?? ''
  if (DISCOVERY_PATHS.includes(path)) return ['v1', ''].includes(asked) ? () => discoveryDocument(baseUrl) : undefined
  const version = networkServicesVersion(path, asked)
  return version === undefined ? undefined : () => networkServicesDiscovery(baseUrl, version)
}

function storeRefusal(error: unknown): ApiError | undefined {
  if (error instanceof StoreFullError)
    return new ApiError(507, { message: error.message, reason: 'insufficientStorage' })
  return error instanceof StoreError ? new ApiError(503, { message: error.message, reason: 'backendError' }) : undefined
}

function forbidden({ user }: ApiRequest, method: string) {
  return { message: `Required permission for '${method}': '${user}' is a viewer`, reason: 'forbidden' }
}
