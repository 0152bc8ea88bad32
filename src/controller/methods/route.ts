import { isResourceName } from '../../compute/reference.ts'
import { ApiError, invalidField, notFound, shown } from '../model/api-error.ts'
import { findMethod, isCollectionAction, type Method, type MethodShape } from './methods.ts'
import { isEmptyCollection, isEmptyScope, isUnservedAction } from './unserved.ts'

/** What a path asks for. */
export type Route = {
  readonly method: Method
  readonly project: string
  /** `global`, `regions/NAME`, `zones/NAME`; of a method over all scopes empty. */
  readonly scope: string
  /** Empty where the method is not about one resource. */
  readonly name: string
}

const PREFIX = /^\/?compute\/v1\/projects\/(.*)$/s
const PROJECT = /^[a-z0-9][-a-z0-9.:_]{0,99}$/
/** Where the API is described. */
export const OPENAPI_PATH = '/compute/v1/openapi.json'

const CHANGES: Readonly<Record<string, string>> = {
  'POST collection': 'insert',
  'DELETE resource': 'delete',
  'PATCH resource': 'patch',
  'PUT resource': 'update',
}
const SCOPE_KINDS: Readonly<Record<string, 'region' | 'zone'>> = { regions: 'region', zones: 'zone' }

/**
 * Finds the method of a request and what it is about.
 *
 * @throws ApiError 404 or 405
 */
export function routeOf(http: string, path: string): Route {
  const segments = segmentsOf(path)
  const [project, ...rest] = segments ?? []
  if (project === undefined || !PROJECT.test(project)) throw notFound(path)
  requirePlaceName(rest)
  const place = placeOf(rest)
  if (place === undefined) throw notFound(path)
  const method = findMethod(http, place.shape, place.collection, place.action)
  if (!method) throw isUnserved(http, place, method === false) ? notSupported(http, path) : noMethod(http, path, method)
  const [kind = ''] = place.scope.split('/')
  const scopeKind = SCOPE_KINDS[kind] ?? 'global'
  if (place.scope !== '' && !method.scopes.includes(scopeKind)) {
    if (!isEmptyScope(method.collection, scopeKind)) throw notFound(path)
    if (http !== 'GET') throw notSupported(http, path)
  }
  return { method, project, scope: place.scope, name: place.name }
}

/** Says whether Compute Engine has the method; whatever is asked of a collection that is empty here is such a one. */
function isUnserved(http: string, { shape, collection, action }: Place, isServedOtherwise: boolean): boolean {
  if (action !== '') return !isServedOtherwise && isUnservedAction(collection, action)
  if (isEmptyCollection(collection)) return true
  const change = CHANGES[`${http} ${shape}`]
  return change !== undefined && isUnservedAction(collection, change)
}

function notSupported(http: string, path: string): ApiError {
  const message = `Compute Engine's ${shown(http)} for '${shown(path)}' is not supported here; see ${OPENAPI_PATH} for what is`
  return new ApiError(501, { message, reason: 'notImplemented' })
}

function noMethod(http: string, path: string, method: false | undefined): ApiError {
  if (method === undefined) return notFound(path)
  const message = `There is no ${shown(http)} for '${shown(path)}'`
  return new ApiError(405, { message, reason: 'httpMethodNotAllowed' })
}

type Place = {
  readonly shape: MethodShape
  readonly scope: string
  readonly collection: string
  readonly name: string
  readonly action: string
}

function segmentsOf(path: string): readonly string[] | undefined {
  const rest = PREFIX.exec(path)?.[1]?.replace(/\/$/, '')
  try {
    return rest?.split('/').map(decodeURIComponent)
  } catch {
    return undefined
  }
}

/** What is in a zone or a region of an impossible name is not looked for. @throws ApiError 400, as Google's servers */
function requirePlaceName([kind = '', name = '', collection]: readonly string[]): void {
  const field = Object.hasOwn(SCOPE_KINDS, kind) ? SCOPE_KINDS[kind] : undefined
  if (field === undefined || collection === undefined || isResourceName(name)) return
  // Google's image families are looked up in the zone "-".
  if (name === '-' && collection === 'imageFamilyViews') return
  const example = field === 'zone' ? 'us-central1-b' : 'us-central1'
  throw invalidField(field, name, `Unknown ${field}. Its name is up to 63 small letters, digits and "-", as ${example}`)
}

function placeOf(segments: readonly string[]): Place | undefined {
  const [first = '', second = '', ...rest] = segments
  const nothing = { scope: 'global', name: '', action: '' }
  if (segments.length === 0) return { ...nothing, shape: 'project', collection: 'projects' }
  const isPlaces = first in SCOPE_KINDS
  if (segments.length === 1 && !isPlaces) return { ...nothing, shape: 'project', collection: 'projects', action: first }
  if (segments.length === 1) return { ...nothing, shape: 'collection', collection: first }
  if (first === 'aggregated') {
    if (rest.length === 0) return { ...nothing, shape: 'aggregated', scope: '', collection: second }
    return rest.length > 1 ? undefined : { ...nothing, shape: 'collection-action', collection: second, action: rest[0] }
  }
  if (first === 'global') return placeInScope('global', [second, ...rest])
  if (!isPlaces) return undefined
  if (rest.length === 0) return { ...nothing, shape: 'resource', collection: first, name: second }
  return placeInScope(`${first}/${second}`, rest)
}

function placeInScope(scope: string, segments: readonly string[]): Place | undefined {
  const [collection = '', name = '', action = '', ...more] = segments
  if (more.length > 0) return undefined
  switch (segments.length) {
    case 1:
      return { shape: 'collection', scope, collection, name: '', action: '' }
    case 2:
      return isCollectionAction(collection, name) || isUnservedAction(collection, name)
        ? { shape: 'collection-action', scope, collection, name: '', action: name }
        : { shape: 'resource', scope, collection, name, action: '' }
    default:
      // The one path whose name follows its action: images/family/NAME.
      return collection === 'images' && name === 'family'
        ? { shape: 'resource-action', scope, collection, name: action, action: 'getFromFamily' }
        : { shape: 'resource-action', scope, collection, name, action }
  }
}
