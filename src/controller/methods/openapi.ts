import type { Mapping } from '../../compute/json-value.ts'
import { definitions } from '../../compute/resources.ts'
import { collectionNames } from '../model/collections.ts'
import { LIST_PARAMETERS, pathOf, schemaName } from './method-path.ts'
import { type Method, methods, storedCollection, wholeResource } from './methods.ts'
import { networkServicesMethods, networkServicesParameters, networkServicesPath } from './network-services.ts'

/** The API as an OpenAPI 3.1 document, made of the schemas of `src/compute` and of the table of methods. Pure. */
export function openApiDocument(): Mapping {
  const paths = new Map<string, Record<string, unknown>>()
  for (const method of methods) {
    for (const scope of method.scopes) {
      const path = pathOf(method, scope)
      const operations = paths.get(path) ?? {}
      operations[method.http.toLowerCase()] = operationOf(method, scope, path)
      paths.set(path, operations)
    }
  }
  for (const method of networkServicesMethods) {
    const path = networkServicesPath(method)
    const operations = paths.get(path) ?? {}
    operations[method.http.toLowerCase()] = networkServicesOperation(method, path)
    paths.set(path, operations)
  }
  const schemas = Object.fromEntries([
    ...collectionNames.map((collection) => [schemaName(collection), plain(definitions[collection].schema)]),
    ['Operation', { type: 'object', description: 'The state of a change.' }],
    ['Error', { type: 'object', description: 'Why a request was refused.' }],
  ])
  return {
    openapi: '3.1.0',
    info: {
      title: 'truepeer controller',
      version: 'v1',
      description: 'The parts of Compute Engine v1 and of Network Services v1 that are served here.',
    },
    paths: Object.fromEntries(paths),
    components: { schemas },
  }
}

function operationOf(method: Method, scope: string, path: string): Mapping {
  const isList = method.action === 'list' || method.action === 'aggregatedList'
  const query = ['fields', ...(isList ? LIST_PARAMETERS : method.isRead ? [] : ['requestId'])]
  return {
    operationId: method.scopes.length > 1 ? `${scope}.${method.id}` : method.id,
    parameters: parametersOf(path, query),
    ...(method.body === undefined ? {} : { requestBody: { content: json(bodySchema(method)) } }),
    responses: responses(answerSchema(method)),
  }
}

function networkServicesOperation(method: Method, path: string): Mapping {
  return {
    operationId: method.id,
    parameters: parametersOf(path, ['fields', ...networkServicesParameters(method)]),
    ...(method.body === undefined ? {} : { requestBody: { content: json(bodySchema(method)) } }),
    responses: responses(method.action === 'cancel' ? { type: 'object' } : answerSchema(method)),
  }
}

function parametersOf(path: string, query: readonly string[]): readonly Mapping[] {
  const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => {
    return { name, in: 'path', required: true, schema: { type: 'string' } }
  })
  return [...inPath, ...query.map((name) => ({ name, in: 'query', schema: { type: 'string' } }))]
}

function responses(schema: unknown): Mapping {
  return {
    200: { description: 'The answer.', content: json(schema) },
    default: { description: 'Refused.', content: json({ $ref: '#/components/schemas/Error' }) },
  }
}

function json(schema: unknown): Mapping {
  return { 'application/json': { schema } }
}

function bodySchema(method: Method): unknown {
  const collection = wholeResource(method)
  return collection === undefined ? plain(method.body) : { $ref: `#/components/schemas/${schemaName(collection)}` }
}

function answerSchema(method: Method): unknown {
  const collection = storedCollection(method)
  if (!method.isRead) return { $ref: '#/components/schemas/Operation' }
  if (collection === undefined || method.action !== 'get') return { type: 'object' }
  return { $ref: `#/components/schemas/${schemaName(collection)}` }
}

/** Without the rules between fields, which are functions. */
function plain(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema, (name, value: unknown) => (name === 'rules' || name === 'normalize' ? undefined : value)),
  )
}
