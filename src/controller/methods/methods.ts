import type { Schema } from '../../compute/json-schema.ts'
import { type CollectionName, definitions, isCollectionName } from '../../compute/resources.ts'
import { collectionFacts, computeCollections } from '../model/collections.ts'
import { actionBodies } from './action-bodies.ts'
import { type EmptyCollection, emptyCollections } from './unserved.ts'

/** How the path of a method goes on behind the project, where `scope` is `global`, `regions/R` or `zones/Z`. */
export type MethodShape =
  /** `` or `/action` */
  | 'project'
  /** `/aggregated/collection` */
  | 'aggregated'
  /** `/scope/collection`; zones and regions have no scope */
  | 'collection'
  /** `/scope/collection/action` */
  | 'collection-action'
  /** `/scope/collection/name` */
  | 'resource'
  /** `/scope/collection/name/action` */
  | 'resource-action'

/** One method of the API. */
export type Method = {
  /** As Google's discovery document calls it: `healthChecks.insert`. */
  readonly id: string
  readonly http: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly shape: MethodShape
  readonly collection: string
  /** What it does: `insert`, `setTarget`. */
  readonly action: string
  readonly scopes: readonly ('global' | 'region' | 'zone')[]
  /** It changes nothing, whatever the HTTP method is. */
  readonly isRead: boolean
  /** What the body has to be; undefined: it is not looked at. */
  readonly body: Schema | undefined
}

const READ_ACTIONS = new Set([
  'getHealth',
  'listInstances',
  'listNetworkEndpoints',
  'wait',
  'getSerialPortOutput',
  'getGuestAttributes',
])
const EVERY_SCOPE = ['global', 'region', 'zone'] as const

/** The methods of what there is. */
export const methods: readonly Method[] = [
  ...computeCollections.flatMap(resourceMethods),
  ...actionMethods(),
  read('projects', 'get', 'project', ['global']),
  ...['zones', 'regions'].flatMap((collection) => readMethods(collection, ['global'])),
  ...readMethods('networks', ['global']),
  ...readMethods('images', ['global']),
  read('images', 'getFromFamily', 'resource-action', ['global']),
  read('imageFamilyViews', 'get', 'resource', ['zone']),
  ...readMethods('machineTypes', ['zone']),
  read('machineTypes', 'aggregatedList', 'aggregated', ['zone']),
  // Libcloud looks for the type of a disk before it makes an instance, and for the disk after it.
  ...['diskTypes', 'disks'].flatMap((collection) => [
    ...readMethods(collection, ['zone', 'region']),
    read(collection, 'aggregatedList', 'aggregated', ['zone', 'region']),
  ]),
  // There are none: gcloud asks which instance groups are managed.
  ...readMethods('instanceGroupManagers', ['zone', 'region']),
  read('instanceGroupManagers', 'aggregatedList', 'aggregated', ['zone', 'region']),
  ...readMethods('operations', EVERY_SCOPE),
  read('operations', 'aggregatedList', 'aggregated', EVERY_SCOPE),
  { ...read('operations', 'wait', 'resource-action', EVERY_SCOPE), http: 'POST' },
  { ...read('operations', 'delete', 'resource', EVERY_SCOPE), http: 'DELETE', isRead: false },
]

/** Methods of collections that nothing is ever in: they can be listed, and nothing is found. */
const methodsOfNothing: readonly Method[] = emptyCollections.flatMap(emptyMethods)

/** The methods of what there is and those of nothing. */
export const everyMethod: readonly Method[] = [...methods, ...methodsOfNothing]
const methodsByPlace = new Map(everyMethod.map((method) => [`${method.http} ${placeOf(method)}`, method]))
const places = new Set(everyMethod.map(placeOf))

/** Finds the method of a place; false: there are others at this place. */
export function findMethod(
  http: string,
  shape: MethodShape,
  collection: string,
  action = '',
): Method | false | undefined {
  const place = `${shape} ${collection} ${action}`
  return methodsByPlace.get(`${http} ${place}`) ?? (places.has(place) ? false : undefined)
}

/** Says whether `collection/word` is a method and not a resource. */
export function isCollectionAction(collection: string, word: string): boolean {
  return places.has(`collection-action ${collection} ${word}`)
}

/** The collection of a method about stored resources. */
export function storedCollection({ collection }: Method): CollectionName | undefined {
  return isCollectionName(collection) ? collection : undefined
}

/** The collection of a method whose body is a whole resource of it. */
export function wholeResource(method: Method): CollectionName | undefined {
  const collection = storedCollection(method)
  return collection !== undefined && method.body === definitions[collection].schema ? collection : undefined
}

function placeOf({ shape, collection, action }: Method): string {
  const isAction = shape.endsWith('-action') || (shape === 'project' && action !== 'get')
  const word = shape === 'resource-action' && action === 'getSerialPortOutput' ? 'serialPort' : action
  return `${shape} ${collection} ${isAction ? word : ''}`
}

function resourceMethods(collection: CollectionName): readonly Method[] {
  const { scopes, schema } = definitions[collection]
  const { aggregatedKind, verbs } = collectionFacts[collection]
  const write = (action: string, http: Method['http'], shape: MethodShape, body?: Schema): Method => {
    return { ...read(collection, action, shape, scopes), http, isRead: false, body }
  }
  return [
    ...readMethods(collection, scopes),
    ...(aggregatedKind === undefined ? [] : [read(collection, 'aggregatedList', 'aggregated', scopes)]),
    write('insert', 'POST', 'collection', schema),
    write('delete', 'DELETE', 'resource'),
    ...verbs.map((verb) => write(verb, verb === 'patch' ? 'PATCH' : 'PUT', 'resource', schema)),
  ]
}

/** There is nothing of them, and clients can find that out. */
function emptyMethods({ name, lists }: EmptyCollection): readonly Method[] {
  const scopes = EVERY_SCOPE.filter((scope) => lists.includes(scope))
  const all = scopes.length > 0 ? scopes : (['region'] as const)
  const aggregated = lists.includes('aggregated') ? [read(name, 'aggregatedList', 'aggregated', all)] : []
  return [...(scopes.length > 0 ? readMethods(name, scopes) : []), ...aggregated]
}

function actionMethods(): readonly Method[] {
  const bodies = Object.entries(actionBodies).map(([id, body]) => action(id, body))
  const bare = ['start', 'stop', 'reset', 'setDeletionProtection', 'deleteAccessConfig'].map((name) => {
    return action(`instances.${name}`, undefined)
  })
  return [
    ...bodies,
    ...bare,
    { ...action('instances.getSerialPortOutput', undefined), http: 'GET' },
    { ...action('instances.getGuestAttributes', undefined), http: 'GET' },
    read('backendServices', 'listUsable', 'collection-action', definitions.backendServices.scopes),
    read('sslPolicies', 'listAvailableFeatures', 'collection-action', definitions.sslPolicies.scopes),
  ]
}

function action(id: string, body: Schema | undefined): Method {
  const [collection = '', name = ''] = id.split('.')
  const scopes = isCollectionName(collection) ? definitions[collection].scopes : (['global'] as const)
  const shape = collection === 'projects' ? 'project' : 'resource-action'
  return { ...read(collection, name, shape, scopes), http: 'POST', isRead: READ_ACTIONS.has(name), body }
}

function readMethods(collection: string, scopes: Method['scopes']): readonly Method[] {
  return [read(collection, 'get', 'resource', scopes), read(collection, 'list', 'collection', scopes)]
}

function read(collection: string, action: string, shape: MethodShape, scopes: Method['scopes']): Method {
  return {
    id: `${collection}.${action}`,
    http: 'GET',
    shape,
    collection,
    action,
    scopes,
    isRead: true,
    body: undefined,
  }
}
