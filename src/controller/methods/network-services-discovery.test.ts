import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'
import { networkServicesMethods, networkServicesRoute } from './network-services.ts'
import { NETWORK_SERVICES_DISCOVERY_PATHS, networkServicesDiscovery } from './network-services-discovery.ts'

type MethodDescription = {
  readonly id: string
  readonly path: string
  readonly flatPath: string
  readonly httpMethod: string
  readonly parameterOrder: readonly string[]
  readonly parameters: Readonly<Record<string, Mapping>>
  readonly request?: { readonly $ref: string }
  readonly response: { readonly $ref: string }
}
type Resources = Readonly<Record<string, Resource>>
type Resource = { readonly methods?: Readonly<Record<string, MethodDescription>>; readonly resources?: Resources }

const document = networkServicesDiscovery('http://127.0.0.1:8080') as {
  readonly rootUrl: string
  readonly schemas: Mapping
  readonly resources: Resources
}

function describedIn(resources: Resources): readonly MethodDescription[] {
  return Object.values(resources).flatMap(({ methods = {}, resources: inner = {} }) => [
    ...Object.values(methods),
    ...describedIn(inner),
  ])
}

test('every method of the table is there, and its path leads to it', () => {
  const described = describedIn(document.resources)
  assert.deepEqual(
    described.map(({ id }) => id).sort(),
    networkServicesMethods.map(({ id }) => `networkservices.${id}`).sort(),
  )
  for (const { id, path, flatPath, httpMethod, parameterOrder, parameters, request, response } of described) {
    const filled = flatPath
      .replace('{projectsId}', 'p')
      .replace(/\{locations(Id)?\}/, 'global')
      .replace(/\{[a-zA-Z]+\}/, 'n')
    const { pathname } = new URL(`${document.rootUrl}${filled}`)
    assert.equal(`networkservices.${networkServicesRoute(httpMethod, pathname).method.id}`, id)
    // What a library puts in place of {+name} has the form that the parameter asks for.
    const [parameter] = parameterOrder
    const before = path.replace(/^v1\//, '').replace(`{+${parameter}}`, '')
    const name = filled.replace(/^v1\//, '').slice(0, filled.length - 3 - before.length)
    assert.match(name, new RegExp(String(parameters[parameter].pattern)), id)
    for (const schema of [request, response]) assert.ok(schema === undefined || schema.$ref in document.schemas)
  }
})

test('the controller hands it out where client libraries look for it', async () => {
  const api = new TestApi()
  for (const path of NETWORK_SERVICES_DISCOVERY_PATHS) {
    const body = await api.get(`${path}?version=v1`)
    assert.deepEqual([body.id, body.rootUrl], ['networkservices:v1', 'http://h/ns/'])
  }
})
