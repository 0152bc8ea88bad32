import type { Schema } from '../../compute/json-schema.ts'
import type { Mapping } from '../../compute/json-value.ts'
import { definitions, isCollectionName } from '../../compute/resources.ts'
import { computeCollections } from '../model/collections.ts'
import { LIST_PARAMETERS, type MethodPlace, nameParameter, pathOf, schemaName } from './method-path.ts'
import { everyMethod, type Method, methods, wholeResource } from './methods.ts'

/** Where Google's client libraries look for the document: the old place of all of its APIs, and the one of each server. */
export const DISCOVERY_PATHS: readonly string[] = ['/discovery/v1/apis/compute/v1/rest', '/$discovery/rest']

const API = '/compute/v1/'
/** Query parameters of single methods. */
const OWN_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  'instances.addAccessConfig': ['networkInterface'],
  'instances.deleteAccessConfig': ['accessConfig', 'networkInterface'],
  'instances.setDeletionProtection': ['deletionProtection'],
  'instances.getSerialPortOutput': ['port', 'start'],
  'instances.getGuestAttributes': ['queryPath', 'variableKey'],
}
const TYPES: Readonly<Record<string, Mapping>> = {
  maxResults: { type: 'integer', format: 'uint32', minimum: '0' },
  pageSize: { type: 'integer', format: 'int32' },
  port: { type: 'integer', format: 'int32' },
  start: { type: 'string', format: 'int64' },
  deletionProtection: { type: 'boolean' },
  returnPartialSuccess: { type: 'boolean' },
  includeAllScopes: { type: 'boolean' },
  prettyPrint: { type: 'boolean', default: 'true' },
}
/** Collections that Google's libraries call by their bare name where they are regional or zonal, not global. */
const BARE_BELOW_GLOBAL = ['addresses', 'forwardingRules', 'operations']
/** Collections that are not only in regions: their regional methods have a name of their own. */
const BEYOND_REGIONS: ReadonlySet<string> = new Set(
  everyMethod.filter(({ scopes }) => scopes.some((scope) => scope !== 'region')).map(({ collection }) => collection),
)
const SCOPES = ['https://www.googleapis.com/auth/cloud-platform', 'https://www.googleapis.com/auth/compute']

/**
 * The API as a document of Google's discovery service, of which its client libraries make themselves: Python's, Ruby's
 * and others'. Made of the table of methods, for the server that was asked. Pure.
 *
 * @param baseUrl `http://127.0.0.1:8080`
 */
export function discoveryDocument(baseUrl: string): Mapping {
  const resources: Record<string, { methods: Record<string, Mapping> }> = {}
  for (const method of everyMethod) {
    // A list over all scopes is one method, whatever its scopes are.
    const scopes = method.shape === 'aggregated' ? method.scopes.slice(0, 1) : method.scopes
    for (const scope of scopes) {
      const name = resourceName(method, scope)
      resources[name] ??= { methods: {} }
      resources[name].methods[method.action] = methodOf(method, scope, name)
    }
  }
  return {
    kind: 'discovery#restDescription',
    discoveryVersion: 'v1',
    id: 'compute:v1',
    name: 'compute',
    version: 'v1',
    revision: '0',
    title: 'Compute Engine API',
    description: 'The part of Compute Engine v1 that a truepeer controller serves.',
    ownerDomain: 'google.com',
    ownerName: 'Google',
    protocol: 'rest',
    baseUrl: `${baseUrl}${API}`,
    basePath: API,
    rootUrl: `${baseUrl}/`,
    servicePath: API.slice(1),
    batchPath: 'batch/compute/v1',
    parameters: parameters(['alt', 'fields', 'key', 'oauth_token', 'prettyPrint', 'quotaUser', 'userIp'], 'query'),
    auth: { oauth2: { scopes: Object.fromEntries(SCOPES.map((scope) => [scope, { description: 'Everything.' }])) } },
    schemas: schemas(),
    resources,
  }
}

/** `regionHealthChecks`, `globalAddresses`, `zoneOperations`: what a client library calls the methods of a scope. */
function resourceName({ collection, shape }: Method, scope: MethodPlace): string {
  const capital = collection.charAt(0).toUpperCase() + collection.slice(1)
  if (collection === 'operations') return `${shape === 'aggregated' ? 'global' : scope}${capital}`
  if (shape === 'aggregated' || collection === 'projects') return collection
  if (BARE_BELOW_GLOBAL.includes(collection)) return scope === 'global' ? `global${capital}` : collection
  return scope === 'region' && BEYOND_REGIONS.has(collection) ? `region${capital}` : collection
}

function methodOf(method: Method, scope: MethodPlace, resource: string): Mapping {
  const path = pathOf(method, scope, nameParameter(method)).slice(API.length)
  const inPath = [...path.matchAll(/\{([A-Za-z]+)\}/g)].map(([, name]) => name)
  const isList = method.action === 'list' || method.action === 'aggregatedList'
  const query = [
    ...(isList ? LIST_PARAMETERS : method.isRead ? [] : ['requestId']),
    ...(method.action === 'aggregatedList' ? ['includeAllScopes'] : []),
    ...(OWN_PARAMETERS[method.id] ?? []),
  ]
  return {
    id: `compute.${resource}.${method.action}`,
    path,
    flatPath: path,
    httpMethod: method.http,
    description: `${method.action} of ${method.collection}.`,
    parameters: { ...parameters(inPath, 'path'), ...parameters(query, 'query') },
    parameterOrder: inPath,
    ...(method.body === undefined ? {} : { request: { $ref: requestName(method) } }),
    ...(method.id === 'operations.delete' ? {} : { response: { $ref: responseName(method) } }),
    scopes: SCOPES,
  }
}

/** Parameters of a method, by their names. */
export function parameters(names: readonly string[], location: 'path' | 'query'): Mapping {
  const required = location === 'path' ? { required: true } : {}
  return Object.fromEntries(names.map((name) => [name, { type: 'string', ...TYPES[name], location, ...required }]))
}

function requestName(method: Method): string {
  const collection = wholeResource(method)
  if (collection !== undefined) return schemaName(collection)
  const capitals = method.id.replace(/(^|\.)([a-z])/g, (_, _dot: string, letter: string) => letter.toUpperCase())
  return `${capitals}Request`
}

function responseName({ id, collection, action, isRead }: Method): string {
  if (action === 'aggregatedList') return 'AggregatedPage'
  if (action.startsWith('list') && id !== 'sslPolicies.listAvailableFeatures') return 'Page'
  if (!isRead || collection === 'operations') return 'Operation'
  return action === 'get' && isCollectionName(collection) ? schemaName(collection) : 'Answer'
}

function schemas(): Mapping {
  const bodies = methods.flatMap((method) =>
    method.body === undefined ? [] : [[requestName(method), method.body] as const],
  )
  const all = new Map<string, Schema>(bodies)
  for (const collection of computeCollections) all.set(schemaName(collection), definitions[collection].schema)
  const described = [...all].map(([id, schema]) => [id, { id, ...discoverySchema(schema) }])
  const any = { type: 'any' }
  const anything = { type: 'object', additionalProperties: any }
  // A library that finds nextPageToken in an answer can ask for the next page.
  const page = { kind: { type: 'string' }, id: { type: 'string' }, nextPageToken: { type: 'string' } }
  return Object.fromEntries([
    ...described,
    ['Operation', { id: 'Operation', description: 'What became of a change.', ...anything }],
    ['Answer', { id: 'Answer', description: 'What was asked for.', ...anything }],
    ['Page', { id: 'Page', type: 'object', properties: { ...page, items: { type: 'array', items: any } } }],
    ['AggregatedPage', { id: 'AggregatedPage', type: 'object', properties: { ...page, items: anything } }],
  ])
}

/** In the JSON Schema of discovery documents (draft 3): no lists of required fields, and `any` for what may be anything. */
export function discoverySchema(schema: Schema): Mapping {
  const { description, properties, items, additionalProperties, readOnly, pattern, format } = schema
  const type = schema.type ?? (schema.enum === undefined ? 'any' : 'string')
  return {
    type,
    ...(type === 'integer' ? { format: 'int32' } : type === 'number' ? { format: 'double' } : {}),
    ...(format === 'int64' ? { format } : {}),
    ...(description === undefined ? {} : { description }),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
    ...(readOnly === true ? { readOnly } : {}),
    ...(pattern === undefined ? {} : { pattern }),
    ...(items === undefined ? {} : { items: discoverySchema(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, discoverySchema(one)])),
        }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: discoverySchema(additionalProperties) }
      : {}),
  }
}
