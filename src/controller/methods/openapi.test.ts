import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'
import { methods } from './methods.ts'
import { checkNetworkServicesQuery, networkServicesMethods, networkServicesRoute } from './network-services.ts'
import { openApiDocument } from './openapi.ts'
import { routeOf } from './route.ts'

type Operation = { readonly operationId: string; readonly parameters: readonly { name: string; in: string }[] }

const operations = Object.entries(
  openApiDocument().paths as Readonly<Record<string, Readonly<Record<string, Operation>>>>,
).flatMap(([path, byMethod]) => Object.entries(byMethod).map(([http, operation]) => ({ path, http, operation })))

test('every method is there, for each of its scopes, under an id of its own', () => {
  const ids = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length)
  assert.equal(
    ids.length,
    methods.reduce((sum, { scopes, shape }) => sum + (shape === 'aggregated' ? 1 : scopes.length), 0) +
      networkServicesMethods.length,
  )
})

test('every path leads to the method that it is about', () => {
  for (const { path, http, operation } of operations) {
    const filled = path.replace('{project}', 'p').replace('{zone}', 'us-central1-b').replace('{region}', 'us-central1')
    const named = filled.replace('{name}', path.endsWith('locations/{name}') ? 'global' : 'n')
    const find = path.startsWith('/ns/') ? networkServicesRoute : routeOf
    const { method } = find(http.toUpperCase(), named)
    assert.ok(operation.operationId.endsWith(method.id), `${http} ${path}: ${operation.operationId}, ${method.id}`)
  }
})

test('what a method of the Network Services API is said to take in its query, it takes', () => {
  for (const method of networkServicesMethods) {
    const { parameters = [] } = operations.find(({ operation }) => operation.operationId === method.id)?.operation ?? {}
    const query = new URLSearchParams()
    for (const { name, in: place } of parameters) if (place === 'query') query.append(name, '')
    assert.ok(query.size > 0, method.id)
    checkNetworkServicesQuery(method, query)
  }
})

test('every reference leads to a schema, and no schema has anything but JSON', () => {
  const document = openApiDocument()
  const schemas = (document.components as Mapping).schemas as Mapping
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([A-Za-z]+)"/g)]
  assert.ok(references.length > 50)
  assert.deepEqual(
    references.filter(([, name]) => !(name in schemas)),
    [],
  )
  assert.deepEqual(JSON.parse(JSON.stringify(document)), document)
})

test('the private key of a certificate is write-only, and fields of the server are read-only', () => {
  const { schemas } = openApiDocument().components as { readonly schemas: Mapping }
  const { properties } = schemas.SslCertificate as { readonly properties: Readonly<Record<string, Mapping>> }
  assert.equal(properties.privateKey.writeOnly, true)
  assert.equal(properties.expireTime.readOnly, true)
})

test('the controller hands it out', async () => {
  const { status, body } = await new TestApi().send('GET', '/compute/v1/openapi.json')
  assert.equal(status, 200)
  assert.equal(body.openapi, '3.1.0')
})
