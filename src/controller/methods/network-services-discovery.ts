import type { Mapping } from '../../compute/json-value.ts'
import { definitions } from '../../compute/resources.ts'
import { discoverySchema } from './discovery.ts'
import type { Method } from './methods.ts'
import { networkServicesMethods } from './network-services.ts'

/** Where client libraries look for the document of the Network Services API, as `DISCOVERY_PATHS` are for Compute Engine. */
export const NETWORK_SERVICES_DISCOVERY_PATHS: readonly string[] = [
  '/discovery/v1/apis/networkservices/v1/rest',
  '/ns/$discovery/rest',
]

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const QUERY: Readonly<Record<string, readonly string[]>> = {
  list: ['filter', 'orderBy', 'pageSize', 'pageToken'],
  create: ['serviceLbPolicyId'],
  patch: ['updateMask'],
}

/** The Network Services API as a document of Google's discovery service, for the server that was asked. Pure. */
export function networkServicesDiscovery(baseUrl: string): Mapping {
  const of = (collection: string) => {
    const own = networkServicesMethods.filter((method) => method.collection === collection)
    return { methods: Object.fromEntries(own.map((method) => [method.action, methodOf(method)])) }
  }
  const resources = { serviceLbPolicies: of('serviceLbPolicies'), operations: of('operations') }
  return {
    kind: 'discovery#restDescription',
    discoveryVersion: 'v1',
    id: 'networkservices:v1',
    name: 'networkservices',
    version: 'v1',
    revision: '0',
    title: 'Network Services API',
    description: 'The part of Network Services v1 that a truepeer controller serves.',
    ownerDomain: 'google.com',
    ownerName: 'Google',
    protocol: 'rest',
    baseUrl: `${baseUrl}/ns/`,
    basePath: '/ns/',
    rootUrl: `${baseUrl}/ns/`,
    servicePath: '',
    batchPath: 'batch',
    parameters: query(['$fields', 'alt', 'fields', 'key', 'oauth_token', 'prettyPrint', 'quotaUser']),
    auth: { oauth2: { scopes: { [SCOPE]: { description: 'Everything.' } } } },
    schemas: schemas(),
    resources: { projects: { resources: { locations: { ...of('locations'), resources } } } },
  }
}

/** Paths are those of names: `v1/{+name}` and, behind what has others below it, `v1/{+parent}/serviceLbPolicies`. */
function methodOf({ id, http, collection, shape, action, body }: Method): Mapping {
  const isBelow = shape === 'collection'
  const parameter = isBelow && collection !== 'operations' && collection !== 'locations' ? 'parent' : 'name'
  const place = collection === 'locations' ? 'projects/[^/]+' : 'projects/[^/]+/locations/[^/]+'
  const pattern = isBelow ? `^${place}$` : `^${place}/${collection}/[^/]+$`
  const word = shape === 'resource-action' ? `:${action}` : ''
  const path = isBelow ? `v1/{+${parameter}}/${collection}` : `v1/{+${parameter}}${word}`
  const named = isBelow ? '' : `/{${collection}Id}${word}`
  const location = collection === 'locations' ? '' : '/locations/{locationsId}'
  return {
    id: `networkservices.${id}`,
    path,
    flatPath: `v1/projects/{projectsId}${location}/${collection}${named}`,
    httpMethod: http,
    description: `${action} of ${collection}.`,
    parameters: {
      [parameter]: { type: 'string', location: 'path', required: true, pattern },
      ...query(QUERY[action] ?? []),
    },
    parameterOrder: [parameter],
    ...(body === undefined ? {} : { request: { $ref: 'ServiceLbPolicy' } }),
    response: { $ref: responseName(collection, action) },
    scopes: [SCOPE],
  }
}

function query(names: readonly string[]): Mapping {
  const numbers: Readonly<Record<string, Mapping>> = { pageSize: { type: 'integer', format: 'int32' } }
  return Object.fromEntries(names.map((name) => [name, { type: 'string', ...numbers[name], location: 'query' }]))
}

function responseName(collection: string, action: string): string {
  if (action === 'list') return 'Page'
  if (collection === 'locations') return 'Location'
  if (collection === 'operations') return action === 'get' ? 'Operation' : 'Empty'
  return action === 'get' ? 'ServiceLbPolicy' : 'Operation'
}

function schemas(): Mapping {
  const anything = { type: 'object', additionalProperties: { type: 'any' } }
  const next = { nextPageToken: { type: 'string' } }
  return {
    ServiceLbPolicy: { id: 'ServiceLbPolicy', ...discoverySchema(definitions.serviceLbPolicies.schema) },
    Operation: { id: 'Operation', description: 'What became of a change.', ...anything },
    Location: { id: 'Location', description: 'Where policies are.', ...anything },
    Empty: { id: 'Empty', type: 'object', properties: {} },
    Page: { id: 'Page', ...anything, properties: next },
  }
}
