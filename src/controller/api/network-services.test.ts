import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from './test-api.ts'

const PARENT = '/ns/v1/projects/p/locations/global'
const POLICIES = `${PARENT}/serviceLbPolicies`
const NAME = 'projects/p/locations/global/serviceLbPolicies/pol'
const TYPE = 'type.googleapis.com/google.cloud.networkservices.v1.'

/** A change that has to succeed at once; returns what came of it. */
async function change(api: TestApi, method: string, path: string, body?: unknown): Promise<Mapping> {
  const { status, body: operation } = await api.send(method, path, body)
  assert.equal(status, 200, JSON.stringify(operation))
  assert.equal(operation.done, true)
  return operation.response as Mapping
}

function create(api: TestApi, name: string, body: Mapping = {}): Promise<Mapping> {
  return change(api, 'POST', `${POLICIES}?alt=json&serviceLbPolicyId=${name}`, body)
}

/** A request that has to be refused: `400 INVALID_ARGUMENT: message`. */
async function refusal(api: TestApi, method: string, path: string, body?: unknown): Promise<string> {
  const revision = api.store.revision()
  const { status, body: answer } = await api.send(method, path, body)
  assert.equal(api.store.revision(), revision, 'a refused request changes nothing')
  const error = answer.error as Mapping
  assert.equal(error.code, status)
  return `${status} ${error.status}: ${error.message}`
}

test('a policy is made, read, listed, changed and deleted as in Google’s Network Services API', async () => {
  const api = new TestApi()
  const body = { loadBalancingAlgorithm: 'SPRAY_TO_REGION', autoCapacityDrain: { enable: true }, description: 'd' }
  const { body: operation } = await api.send('POST', `${POLICIES}?serviceLbPolicyId=pol`, body)
  const time = '2026-11-22T00:00:01.000Z'
  const policy = { name: NAME, createTime: time, updateTime: time, ...body }
  assert.match(String(operation.name), /^projects\/p\/locations\/global\/operations\/operation-[-0-9a-f]+$/)
  assert.deepEqual(operation, {
    name: operation.name,
    metadata: {
      '@type': `${TYPE}OperationMetadata`,
      createTime: time,
      endTime: time,
      target: NAME,
      verb: 'create',
      requestedCancellation: false,
      apiVersion: 'v1',
    },
    done: true,
    response: { '@type': `${TYPE}ServiceLbPolicy`, ...policy },
  })
  assert.deepEqual(await api.get(`${POLICIES}/pol`), policy)
  assert.deepEqual(await api.get(POLICIES), { serviceLbPolicies: [policy] })
  assert.deepEqual(await api.get(`/ns/v1/${operation.name}`), operation)

  await change(api, 'PATCH', `${POLICIES}/pol?updateMask=loadBalancingAlgorithm`, {
    loadBalancingAlgorithm: 'WATERFALL_BY_ZONE',
    description: 'e',
  })
  const patched = await api.get(`${POLICIES}/pol`)
  assert.deepEqual(patched, { ...policy, updateTime: patched.updateTime, loadBalancingAlgorithm: 'WATERFALL_BY_ZONE' })
  assert.notEqual(patched.updateTime, time)

  const deleted = await change(api, 'DELETE', `${POLICIES}/pol`)
  assert.deepEqual(deleted, { '@type': 'type.googleapis.com/google.protobuf.Empty' })
  assert.deepEqual(await api.get(POLICIES), {})
  assert.equal(await refusal(api, 'GET', `${POLICIES}/pol`), `404 NOT_FOUND: Resource '${NAME}' was not found`)
  assert.deepEqual(
    api.store
      .audit(10)
      .map(({ action, target }) => `${action} ${target}`)
      .filter((line) => line.includes('Policies')),
    ['delete', 'patch', 'create'].map((action) => `projects.locations.serviceLbPolicies.${action} ${NAME}`),
  )
  assert.deepEqual(api.errors, [])
})

test('a mask says which fields change, also inside of others and in both spellings; without one all do', async () => {
  const api = new TestApi()
  const isolationConfig = { isolationGranularity: 'REGION', isolationMode: 'STRICT' }
  await create(api, 'pol', { description: 'd', failoverConfig: { failoverHealthThreshold: 60 }, isolationConfig })
  const patch = async (mask: string, body: Mapping) => {
    const response = await change(api, 'PATCH', `${POLICIES}/pol${mask}`, body)
    const { '@type': _, name, createTime, updateTime, ...fields } = response
    assert.deepEqual(await api.get(`${POLICIES}/pol`), { name, createTime, updateTime, ...fields })
    return fields
  }
  const nearest = { isolationGranularity: 'REGION', isolationMode: 'NEAREST' }
  const failoverConfig = { failoverHealthThreshold: 60 }
  assert.deepEqual(
    await patch('?updateMask=isolation_config.isolation_mode,description', {
      isolationConfig: { isolationMode: 'NEAREST' },
    }),
    { failoverConfig, isolationConfig: nearest },
  )
  assert.deepEqual(await patch('?updateMask=labels.a,failoverConfig', { labels: { a: 'x', b: 'y' } }), {
    isolationConfig: nearest,
    labels: { a: 'x' },
  })
  // What only the server sets may be sent back.
  assert.deepEqual(await patch('?updateMask=name,createTime', { name: 'other', createTime: 'now' }), {
    isolationConfig: nearest,
    labels: { a: 'x' },
  })
  assert.deepEqual(await patch('', { description: 'all', name: NAME }), { description: 'all' })
  assert.deepEqual(await patch('?updateMask=*', {}), {})
})

test('a mask names fields that a policy has, and labels by the names that they have', async () => {
  const api = new TestApi()
  const labels = { a_b: 'x', toString: 'y' }
  await create(api, 'pol', { labels })
  const patch = (mask: string, body: Mapping) => change(api, 'PATCH', `${POLICIES}/pol?updateMask=${mask}`, body)
  assert.deepEqual((await patch('labels.a_b', { labels: { a_b: 'z' } })).labels, { ...labels, a_b: 'z' })
  assert.deepEqual((await patch('labels.toString,labels.constructor', { labels: {} })).labels, { a_b: 'z' })
  for (const mask of [
    'failoverConfig.threshold',
    'labels.',
    'labels.__proto__',
    'labels.a.b',
    '__proto__',
    'constructor',
    'kind',
    'selfLink',
    'fingerprint',
    'id',
    '*,description',
  ]) {
    assert.equal(
      await refusal(api, 'PATCH', `${POLICIES}/pol?updateMask=${mask}`, {}),
      `400 INVALID_ARGUMENT: Invalid value for field 'updateMask': '${mask.split(',')[0]}'. There is no field of this name; give some of name, description, loadBalancingAlgorithm, autoCapacityDrain, failoverConfig, isolationConfig, labels, createTime, updateTime`,
    )
  }
})

test('nothing in a body clears a policy only where a mask says that it should', async () => {
  const api = new TestApi()
  await create(api, 'pol', { description: 'd' })
  for (const body of [undefined, null, '', {}]) {
    assert.match(
      await refusal(api, 'PATCH', `${POLICIES}/pol`, body),
      /^400 INVALID_ARGUMENT: Required field 'updateMask' not specified: .* \* to clear all of them/,
    )
  }
  assert.equal((await api.get(`${POLICIES}/pol`)).description, 'd')
  assert.equal((await change(api, 'PATCH', `${POLICIES}/pol?updateMask=*`, {})).description, undefined)
})

test('the beta API is the same, and so are the paths of Google’s own server', async () => {
  const api = new TestApi()
  const isolation = { isolationGranularity: 'REGION', isolationMode: 'STRICT' }
  const beta = POLICIES.replace('/v1/', '/v1beta1/')
  await change(api, 'POST', `${beta}?serviceLbPolicyId=iso`, { isolationConfig: isolation })
  for (const path of [beta, POLICIES, POLICIES.replace('/ns/', '/'), POLICIES.replace('/v1/', '/v1alpha1/')]) {
    assert.deepEqual((await api.get(`${path}/iso`)).isolationConfig, isolation, path)
  }
})

test('lists have pages, an order and a filter', async () => {
  const api = new TestApi()
  for (const name of ['c', 'a', 'b']) await create(api, name, { description: name })
  const names = async (query: string) => {
    const page = await api.get(`${POLICIES}?${query}`)
    const list = (page.serviceLbPolicies ?? []) as readonly Mapping[]
    return [list.map(({ name }) => String(name).at(-1)).join(''), page.nextPageToken] as const
  }
  assert.deepEqual(await names(''), ['abc', undefined])
  assert.deepEqual(await names('orderBy=createTime%20desc'), ['bac', undefined])
  assert.deepEqual(await names('orderBy=create_time desc'), ['bac', undefined])
  assert.deepEqual(await names('filter=description%3D%22b%22'), ['b', undefined])
  assert.deepEqual(await names('pageSize=0'), ['abc', undefined])
  assert.deepEqual(await names('pageSize=1000000'), ['abc', undefined])
  const [first, token] = await names('pageSize=2')
  assert.deepEqual([first, await names(`pageSize=2&pageToken=${token}`)], ['ab', ['c', undefined]])
  for (const [query, field] of [
    ['pageSize=-1', 'pageSize'],
    ['pageSize=x', 'pageSize'],
    ['pageToken=x', 'pageToken'],
    ['orderBy=labels', 'orderBy'],
  ]) {
    const message = await refusal(api, 'GET', `${POLICIES}?${query}`)
    assert.ok(message.startsWith(`400 INVALID_ARGUMENT: Invalid value for field '${field}'`), message)
  }
})

test('operations are those of this API, and can be deleted; there is one location', async () => {
  const api = new TestApi()
  await create(api, 'pol')
  await api.change('POST', 'global/healthChecks', { name: 'h', type: 'TCP', tcpHealthCheck: {} })
  const { operations } = (await api.get(`${PARENT}/operations`)) as { readonly operations: readonly Mapping[] }
  assert.deepEqual(
    operations.map(({ metadata }) => (metadata as Mapping).target),
    [NAME],
  )
  for (const list of ['global/operations', 'aggregated/operations']) {
    assert.doesNotMatch(JSON.stringify(await api.get(list)), /serviceLbPolicies/)
  }
  const path = `/ns/v1/${operations[0]?.name}`
  assert.deepEqual((await api.send('POST', `${path}:cancel`, {})).body, {})
  assert.deepEqual(await api.send('DELETE', path), { status: 200, body: {} })
  assert.match(
    await refusal(api, 'GET', path),
    /^404 NOT_FOUND: Resource 'projects\/p\/locations\/global\/operations\//,
  )
  const location = { name: 'projects/p/locations/global', locationId: 'global' }
  assert.deepEqual(await api.get('/ns/v1/projects/p/locations'), { locations: [location] })
  assert.deepEqual(await api.get(PARENT), location)
})

test('a policy in use stays, and a service is shown with the name of its policy', async () => {
  const api = new TestApi()
  await create(api, 'pol', { loadBalancingAlgorithm: 'SPRAY_TO_WORLD' })
  await api.makeGuide()
  const url = 'http://h/ns/v1/projects/p/locations/global/serviceLbPolicies/pol'
  await api.changeAsItIs('PATCH', 'global/backendServices/my-tcp-lb', { serviceLbPolicy: url })
  const shown = await api.get('global/backendServices/my-tcp-lb')
  assert.equal(shown.serviceLbPolicy, `//networkservices.googleapis.com/${NAME}`)
  const { spreading } = api.publication().snapshot.services[0]
  assert.deepEqual([spreading.policy, spreading.algorithm], ['pol', 'SPRAY_TO_WORLD'])
  assert.equal(
    await refusal(api, 'DELETE', `${POLICIES}/pol`),
    `400 FAILED_PRECONDITION: The service_lb_policy resource '${NAME}' is already being used by 'projects/p/global/backendServices/my-tcp-lb'`,
  )
  await change(api, 'PATCH', `${POLICIES}/pol?updateMask=failoverConfig`, {
    failoverConfig: { failoverHealthThreshold: 50 },
  })
  assert.equal(api.publication().snapshot.services[0].spreading.failoverHealthThreshold, 0.5)
  // As gcloud sends back what it has read.
  await api.change('PATCH', 'global/backendServices/my-tcp-lb', { ...shown, serviceLbPolicy: null })
  assert.ok(!('serviceLbPolicy' in (await api.get('global/backendServices/my-tcp-lb'))))
  await change(api, 'DELETE', `${POLICIES}/pol`)
  await create(api, 'pol')
  assert.match(
    await api.refusal('POST', 'regions/r/backendServices', { name: 'regional', serviceLbPolicy: url }),
    /^400 invalid: .*A service LB policy can only be set if the scope of the backend service is global/,
  )
  await change(api, 'DELETE', `${POLICIES}/pol`)
  const missing = { serviceLbPolicy: url, fingerprint: (await api.get('global/backendServices/my-tcp-lb')).fingerprint }
  assert.equal(
    await api.refusal('PATCH', 'global/backendServices/my-tcp-lb', missing),
    `404 notFound: The resource '${NAME}' was not found, which 'resource.serviceLbPolicy' names`,
  )
})

test('what is wrong is refused in the form of Google’s newer APIs', async () => {
  const api = new TestApi()
  await create(api, 'pol')
  const create2 = (body: unknown, id = 'other') => refusal(api, 'POST', `${POLICIES}?serviceLbPolicyId=${id}`, body)
  assert.equal(await create2({}, 'pol'), `409 ALREADY_EXISTS: Resource '${NAME}' already exists`)
  assert.match(await create2({}, ''), /^400 INVALID_ARGUMENT: Required field 'serviceLbPolicyId' not specified/)
  assert.match(
    await create2({}, 'Pol'),
    /^400 INVALID_ARGUMENT: Invalid value for field 'resource.name': 'Pol'\. Must be a match of regex/,
  )
  assert.match(
    await create2({ failoverConfig: { failoverHealthThreshold: 100 } }),
    /^400 INVALID_ARGUMENT: Invalid value for field 'resource.failoverConfig.failoverHealthThreshold': '100'\. 100 is not between 1 and 99/,
  )
  assert.match(
    await create2({ isolationConfig: { isolationMode: 'STRICT' } }),
    /^400 INVALID_ARGUMENT: Required field 'resource.isolationConfig.isolationGranularity' not specified/,
  )
  assert.match(await create2({ foo: 1 }), /^400 INVALID_ARGUMENT: Invalid JSON payload received\. Unknown name "foo"/)
  for (const [method, path, expected] of [
    ['GET', `${POLICIES}/lost`, '404 NOT_FOUND'],
    ['DELETE', `${POLICIES}/lost`, '404 NOT_FOUND'],
    ['PATCH', `${POLICIES}/lost`, '404 NOT_FOUND'],
    ['PUT', `${POLICIES}/pol`, '405 UNIMPLEMENTED'],
    ['GET', `${PARENT}/meshes`, '501 UNIMPLEMENTED'],
    ['GET', `${POLICIES}/pol:getIamPolicy`, '501 UNIMPLEMENTED'],
    ['POST', `${POLICIES}:nonsense?serviceLbPolicyId=x`, '501 UNIMPLEMENTED'],
    ['GET', `${POLICIES}:batch`, '501 UNIMPLEMENTED'],
    ['GET', `${PARENT}/operations:cancel`, '501 UNIMPLEMENTED'],
    ['GET', POLICIES.replace('global', 'us-central1'), '404 NOT_FOUND'],
    ['GET', '/ns/v1/projects/lost/locations/global/serviceLbPolicies', '404 NOT_FOUND'],
    ['GET', `${POLICIES}/pol/more`, '404 NOT_FOUND'],
    ['GET', '/compute/v1/projects/p/global/serviceLbPolicies', undefined],
  ] as const) {
    if (expected === undefined) assert.equal((await api.send(method, path)).status, 404)
    else assert.ok((await refusal(api, method, path, {})).startsWith(`${expected}: `), `${method} ${path}`)
  }
  assert.deepEqual(api.errors, [])
})

test('what a method does not know in a query is refused before anything is changed, and what all of them know is not', async () => {
  const api = new TestApi()
  const general = '$alt=json;enum-encoding=int&$prettyPrint=0&$.xgafv=2&key=k&quotaUser=q&userProject=p&fields=name'
  const id = crypto.randomUUID()
  await api.send('POST', `${POLICIES}?serviceLbPolicyId=pol&requestId=${id}&${general}`, {})
  assert.deepEqual(await api.get(`${POLICIES}/pol?${general}`), { name: NAME })
  for (const [method, path, name] of [
    ['POST', `${POLICIES}?serviceLbPolicyId=other&validateOnly=true`, 'validateOnly'],
    ['POST', `${POLICIES}?serviceLbPolicyId=other&updateMask=name`, 'updateMask'],
    ['PATCH', `${POLICIES}/pol?update_mask=description`, 'update_mask'],
    ['DELETE', `${POLICIES}/pol?validateOnly=true`, 'validateOnly'],
    ['GET', `${POLICIES}?pagesize=1`, 'pagesize'],
    ['GET', `${POLICIES}/pol?pageSize=1`, 'pageSize'],
    ['GET', `${PARENT}/operations?order=name`, 'order'],
    ['GET', `${PARENT}?x`, 'x'],
  ] as const) {
    const words = `400 INVALID_ARGUMENT: Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter: projects.locations.`
    const message = await refusal(api, method, path, method === 'GET' ? undefined : {})
    assert.ok(message.startsWith(words), message)
  }
})

test('a viewer reads policies and changes none', async () => {
  const api = new TestApi()
  await create(api, 'pol')
  const viewer = new TestApi({ store: api.store, role: 'viewer' })
  assert.equal((await viewer.get(`${POLICIES}/pol`)).name, NAME)
  for (const [method, path] of [
    ['POST', `${POLICIES}?serviceLbPolicyId=b`],
    ['PATCH', `${POLICIES}/pol`],
    ['DELETE', `${POLICIES}/pol`],
  ] as const) {
    assert.match(await refusal(viewer, method, path, {}), /^403 PERMISSION_DENIED: Required permission/)
  }
})

test('a group is not used in another balancing mode by a second service', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const group = 'zones/us-central1-b/instanceGroups/my-instance-group'
  const other = { name: 'other', portName: 'tcp110' }
  assert.equal(
    await api.refusal('POST', 'global/backendServices', {
      ...other,
      backends: [{ group, balancingMode: 'CONNECTION', maxConnections: 1 }],
    }),
    `400 invalid: Invalid value for field 'resource.backends[0].balancingMode': 'CONNECTION'. Validation failed for instance group '${group}': backend services 'my-tcp-lb' and 'other' point to the same instance group but the backends have incompatible balancing_mode. Values should be the same; give both the same balancingMode`,
  )
  await api.change('POST', 'global/backendServices', { ...other, backends: [{ group }] })
  await api.changeAsItIs('PATCH', 'global/backendServices/other', { backends: [{ group, maxUtilization: 0.5 }] })
})

test('a forwarding rule of the managed scheme never has a classic service, whichever of the two is changed', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const refused = async (field: string, method: string, path: string, body: Mapping): Promise<void> => {
    const words = `400 invalid: Invalid value for field 'resource.${field}': .* Load balancing scheme EXTERNAL_MANAGED does not match the backend service load balancing scheme EXTERNAL; give backendServices/`
    assert.match(await api.refusal(method, path, body), new RegExp(words))
  }
  const rule = { name: 'r', IPAddress: 'lb-static-ipv4', portRange: '111', loadBalancingScheme: 'EXTERNAL_MANAGED' }
  await refused('target', 'POST', 'global/forwardingRules', { ...rule, target: 'my-tcp-lb-target-proxy' })
  await api.change('POST', 'global/backendServices', { name: 'managed', loadBalancingScheme: 'EXTERNAL_MANAGED' })
  await api.change('POST', 'global/targetTcpProxies', { name: 'proxy', service: 'managed' })
  await api.change('POST', 'global/forwardingRules', { ...rule, target: 'proxy' })
  const proxy = 'global/targetTcpProxies'
  await refused('target', 'POST', 'global/forwardingRules/r/setTarget', { target: `${proxy}/my-tcp-lb-target-proxy` })
  const service = 'global/backendServices/my-tcp-lb'
  await refused('service', 'POST', `${proxy}/proxy/setBackendService`, { service })
  const { fingerprint } = await api.get('global/backendServices/managed')
  const classic = { loadBalancingScheme: 'EXTERNAL', fingerprint }
  await refused('loadBalancingScheme', 'PATCH', 'global/backendServices/managed', classic)
  // A classic rule is where a migration begins.
  await api.changeAsItIs('PATCH', service, { loadBalancingScheme: 'EXTERNAL_MANAGED' })
  await api.change('POST', `${proxy}/proxy/setBackendService`, { service })
})

test('what a service says about its choice is shown as it was given, and nothing more', async () => {
  const api = new TestApi()
  const given = {
    loadBalancingScheme: 'EXTERNAL_MANAGED',
    localityLbPolicy: 'RING_HASH',
    consistentHash: { minimumRingSize: '2048' },
    sessionAffinity: 'CLIENT_IP_PORT_PROTO',
    circuitBreakers: { maxConnections: 100 },
    outlierDetection: { interval: { seconds: '3' }, consecutiveErrors: 2 },
    closeOnFailureSec: 30,
  }
  await api.change('POST', 'global/backendServices', { name: 's', ...given })
  const shown = await api.get('global/backendServices/s')
  for (const [field, value] of Object.entries(given)) assert.deepEqual(shown[field], value, field)
  assert.ok(!('serviceLbPolicy' in shown))
  assert.match(
    await api.refusal('POST', 'global/backendServices', { name: 't', localityLbPolicy: 'MAGLEV' }),
    /^400 invalid: Invalid value for field 'resource.localityLbPolicy': 'MAGLEV'\. A locality load balancing policy is not supported with the load balancing scheme EXTERNAL/,
  )
})
