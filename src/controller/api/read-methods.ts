import type { Mapping } from '../../compute/json-value.ts'
import { type CollectionName, isCollectionName } from '../../compute/resources.ts'
import { availableFeatures } from '../../compute/ssl-features.ts'
import { inOrder, type ListItem, type ListQuery, type Page, pageOf, readListQuery } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { emptyListKind, isEmptyCollection } from '../methods/unserved.ts'
import { notFound } from '../model/api-error.ts'
import { collectionFacts } from '../model/collections.ts'
import { pathOf, scopeOf, urlOf } from '../model/resource-paths.ts'
import { guestAttributes } from '../resources/guest-attributes.ts'
import { groupHealth, listedEndpoints, listedInstances } from '../resources/members.ts'
import { allScopes, getPlace, listPlaces, placeListKind } from '../resources/places.ts'
import { shownProject } from '../resources/project.ts'
import { viewOf } from '../resources/resource-view.ts'
import { serialPortOutput } from '../resources/serial-port.ts'
import { shownOperation } from '../resources/shown-operation.ts'
import type { StoredOperation, StoredResource } from '../store/store.ts'
import { operationItems } from './operation-list.ts'

/** Answers a method that changes nothing; `body` is that of its action. */
export function answerRead(call: Call, body: Mapping): Mapping {
  const { method } = call.route
  switch (method.id) {
    case 'projects.get':
      return shownProject(call)
    case 'backendServices.listUsable':
      return listOfScope(call, 'compute#usableBackendServiceList')
    case 'sslPolicies.listAvailableFeatures':
      return { features: availableFeatures }
    case 'backendServices.getHealth':
      return groupHealth(call, storedResource(call), body)
    case 'instanceGroups.listInstances':
      return memberList(call, 'compute#instanceGroupsListInstances', listedInstances(call, storedResource(call), body))
    case 'networkEndpointGroups.listNetworkEndpoints': {
      const items = listedEndpoints(call, storedResource(call), body)
      return memberList(call, 'compute#networkEndpointGroupsListNetworkEndpoints', items)
    }
    case 'instances.getSerialPortOutput':
      return serialPortOutput(call, storedResource(call))
    case 'instances.getGuestAttributes':
      return guestAttributes(call, storedResource(call))
  }
  switch (method.action) {
    case 'list':
      return listOfScope(call, listKind(method.collection, call.route.scope))
    case 'aggregatedList':
      return aggregatedList(call)
    default:
      return getOne(call)
  }
}

/** The stored resource that a request is about. */
export function storedResource({ world, route }: Call): StoredResource {
  const { project, scope, name, method } = route
  const key = { project, collection: method.collection, scope, name }
  return world.store.get(project, method.collection, scope, name) ?? fail(pathOf(key))
}

/** The operation that a request is about, by its name or its id. */
export function storedOperation({ world, route }: Call): StoredOperation {
  const { project, scope, name } = route
  return world.store.operation(project, scope, name) ?? fail(pathOf({ project, scope, collection: 'operations', name }))
}

function fail(path: string): never {
  throw notFound(path)
}

function getOne(call: Call): Mapping {
  const { collection } = call.route.method
  if (collection === 'operations') return shownOperation(call.world, storedOperation(call), call.request.baseUrl)
  if (!isCollectionName(collection)) return getPlace(call)
  return viewOf(call.world, storedResource(call), call.request.baseUrl)
}

function listOfScope(call: Call, kind: string): Mapping {
  const query = readListQuery(call.request.query)
  return listOf(call, kind, query, itemsOf(call, call.route.scope, query))
}

/** What a list is taken from, in its order. */
function itemsOf(call: Call, scope: string | undefined, query: ListQuery): Iterable<ListItem> {
  const { collection } = call.route.method
  if (collection === 'operations') return operationItems(call, scope, query)
  return inOrder(
    isCollectionName(collection) ? resourceItems(call, collection, scope) : listPlaces(call, scope),
    query,
    call.budget,
  )
}

/** One by one, so that those behind a full page are never made. */
function* resourceItems(call: Call, collection: CollectionName, scope: string | undefined): Generator<ListItem> {
  const { world, route, request } = call
  const { project } = route
  for (const one of world.store.list(project, collection, scope)) {
    yield { scope: one.scope, name: one.name, view: viewOf(world, one, request.baseUrl) }
  }
}

function listOf(call: Call, kind: string, query: ListQuery, items: Iterable<ListItem>): Mapping {
  const page = pageOf(items, query, call.budget)
  return {
    ...listHead(call, kind),
    ...(page.items.length > 0 ? { items: page.items.map(({ view }) => view) } : {}),
    ...next(page),
  }
}

function memberList(call: Call, kind: string, members: readonly Mapping[]): Mapping {
  const scope = ''
  const items = members.map((view, index) => ({ scope, name: String(index).padStart(9, '0'), view }))
  return listOf(call, kind, readListQuery(call.request.query), items)
}

function aggregatedList(call: Call): Mapping {
  const { query } = call.request
  const { collection, scopes } = call.route.method
  const listQuery: ListQuery = { ...readListQuery(query), orderBy: 'name' }
  const isPlaces = !isCollectionName(collection) && collection !== 'operations'
  const places = isPlaces ? allScopes(call, scopes).flatMap((scope) => listPlaces(call, scope)) : []
  const page = pageOf(isPlaces ? places : itemsOf(call, undefined, listQuery), listQuery, call.budget)
  const byScope = new Map<string, Mapping[]>()
  for (const { scope, view } of page.items) byScope.set(scope, [...(byScope.get(scope) ?? []), view])
  const isAll = query.get('includeAllScopes')?.toLowerCase() === 'true'
  const named = isAll || page.items.length === 0 ? allScopes(call, scopes) : []
  const keys = [...new Set([...byScope.keys(), ...named])].sort()
  const items = Object.fromEntries(keys.map((scope) => [scope, scopedList(collection, scope, byScope.get(scope))]))
  return { ...listHead(call, aggregatedKind(collection)), items, ...next(page) }
}

function scopedList(collection: string, scope: string, views: readonly Mapping[] | undefined): Mapping {
  if (views !== undefined) return { [collection]: views }
  const message = `There are no results for scope '${scope}' on this page.`
  return { warning: { code: 'NO_RESULTS_ON_PAGE', message, data: [{ key: 'scope', value: scope }] } }
}

function listHead({ request, route }: Call, kind: string): Mapping {
  const { project, scope, method, name } = route
  const place = method.shape === 'aggregated' ? 'aggregated' : scope
  const isPlaces = method.collection === 'zones' || method.collection === 'regions'
  const start = isPlaces ? `projects/${project}` : `projects/${project}/${place}`
  const path = `${start}/${method.collection}${name === '' ? '' : `/${name}`}`
  return { kind, id: path, selfLink: urlOf(request.baseUrl, path) }
}

function next({ nextPageToken }: Page): Mapping {
  return nextPageToken === undefined ? {} : { nextPageToken }
}

function listKind(collection: string, scope: string): string {
  if (isCollectionName(collection)) return collectionFacts[collection].listKind
  return isEmptyCollection(collection)
    ? emptyListKind(collection, scopeOf(scope).kind)
    : placeListKind(collection, scope)
}

function aggregatedKind(collection: string): string {
  if (isCollectionName(collection)) return collectionFacts[collection].aggregatedKind ?? ''
  if (isEmptyCollection(collection)) return emptyListKind(collection, 'aggregated')
  return `compute#${collection.slice(0, -1)}AggregatedList`
}
