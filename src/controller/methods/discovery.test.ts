import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'
import { DISCOVERY_PATHS, discoveryDocument } from './discovery.ts'
import { methods } from './methods.ts'
import { routeOf } from './route.ts'

type MethodDescription = {
  readonly id: string
  readonly path: string
  readonly httpMethod: string
  readonly parameterOrder: readonly string[]
  readonly request?: { readonly $ref: string }
  readonly response?: { readonly $ref: string }
}

const document = discoveryDocument('http://127.0.0.1:8080') as {
  readonly baseUrl: string
  readonly rootUrl: string
  readonly servicePath: string
  readonly schemas: Mapping
  readonly resources: Readonly<Record<string, { readonly methods: Readonly<Record<string, MethodDescription>> }>>
}
const described = Object.entries(document.resources).flatMap(([resource, { methods: own }]) => {
  return Object.entries(own).map(([action, method]) => ({ resource, action, method }))
})

test('every method of the table is there, and every path leads to it', () => {
  const reached = new Set<string>()
  for (const { resource, action, method } of described) {
    assert.equal(method.id, `compute.${resource}.${action}`)
    const filled = method.path
      .replace('{project}', 'p')
      .replace('{zone}', 'us-central1-b')
      .replace('{region}', 'us-central1')
      .replace(/\{[a-zA-Z]+\}/g, 'n')
    const route = routeOf(method.httpMethod, `/${document.servicePath}${filled}`)
    assert.equal(route.method.action, action, method.id)
    reached.add(route.method.id)
    assert.deepEqual(
      method.parameterOrder,
      [...method.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    )
    for (const schema of [method.request, method.response])
      assert.ok(schema === undefined || schema.$ref in document.schemas)
  }
  assert.deepEqual(
    methods.map(({ id }) => id).filter((id) => !reached.has(id)),
    [],
  )
})

test('methods have the names that Google’s client libraries know', () => {
  for (const [id, http, path] of [
    ['compute.globalAddresses.insert', 'POST', 'projects/{project}/global/addresses'],
    ['compute.addresses.get', 'GET', 'projects/{project}/regions/{region}/addresses/{address}'],
    ['compute.addresses.aggregatedList', 'GET', 'projects/{project}/aggregated/addresses'],
    [
      'compute.globalForwardingRules.setTarget',
      'POST',
      'projects/{project}/global/forwardingRules/{forwardingRule}/setTarget',
    ],
    [
      'compute.globalForwardingRules.setLabels',
      'POST',
      'projects/{project}/global/forwardingRules/{resource}/setLabels',
    ],
    ['compute.healthChecks.patch', 'PATCH', 'projects/{project}/global/healthChecks/{healthCheck}'],
    ['compute.regionHealthChecks.delete', 'DELETE', 'projects/{project}/regions/{region}/healthChecks/{healthCheck}'],
    [
      'compute.backendServices.getHealth',
      'POST',
      'projects/{project}/global/backendServices/{backendService}/getHealth',
    ],
    [
      'compute.targetSslProxies.setSslPolicy',
      'POST',
      'projects/{project}/global/targetSslProxies/{targetSslProxy}/setSslPolicy',
    ],
    ['compute.sslPolicies.get', 'GET', 'projects/{project}/global/sslPolicies/{sslPolicy}'],
    ['compute.instances.setTags', 'POST', 'projects/{project}/zones/{zone}/instances/{instance}/setTags'],
    [
      'compute.instanceGroups.addInstances',
      'POST',
      'projects/{project}/zones/{zone}/instanceGroups/{instanceGroup}/addInstances',
    ],
    ['compute.zoneOperations.wait', 'POST', 'projects/{project}/zones/{zone}/operations/{operation}/wait'],
    ['compute.globalOperations.get', 'GET', 'projects/{project}/global/operations/{operation}'],
    ['compute.images.getFromFamily', 'GET', 'projects/{project}/global/images/family/{family}'],
    ['compute.zones.get', 'GET', 'projects/{project}/zones/{zone}'],
    ['compute.projects.get', 'GET', 'projects/{project}'],
    ['compute.disks.list', 'GET', 'projects/{project}/zones/{zone}/disks'],
    ['compute.subnetworks.list', 'GET', 'projects/{project}/regions/{region}/subnetworks'],
  ]) {
    const found = described.find(({ method }) => method.id === id)?.method
    assert.deepEqual([found?.httpMethod, found?.path], [http, path], id)
  }
})

test('a controller hands it out in both places, for the server that was asked', async () => {
  const api = new TestApi()
  for (const path of [...DISCOVERY_PATHS, '/$discovery/rest?version=v1']) {
    const { status, body } = await api.send('GET', path)
    assert.deepEqual([status, body.rootUrl, body.baseUrl], [200, 'http://h/', 'http://h/compute/v1/'])
    assert.deepEqual(JSON.parse(JSON.stringify(body)), body, 'plain JSON')
  }
  assert.equal((await api.send('GET', '/$discovery/rest?version=beta')).status, 404)
})
