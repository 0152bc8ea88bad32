import type { Schema } from '../../compute/json-schema.ts'
import { isResourceName } from '../../compute/reference.ts'
import { definitions } from '../../compute/resources.ts'
import { ApiError, notFound, shown } from '../model/api-error.ts'
import { LOCATION } from '../model/resource-paths.ts'
import type { Method, MethodShape } from './methods.ts'
import type { Route } from './route.ts'

/** `/ns/v1/…` of the controller, and `/v1/…` of Google's server, whose name a client may have been given. */
const PATH =
  /^\/(?:ns\/)?v1(?:alpha1|beta1)?\/projects\/([^/]+)\/locations(?:\/([^/]+)(?:\/([A-Za-z]+)(?:\/([^/:]+))?(?::([A-Za-z]+))?)?)?\/?$/
const START = /^\/(?:ns\/)?v1(?:alpha1|beta1)?\//

/** What every method of Google's APIs takes in a query; so it does what begins with `$`. */
const SYSTEM_PARAMETERS: readonly string[] = [
  'access_token',
  'alt',
  'callback',
  'fields',
  'key',
  'oauth_token',
  'prettyPrint',
  'quotaUser',
  'uploadType',
  'upload_protocol',
  'userIp',
  'userProject',
]

/** The versions of the API, which are the same here. */
export const NETWORK_SERVICES_VERSIONS: readonly string[] = ['v1', 'v1beta1', 'v1alpha1']

/** What a location is called. */
export const GLOBAL_LOCATION = 'global'

/** The methods of Google's Network Services API that are served. */
export const networkServicesMethods: readonly Method[] = [
  method('serviceLbPolicies', 'list', 'GET', 'collection'),
  method('serviceLbPolicies', 'create', 'POST', 'collection', definitions.serviceLbPolicies.schema),
  method('serviceLbPolicies', 'get', 'GET', 'resource'),
  method('serviceLbPolicies', 'patch', 'PATCH', 'resource', definitions.serviceLbPolicies.schema),
  method('serviceLbPolicies', 'delete', 'DELETE', 'resource'),
  method('operations', 'list', 'GET', 'collection'),
  method('operations', 'get', 'GET', 'resource'),
  method('operations', 'delete', 'DELETE', 'resource'),
  method('operations', 'cancel', 'POST', 'resource-action'),
  method('locations', 'list', 'GET', 'collection'),
  method('locations', 'get', 'GET', 'resource'),
]

/** Says whether a path is of the Network Services API. */
export function isNetworkServicesPath(path: string): boolean {
  return START.test(path)
}

/**
 * Finds the method of a request and what it is about, as `routeOf` does for Compute Engine.
 *
 * @throws ApiError 404, 405 or 501
 */
export function networkServicesRoute(http: string, path: string): Route {
  const [, project, location, collection, name = '', action = ''] = PATH.exec(path) ?? []
  if (project === undefined) throw notFound(path)
  if (collection === undefined) {
    const found = findMethod(http, 'locations', location === undefined ? 'collection' : 'resource', '', path)
    return { method: found, project, scope: LOCATION, name: location ?? '' }
  }
  if (location !== GLOBAL_LOCATION) throw notFound(`projects/${project}/locations/${location}`)
  const found = findMethod(http, collection, shapeOf(name, action), action, path)
  if (name !== '' && !isResourceName(name)) throw notFound(path.replace(START, ''))
  return { method: found, project, scope: LOCATION, name }
}

function shapeOf(name: string, action: string): MethodShape {
  if (name === '') return action === '' ? 'collection' : 'collection-action'
  return action === '' ? 'resource' : 'resource-action'
}

/** What a method takes in its query, beyond what all of Google's APIs take. */
export function networkServicesParameters({ collection, action, isRead }: Method): readonly string[] {
  const page = ['pageSize', 'pageToken']
  if (action === 'list' && collection === 'locations') return page
  if (action === 'list')
    return [...page, 'filter', 'orderBy', ...(collection === 'operations' ? ['returnPartialSuccess'] : [])]
  if (isRead || collection === 'operations') return []
  const own: Readonly<Record<string, readonly string[]>> = { create: ['serviceLbPolicyId'], patch: ['updateMask'] }
  return [...(own[action] ?? []), 'requestId']
}

/**
 * Refuses what a method does not know in a query: who asks with `validateOnly` means that nothing should change.
 *
 * @throws ApiError 400
 */
export function checkNetworkServicesQuery(method: Method, query: URLSearchParams): void {
  const known = [...SYSTEM_PARAMETERS, ...networkServicesParameters(method)]
  for (const name of query.keys()) {
    if (known.includes(name) || name.startsWith('$')) continue
    const rule = `Cannot bind query parameter: ${method.id} takes ${known.join(', ')}`
    const message = `Invalid JSON payload received. Unknown name "${shown(name)}": ${rule}`
    throw new ApiError(400, { message, reason: 'invalid', parameter: name })
  }
}

/** The path of a method as a template. */
export function networkServicesPath({ collection, shape, action }: Method): string {
  const locations = '/ns/v1/projects/{project}/locations'
  const start = collection === 'locations' ? locations : `${locations}/${GLOBAL_LOCATION}/${collection}`
  if (shape === 'collection') return start
  return shape === 'resource' ? `${start}/{name}` : `${start}/{name}:${action}`
}

function findMethod(http: string, collection: string, shape: MethodShape, action: string, path: string): Method {
  const here = networkServicesMethods.filter((one) => one.collection === collection && one.shape === shape)
  const found = here.find((one) => one.http === http && (shape !== 'resource-action' || one.action === action))
  if (found !== undefined) return found
  if (here.length > 0 && action === '') {
    const message = `There is no ${shown(http)} for '${shown(path)}'`
    throw new ApiError(405, { message, reason: 'httpMethodNotAllowed' })
  }
  const message = `Network Services' ${shown(http)} for '${shown(path)}' is not supported here: only serviceLbPolicies and their operations are`
  throw new ApiError(501, { message, reason: 'notImplemented' })
}

function method(collection: string, action: string, http: Method['http'], shape: MethodShape, body?: Schema): Method {
  const id = `projects.locations.${collection === 'locations' ? '' : `${collection}.`}${action}`
  return { id, http, shape, collection, action, scopes: ['global'], isRead: http === 'GET', body }
}
