import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withController } from './gcloud.ts'

type Fields = Readonly<Record<string, unknown>>
/** A method of a client of `@google-cloud/compute`. */
type GaxMethod = (
  request: Fields,
) => Promise<readonly [{ readonly latestResponse: { readonly name: string } } & Fields]>
type GaxClient = Readonly<Record<string, GaxMethod>>
type GaxModule = Readonly<Record<string, new (options: Fields) => GaxClient>>
/** A method of `@googleapis/compute`. */
type RestMethod = (request: Fields) => Promise<{ readonly data: Fields }>
type RestClient = Readonly<Record<string, Readonly<Record<string, RestMethod>>>>

// `tools/client-packages.mjs` installs them.
const folder = fileURLToPath(new URL('../../../build/clients/', import.meta.url))
const skip = existsSync(join(folder, 'node_modules/@google-cloud/compute'))
  ? false
  : 'the client libraries are not installed'
const load = createRequire(join(folder, 'package.json'))
const zone = 'us-central1-b'
const project = 'p'

/** The chain of the guide: where each resource is made, in which field it is sent, and what it is. */
const chain: readonly (readonly [service: string, field: string, place: Fields, resource: Fields])[] = [
  ['Instances', 'instance', { zone }, { name: 'i', networkInterfaces: [{ networkIP: '10.0.0.2' }] }],
  ['InstanceGroups', 'instanceGroup', { zone }, { name: 'g', namedPorts: [{ name: 'tcp110', port: 110 }] }],
  ['HealthChecks', 'healthCheck', {}, { name: 'h', type: 'TCP', tcpHealthCheck: { port: 110 } }],
  [
    'BackendServices',
    'backendService',
    {},
    {
      name: 'b',
      portName: 'tcp110',
      protocol: 'TCP',
      healthChecks: ['global/healthChecks/h'],
      backends: [{ group: `zones/${zone}/instanceGroups/g`, balancingMode: 'UTILIZATION', maxUtilization: 0.8 }],
    },
  ],
  [
    'TargetTcpProxies',
    'targetTcpProxy',
    {},
    { name: 't', service: 'global/backendServices/b', proxyHeader: 'PROXY_V1' },
  ],
  ['GlobalAddresses', 'address', {}, { name: 'a', ipVersion: 'IPV4' }],
  [
    'GlobalForwardingRules',
    'forwardingRule',
    {},
    { name: 'r', IPAddress: 'global/addresses/a', portRange: '110', target: 'global/targetTcpProxies/t' },
  ],
]

test('the chain through @google-cloud/compute', { skip }, async () => {
  await withController(async ({ url }) => {
    const compute = load('@google-cloud/compute') as GaxModule
    const { PassThroughClient } = load('google-auth-library') as { readonly PassThroughClient: new () => unknown }
    const { hostname, port } = new URL(url)
    const options = { apiEndpoint: hostname, port: Number(port), protocol: 'http', authClient: new PassThroughClient() }
    const client = (service: string) => new compute[`${service}Client`](options)
    const finish = async (place: Fields, name: string) => {
      const [scope, where] = 'zone' in place ? ['Zone', place] : ['Global', {}]
      const [done] = await client(`${scope}Operations`).wait({ project, operation: name, ...where })
      assert.equal(done.status, 'DONE')
      assert.equal(done.error ?? undefined, undefined)
    }
    for (const [service, field, place, resource] of chain) {
      const [operation] = await client(service).insert({ project, ...place, [`${field}Resource`]: resource })
      await finish(place, operation.latestResponse.name)
    }
    const members = { instances: [{ instance: `zones/${zone}/instances/i` }] }
    const request = { project, zone, instanceGroup: 'g', instanceGroupsAddInstancesRequestResource: members }
    const [added] = await client('InstanceGroups').addInstances(request)
    await finish({ zone }, added.latestResponse.name)
    const change = (fields: Fields) => {
      const request = { project, backendService: 'b', backendServiceResource: { timeoutSec: 99, ...fields } }
      return client('BackendServices').patch(request)
    }
    await assert.rejects(change({}), /'resource.fingerprint' not specified/)
    const [{ fingerprint }] = await client('BackendServices').get({ project, backendService: 'b' })
    const [patched] = await change({ fingerprint })
    await finish({}, patched.latestResponse.name)
    const [service] = await client('BackendServices').get({ project, backendService: 'b' })
    assert.deepEqual([service.timeoutSec, service.protocol, service.portName], [99, 'TCP', 'tcp110'])
    const [rules] = await client('GlobalForwardingRules').list({ project, filter: 'name = r' })
    assert.deepEqual(
      (rules as unknown as readonly Fields[]).map(({ IPAddress, I_p_address: other }) => IPAddress ?? other),
      ['203.0.113.10'],
    )
    await assert.rejects(client('HealthChecks').delete({ project, healthCheck: 'h' }), /is already being used by/)
    await assert.rejects(client('HealthChecks').get({ project, healthCheck: 'nope' }), /was not found/)
  })
})

test('the chain through @googleapis/compute', { skip }, async () => {
  await withController(async ({ url }) => {
    const { compute } = load('@googleapis/compute') as { readonly compute: (options: Fields) => RestClient }
    const client = compute({ version: 'v1', rootUrl: `${url}/` })
    for (const [service, , place, requestBody] of chain) {
      const name = `${service.charAt(0).toLowerCase()}${service.slice(1)}`
      const { data } = await client[name].insert({ project, ...place, requestBody })
      const operations = 'zone' in place ? 'zoneOperations' : 'globalOperations'
      const done = await client[operations].wait({ project, ...place, operation: data.name })
      assert.equal(done.data.status, 'DONE')
    }
    const instances = [{ instance: `zones/${zone}/instances/i` }]
    await client.instanceGroups.addInstances({ project, zone, instanceGroup: 'g', requestBody: { instances } })
    const group = `zones/${zone}/instanceGroups/g`
    const health = await client.backendServices.getHealth({ project, backendService: 'b', requestBody: { group } })
    const [member] = health.data.healthStatus as readonly Fields[]
    assert.deepEqual([member.ipAddress, member.port], ['10.0.0.2', 110])
    const { data } = await client.backendServices.get({ project, backendService: 'b' })
    await client.backendServices.update({ project, backendService: 'b', requestBody: { ...data, timeoutSec: 77 } })
    await assert.rejects(
      client.backendServices.update({ project, backendService: 'b', requestBody: data }),
      (error: { readonly status?: unknown }) => Number(error.status) === 412,
    )
    const listed = await client.addresses.aggregatedList({ project })
    const { global } = listed.data.items as Readonly<Record<string, { readonly addresses: readonly Fields[] }>>
    assert.deepEqual(
      global.addresses.map(({ address, status }) => [address, status]),
      [['203.0.113.10', 'IN_USE']],
    )
  })
})
