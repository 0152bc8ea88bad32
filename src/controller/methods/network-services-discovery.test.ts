import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { serviceLbPolicyFields } from '../../compute/service-lb-policy.ts'
import { TestApi } from '../api/test-api.ts'
import { networkServicesMethods, networkServicesRoute } from './network-services.ts'
import { networkServicesDiscovery } from './network-services-discovery.ts'

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

const document = networkServicesDiscovery('http://127.0.0.1:8080', 'v1') as {
  readonly batchPath: string
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
  const old = '/discovery/v1/apis/networkservices'
  const place = '/ns/$discovery/rest'
  for (const [path, version] of [
    [place, 'v1'],
    [`${place}?version=v1`, 'v1'],
    [`${old}/v1/rest`, 'v1'],
    [`${old}/v1/rest?version=v1`, 'v1'],
    [`${place}?version=v1beta1`, 'v1beta1'],
    [`${old}/v1beta1/rest`, 'v1beta1'],
    [`${old}/v1alpha1/rest`, 'v1alpha1'],
  ]) {
    const { id, rootUrl, resources } = await api.get(path)
    assert.deepEqual([id, rootUrl], [`networkservices:${version}`, 'http://h/ns/'], path)
    for (const method of describedIn(resources as Resources)) assert.ok(method.path.startsWith(`${version}/`), path)
  }
  for (const path of [`${old}/v2/rest`, `${old}/v1/rest?version=v1beta1`, `${place}?version=v2`]) {
    assert.equal((await api.send('GET', path)).status, 404, path)
  }
})

test('cancelling takes a body, as Google’s does, and the schema of a policy has the fields of one', () => {
  const cancel = describedIn(document.resources).find(({ id }) => id.endsWith('operations.cancel'))
  assert.deepEqual(cancel?.request, { $ref: 'CancelOperationRequest' })
  const { properties } = document.schemas.ServiceLbPolicy as { readonly properties: Mapping }
  assert.deepEqual(Object.keys(properties).sort(), [...serviceLbPolicyFields].sort())
})

test('a batch is taken where the document says', async () => {
  const api = new TestApi()
  const url = new URL(document.batchPath, document.rootUrl)
  const body =
    '--b\nContent-Type: application/http\n\nGET /ns/v1/projects/p/locations/global/serviceLbPolicies?alt=json\n\n\n--b--\n'
  const { status, text } = await api.batch('multipart/mixed; boundary=b', body, url.pathname)
  assert.equal(status, 200)
  assert.match(text, /HTTP\/1\.1 200 OK[\s\S]*\{\}/)
})
