import type { Mapping } from '../../compute/json-value.ts'
import { definitions } from '../../compute/resources.ts'
import { serviceLbPolicyFields } from '../../compute/service-lb-policy.ts'
import { discoverySchema, parameters } from './discovery.ts'
import type { Method } from './methods.ts'
import { NETWORK_SERVICES_VERSIONS, networkServicesMethods, networkServicesParameters } from './network-services.ts'

const OLD_PLACE = /^\/discovery\/v1\/apis\/networkservices\/([^/]+)\/rest$/
const PLACE = '/ns/$discovery/rest'

/**
 * The version of the document that a client library looks for, where it looks for those of the Network Services API;
 * undefined: there is none.
 *
 * @param asked what the query says of the version; empty: nothing
 */
export function networkServicesVersion(path: string, asked: string): string | undefined {
  const version = path === PLACE ? asked || 'v1' : OLD_PLACE.exec(path)?.[1]
  if (version === undefined || (asked !== '' && asked !== version)) return undefined
  return NETWORK_SERVICES_VERSIONS.includes(version) ? version : undefined
}

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** A version of the Network Services API as a document of Google's discovery service, for the server that was asked. Pure. */
export function networkServicesDiscovery(baseUrl: string, version: string): Mapping {
  const of = (collection: string) => {
    const own = networkServicesMethods.filter((method) => method.collection === collection)
    return { methods: Object.fromEntries(own.map((method) => [method.action, methodOf(method, version)])) }
  }
  const resources = { serviceLbPolicies: of('serviceLbPolicies'), operations: of('operations') }
  return {
    kind: 'discovery#restDescription',
    discoveryVersion: 'v1',
    id: `networkservices:${version}`,
    name: 'networkservices',
    version,
    revision: '0',
    title: 'Network Services API',
    description: `The part of Network Services ${version} that a truepeer controller serves.`,
    ownerDomain: 'google.com',
    ownerName: 'Google',
    protocol: 'rest',
    baseUrl: `${baseUrl}/ns/`,
    basePath: '/ns/',
    rootUrl: `${baseUrl}/ns/`,
    servicePath: '',
    batchPath: 'batch',
    parameters: parameters(['$fields', 'alt', 'fields', 'key', 'oauth_token', 'prettyPrint', 'quotaUser'], 'query'),
    auth: { oauth2: { scopes: { [SCOPE]: { description: 'Everything.' } } } },
    schemas: schemas(),
    resources: { projects: { resources: { locations: { ...of('locations'), resources } } } },
  }
}

/** Paths are those of names: `v1/{+name}` and, behind what has others below it, `v1/{+parent}/serviceLbPolicies`. */
function methodOf(method: Method, version: string): Mapping {
  const { id, http, collection, shape, action, body } = method
  const isBelow = shape === 'collection'
  const parameter = isBelow && collection !== 'operations' && collection !== 'locations' ? 'parent' : 'name'
  const place = collection === 'locations' ? 'projects/[^/]+' : 'projects/[^/]+/locations/[^/]+'
  const pattern = isBelow ? `^${place}$` : `^${place}/${collection}/[^/]+$`
  const word = shape === 'resource-action' ? `:${action}` : ''
  const path = isBelow ? `${version}/{+${parameter}}/${collection}` : `${version}/{+${parameter}}${word}`
  const named = isBelow ? '' : `/{${collection}Id}${word}`
  const location = collection === 'locations' ? '' : '/locations/{locationsId}'
  return {
    id: `networkservices.${id}`,
    path,
    flatPath: `${version}/projects/{projectsId}${location}/${collection}${named}`,
    httpMethod: http,
    description: `${action} of ${collection}.`,
    parameters: {
      [parameter]: { type: 'string', location: 'path', required: true, pattern },
      ...parameters(networkServicesParameters(method), 'query'),
    },
    parameterOrder: [parameter],
    ...requestOf(body !== undefined, action),
    response: { $ref: responseName(collection, action) },
    scopes: [SCOPE],
  }
}

/** Client libraries hand a body on only where the document has one. */
function requestOf(isPolicy: boolean, action: string): Mapping {
  if (isPolicy) return { request: { $ref: 'ServiceLbPolicy' } }
  return action === 'cancel' ? { request: { $ref: 'CancelOperationRequest' } } : {}
}

function responseName(collection: string, action: string): string {
  if (action === 'list') return 'Page'
  if (collection === 'locations') return 'Location'
  if (collection === 'operations') return action === 'get' ? 'Operation' : 'Empty'
  return action === 'get' ? 'ServiceLbPolicy' : 'Operation'
}

function schemas(): Mapping {
  const policy = definitions.serviceLbPolicies.schema
  const own = Object.entries(policy.properties).filter(([name]) => serviceLbPolicyFields.includes(name))
  const properties = Object.fromEntries(own)
  const anything = { type: 'object', additionalProperties: { type: 'any' } }
  const next = { nextPageToken: { type: 'string' } }
  return {
    ServiceLbPolicy: { id: 'ServiceLbPolicy', ...discoverySchema({ ...policy, properties }) },
    Operation: { id: 'Operation', description: 'What became of a change.', ...anything },
    Location: { id: 'Location', description: 'Where policies are.', ...anything },
    CancelOperationRequest: { id: 'CancelOperationRequest', type: 'object', properties: {} },
    Empty: { id: 'Empty', type: 'object', properties: {} },
    Page: { id: 'Page', ...anything, properties: next },
  }
}
