import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { MemoryStore } from '../store/memory-store.ts'
import { type Commit, StoreFullError } from '../store/store.ts'
import { guideRequests, makeCertificate, TestApi } from './test-api.ts'

const zone = 'zones/us-central1-b'

class FillingStore extends MemoryStore {
  isFull = false

  override async commit(commit: Commit): Promise<number> {
    if (this.isFull) throw new StoreFullError('The disk is full')
    return super.commit(commit)
  }
}

test('the guide, as gcloud sends it, becomes a snapshot with one frontend and one backend', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const { version, snapshot, leftOut } = api.publication()
  assert.equal(version, api.store.revision())
  assert.deepEqual(leftOut, [])
  assert.deepEqual(
    snapshot.frontends.map(({ name, address, port, service, proxyHeader }) => [
      name,
      address,
      port,
      service,
      proxyHeader,
    ]),
    [['my-tcp-lb-ipv4-forwarding-rule', '203.0.113.1', 110, 'my-tcp-lb', { kind: 'PROXY_V1' }]],
  )
  assert.deepEqual(snapshot.services[0].groups[0].backends, [{ name: 'my-backend', address: '10.128.0.2', port: 110 }])
})

test('a resource is shown with kind, id, time, self link and links of the server that was asked', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const service = await api.get('global/backendServices/my-tcp-lb')
  assert.equal(service.kind, 'compute#backendService')
  assert.match(String(service.id), /^[1-9][0-9]*$/)
  assert.equal(service.creationTimestamp, '2026-11-22T00:00:06.000Z')
  assert.equal(service.selfLink, 'http://h/compute/v1/projects/p/global/backendServices/my-tcp-lb')
  assert.deepEqual(service.healthChecks, ['http://h/compute/v1/projects/p/global/healthChecks/my-tcp-health-check'])
  assert.match(String(service.fingerprint), /^[A-Za-z0-9+/]{11}=$/)
  const instance = await api.get(`${zone}/instances/my-backend`)
  assert.equal(instance.zone, 'http://h/compute/v1/projects/p/zones/us-central1-b')
  assert.equal(instance.status, 'RUNNING')
  const [nic] = instance.networkInterfaces as readonly Mapping[]
  assert.equal(nic.network, 'http://h/compute/v1/projects/p/global/networks/default')
  const group = await api.get(`${zone}/instanceGroups/my-instance-group`)
  assert.equal(group.size, 1)
  assert.ok(!('instances' in group), 'members are asked for by listInstances')
})

test('an operation is found by name and by id, and says what it was about', async () => {
  const api = new TestApi()
  const operation = await api.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  assert.match(String(operation.name), /^operation-[0-9]+-[0-9a-f]{13}-[0-9a-f]{8}-[0-9a-f]{8}$/)
  assert.equal(operation.operationType, 'insert')
  assert.equal(operation.targetLink, 'http://h/compute/v1/projects/p/global/healthChecks/hc')
  assert.equal(operation.user, 'tester')
  assert.deepEqual(await api.get(`global/operations/${operation.name}`), operation)
  assert.deepEqual(await api.get(`global/operations/${operation.id}`), operation)
  assert.deepEqual(await api.change('POST', `global/operations/${operation.name}/wait`), operation)
  assert.deepEqual((await api.get('global/operations')).items, [operation])
})

test('a patch merges, null takes a field away, and a put replaces', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const path = 'global/backendServices/my-tcp-lb'
  await api.changeAsItIs('PATCH', path, { logConfig: { enable: true }, connectionDraining: { drainingTimeoutSec: 60 } })
  await api.changeAsItIs('PATCH', path, {
    logConfig: { sampleRate: 0.5 },
    timeoutSec: null,
    strongSessionAffinityCookie: null,
  })
  const patched = await api.get(path)
  assert.deepEqual(patched.logConfig, { enable: true, sampleRate: 0.5 })
  assert.equal(patched.timeoutSec, 30)
  assert.equal((patched.backends as readonly unknown[]).length, 1)
  const { backends: _, ...withoutBackends } = patched
  await api.change('PUT', path, withoutBackends)
  const replaced = await api.get(path)
  assert.ok(!('backends' in replaced))
  assert.equal(replaced.id, patched.id)
  assert.equal(replaced.creationTimestamp, patched.creationTimestamp)
  assert.notEqual(replaced.fingerprint, patched.fingerprint)
})

test('what gcloud got is what it may send back: a put of the whole resource changes nothing', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const paths = [
    `${zone}/instances/my-backend`,
    'global/backendServices/my-tcp-lb',
    'global/healthChecks/my-tcp-health-check',
  ]
  for (const path of paths) {
    const before = await api.get(path)
    await api.change('PUT', path, before)
    assert.deepEqual(await api.get(path), before)
  }
})

test('a put of an instance replaces it, and leaves running what runs at the address that it has', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const path = `${zone}/instances/my-backend`
  await api.change('POST', `${path}/stop`)
  const { fingerprint } = await api.get(path)
  await api.change('PUT', path, { status: 'RUNNING', labels: { env: 'test' }, networkInterfaces: [{}], fingerprint })
  const { status, labels, tags, networkInterfaces, ...rest } = await api.get(path)
  assert.deepEqual([status, labels, (tags as Mapping).items], ['TERMINATED', { env: 'test' }, undefined])
  assert.equal((networkInterfaces as readonly Mapping[])[0].networkIP, '10.128.0.2')
  await api.change('PUT', path, {})
  assert.deepEqual((await api.get(path)).networkInterfaces, networkInterfaces)
  assert.match(await api.refusal('PUT', path, { fingerprint: rest.fingerprint }), /^412 conditionNotMet/)
  await api.change('PUT', path, { networkInterfaces: [{ networkIP: '10.128.0.9' }] })
  const [first] = (await api.get(path)).networkInterfaces as readonly Mapping[]
  assert.equal(first.networkIP, '10.128.0.9')
})

test('an access config is taken away and added, one for each interface', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const path = `${zone}/instances/my-backend`
  const configs = async () => ((await api.get(path)).networkInterfaces as readonly Mapping[])[0].accessConfigs
  const add = `${path}/addAccessConfig`
  const remove = `${path}/deleteAccessConfig`
  assert.match(await api.refusal('POST', `${add}?networkInterface=nic0`, {}), /^400 invalid: .*'external-nat' first/)
  assert.match(await api.refusal('POST', `${remove}?networkInterface=nic0`), /^400 required: .*accessConfig/)
  assert.match(
    await api.refusal('POST', `${remove}?networkInterface=nic0&accessConfig=x`),
    /^400 invalid: .*only external-nat/,
  )
  const operation = await api.change('POST', `${remove}?networkInterface=nic0&accessConfig=external-nat`)
  assert.equal(operation.operationType, 'deleteAccessConfig')
  assert.equal(await configs(), undefined)
  assert.match(await api.refusal('POST', add, {}), /^400 required: .*networkInterface/)
  assert.match(await api.refusal('POST', `${add}?networkInterface=nic1`, {}), /^400 invalid: .*nic1/)
  assert.match(await api.refusal('POST', `${add}?networkInterface=nic0`, { natIP: 'x' }), /^400 invalid: .*natIP/)
  await api.change('POST', `${add}?networkInterface=nic0`, {})
  const config = { kind: 'compute#accessConfig', name: 'External NAT', type: 'ONE_TO_ONE_NAT', natIP: '10.128.0.2' }
  assert.deepEqual(await configs(), [config])
  await api.change('POST', `${remove}?networkInterface=nic0&accessConfig=External%20NAT`)
  await api.change('POST', `${add}?networkInterface=nic0`, { name: 'nat', natIP: '203.0.113.99' })
  assert.deepEqual(await configs(), [{ ...config, name: 'nat', natIP: '203.0.113.99' }])
})

test('a health check of another type needs no null for what the one before it spoke', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('PATCH', 'global/healthChecks/my-tcp-health-check', {
    type: 'HTTP',
    httpHealthCheck: { port: 8080 },
  })
  const check = await api.get('global/healthChecks/my-tcp-health-check')
  assert.equal(check.type, 'HTTP')
  assert.ok(!('tcpHealthCheck' in check))
})

test('everything can be deleted in the right order, and the wrong one is refused at each step', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const order = [
    'global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule',
    'global/targetTcpProxies/my-tcp-lb-target-proxy',
    'global/backendServices/my-tcp-lb',
    'global/healthChecks/my-tcp-health-check',
    `${zone}/instanceGroups/my-instance-group`,
  ]
  for (const path of order.slice(1)) assert.match(await api.refusal('DELETE', path), /^400 resourceInUse/)
  for (const path of order) await api.change('DELETE', path)
  await api.change('DELETE', 'global/addresses/lb-static-ipv4')
  await api.change('DELETE', `${zone}/instances/my-backend`)
  assert.deepEqual(
    api.store.all().map(({ collection }) => collection),
    ['projects'],
  )
})

test('an instance that is deleted leaves its groups', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('DELETE', `${zone}/instances/my-backend`)
  const members = await api.send('POST', `${zone}/instanceGroups/my-instance-group/listInstances`, {})
  assert.equal(members.status, 200)
  assert.ok(!('items' in members.body))
  assert.deepEqual(api.publication().snapshot.services[0].groups[0].backends, [])
})

test('a stopped instance serves nobody, and goes on when it is started', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const backends = () => api.publication().snapshot.services[0].groups[0].backends.length
  await api.change('POST', `${zone}/instances/my-backend/stop`)
  assert.equal((await api.get(`${zone}/instances/my-backend`)).status, 'TERMINATED')
  assert.equal(backends(), 0)
  assert.match(await api.refusal('POST', `${zone}/instances/my-backend/reset`), /^400 resourceNotReady/)
  await api.change('POST', `${zone}/instances/my-backend/start`)
  assert.equal(backends(), 1)
})

test('an instance without an address gets one of its zone, and a warning that names the flag', async () => {
  const api = new TestApi()
  const operation = await api.change('POST', `${zone}/instances`, { name: 'i1' })
  assert.match(JSON.stringify(operation.warnings), /--private-network-ip/)
  await api.change('POST', `${zone}/instances`, { name: 'i2', status: 'TERMINATED' })
  const second = await api.get(`${zone}/instances/i2`)
  assert.equal((second.networkInterfaces as readonly Mapping[])[0].networkIP, '10.128.0.3')
  assert.equal(second.status, 'RUNNING', 'the status is not the client’s')
})

test('addresses come from the pool, the lowest free one first, and say who uses them', async () => {
  const api = new TestApi({ addressPools: ['203.0.113.0/30', '2001:db8::/64'], addresses: ['198.51.100.7'] })
  for (const name of ['a1', 'a2', 'a3']) await api.change('POST', 'global/addresses', { name })
  await api.change('POST', 'regions/us-central1/addresses', { name: 'a6', ipVersion: 'IPV6' })
  const addresses = await Promise.all(['a1', 'a2', 'a3'].map((name) => api.get(`global/addresses/${name}`)))
  assert.deepEqual(
    addresses.map(({ address }) => address),
    ['198.51.100.7', '203.0.113.1', '203.0.113.2'],
  )
  assert.equal((await api.get('regions/us-central1/addresses/a6')).address, '2001:db8::1')
  assert.match(await api.refusal('POST', 'global/addresses', { name: 'a4' }), /^403 quotaExceeded: .*--address-pool/)
  await api.change('DELETE', 'global/addresses/a2')
  await api.change('POST', 'global/addresses', { name: 'a4' })
  assert.equal((await api.get('global/addresses/a4')).address, '203.0.113.1')
  assert.equal((await api.get('global/addresses/a4')).status, 'RESERVED')
  assert.match(
    await new TestApi({ addressPools: [] }).refusal('POST', 'global/addresses', { name: 'a' }),
    /^400 invalid: No IPV4 address is given, and the controller has no pool/,
  )
})

test('an address is IN_USE while a forwarding rule has it, however the rule named it', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const address = await api.get('global/addresses/lb-static-ipv4')
  assert.equal(address.status, 'IN_USE')
  assert.deepEqual(address.users, [
    'http://h/compute/v1/projects/p/global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule',
  ])
  const listed = await api.get('aggregated/addresses?filter=status%20%3D%20IN_USE')
  assert.deepEqual(Object.keys(listed.items as Mapping), ['global'])
  await api.change('DELETE', 'global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule')
  assert.equal((await api.get('global/addresses/lb-static-ipv4')).status, 'RESERVED')
})

test('a forwarding rule without an address takes one that nobody has', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const rule = { name: 'r', portRange: '110', target: 'my-tcp-lb-target-proxy' }
  await api.change('POST', 'global/forwardingRules', rule)
  await api.change('POST', 'global/forwardingRules', { ...rule, name: 'r6', ipVersion: 'IPV6' })
  assert.equal((await api.get('global/forwardingRules/r')).IPAddress, '203.0.113.2')
  assert.equal((await api.get('global/forwardingRules/r')).portRange, '110-110')
  assert.equal((await api.get('global/forwardingRules/r6')).IPAddress, '2001:db8::1')
})

test('a private key is stored apart: in no answer, operation, audit record or refusal', async () => {
  const api = new TestApi()
  const { certificate, privateKey } = makeCertificate()
  const other = makeCertificate('P-384')
  const key = privateKey.split('\n')[1]
  await api.change('POST', 'global/sslCertificates', { name: 'c', certificate, privateKey })
  const refusal = await api.refusal('POST', 'global/sslCertificates', {
    name: 'd',
    certificate,
    privateKey: other.privateKey,
  })
  assert.match(
    refusal,
    /^400 invalid: Invalid value for field 'resource.privateKey': ''. the private key does not belong to/,
  )
  const shown = await api.get('global/sslCertificates/c')
  assert.equal(shown.type, 'SELF_MANAGED')
  assert.deepEqual(shown.selfManaged, { certificate })
  assert.deepEqual(shown.subjectAlternativeNames, ['lb.example.com', '192.0.2.1'])
  assert.match(String(shown.expireTime), /^20/)
  const everything = [
    shown,
    await api.get('global/sslCertificates'),
    await api.get('global/operations'),
    api.store.audit(10),
    refusal,
  ]
  assert.ok(!JSON.stringify(everything).includes(key))
  assert.ok(!JSON.stringify(everything).includes('privateKey"'))
  assert.equal(api.store.get('p', 'sslCertificates', 'global', 'c')?.secret?.privateKey, privateKey)
})

test('every change is in the audit log: who, what, before and after', async () => {
  const api = new TestApi()
  await api.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  await api.change('PATCH', 'global/healthChecks/hc', { checkIntervalSec: 9 })
  await api.change('DELETE', 'global/healthChecks/hc')
  const records = api.store.audit(10).toReversed()
  assert.deepEqual(
    records.map(({ action }) => action),
    ['healthChecks.insert', 'healthChecks.patch', 'healthChecks.delete'],
  )
  assert.deepEqual(
    records.map(({ user, target }) => `${user} ${target}`),
    Array(3).fill('tester projects/p/global/healthChecks/hc'),
  )
  assert.equal(records[0].before, null)
  assert.equal((records[1].before as Mapping).checkIntervalSec, 5)
  assert.equal((records[1].after as Mapping).checkIntervalSec, 9)
  assert.equal(records[2].after, null)
})

test('a request that comes twice with one requestId is carried out once, also by another controller', async () => {
  const api = new TestApi()
  const path = 'global/healthChecks?requestId=12345678-1234-1234-1234-123456789abc'
  const body = { name: 'hc', type: 'TCP', tcpHealthCheck: {} }
  const first = await api.change('POST', path, body)
  assert.equal(first.clientOperationId, '12345678-1234-1234-1234-123456789abc')
  assert.deepEqual(await api.change('POST', path, body), first)
  const restarted = new TestApi({ store: api.store })
  assert.deepEqual(await restarted.change('POST', path.replace('abc', 'ABC'), body), first)
  await restarted.change('DELETE', 'global/healthChecks/hc')
  assert.deepEqual(await restarted.change('POST', path, body), first, 'also when it is gone by now')
  assert.match(await restarted.refusal('GET', 'global/healthChecks/hc'), /^404/)
  const other = await restarted.change('POST', path, { ...body, name: 'hc2' })
  assert.notEqual(other.name, first.name, 'another resource is another request')
  const deleted = path.replace('healthChecks', 'healthChecks/hc2')
  assert.equal((await restarted.change('DELETE', deleted)).operationType, 'delete')
  const zero = 'global/healthChecks?requestId=00000000-0000-0000-0000-000000000000'
  assert.match(await api.refusal('POST', zero, body), /^400 invalid: .*requestId/)
  assert.match(await api.refusal('POST', 'global/healthChecks?requestId=x', body), /^400 invalid: .*requestId/)
})

test('a viewer reads, also by POST, and changes nothing', async () => {
  const admin = new TestApi()
  await admin.makeGuide()
  const api = new TestApi({ store: admin.store, role: 'viewer' })
  await api.get('global/backendServices')
  const group = { group: `${zone}/instanceGroups/my-instance-group` }
  assert.equal((await api.send('POST', 'global/backendServices/my-tcp-lb/getHealth', group)).status, 200)
  assert.match(await api.refusal('DELETE', 'global/addresses/lb-static-ipv4'), /^403 forbidden/)
  assert.match(await api.refusal('POST', `${zone}/instances/my-backend/stop`), /^403 forbidden/)
})

test('operations are deleted by who may change things, and not by a viewer', async () => {
  const admin = new TestApi()
  const { name } = await admin.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  const viewer = new TestApi({ store: admin.store, role: 'viewer' })
  const path = `global/operations/${name}`
  assert.match(await viewer.refusal('DELETE', path), /^403 forbidden: Required permission for 'operations.delete'/)
  assert.equal((await viewer.send('POST', `${path}/wait`)).status, 200)
  assert.equal((await admin.send('DELETE', path)).status, 204)
  assert.match(await admin.refusal('GET', path), /^404 notFound/)
  assert.ok(!('items' in (await admin.get('global/operations'))))
  const [{ action, user }] = admin.store.audit(1)
  assert.deepEqual([action, user], ['operations.delete', 'tester'])
})

test('`__proto__` in a body is a field that there is not: it changes nothing that is inherited', async () => {
  const api = new TestApi()
  await api.change('POST', 'global/healthChecks', { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  const before = await api.get('global/healthChecks/hc')
  for (const field of ['{"checkIntervalSec":9}', 'null', '[]']) {
    for (const text of [`{"__proto__":${field}}`, `{"tcpHealthCheck":{"__proto__":${field}}}`]) {
      await api.send('PATCH', 'global/healthChecks/hc', JSON.parse(text))
      const { checkIntervalSec, tcpHealthCheck } = await api.get('global/healthChecks/hc')
      assert.deepEqual([checkIntervalSec, tcpHealthCheck], [before.checkIntervalSec, before.tcpHealthCheck], text)
    }
  }
})

test('getHealth says what edges say about each member', async () => {
  const api = new TestApi({ health: { 'my-tcp-lb/us-central1-b/my-instance-group/my-backend': 'HEALTHY' } })
  await api.makeGuide()
  const group = { group: `${zone}/instanceGroups/my-instance-group` }
  const { body } = await api.send('POST', 'global/backendServices/my-tcp-lb/getHealth', group)
  assert.deepEqual(body, {
    kind: 'compute#backendServiceGroupHealth',
    healthStatus: [
      {
        healthState: 'HEALTHY',
        ipAddress: '10.128.0.2',
        port: 110,
        instance: 'http://h/compute/v1/projects/p/zones/us-central1-b/instances/my-backend',
        forwardingRule: 'http://h/compute/v1/projects/p/global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule',
        forwardingRuleIp: '203.0.113.1',
      },
    ],
  })
})

test('endpoints are attached, listed with their health, and detached', async () => {
  const health = { 'neg-lb/us-central1-b/neg/10.128.0.2:110': 'HEALTHY' } as const
  const api = new TestApi({ health })
  await api.makeGuide()
  const neg = `${zone}/networkEndpointGroups`
  await api.change('POST', neg, { name: 'neg', defaultPort: 110 })
  const one = { networkEndpoints: [{ instance: 'my-backend' }] }
  const two = { networkEndpoints: [{ ipAddress: '10.9.9.9', port: 111 }] }
  await api.change('POST', `${neg}/neg/attachNetworkEndpoints`, one)
  await api.change('POST', `${neg}/neg/attachNetworkEndpoints`, two)
  await api.change('POST', `${neg}/neg/attachNetworkEndpoints`, two)
  assert.equal((await api.get(`${neg}/neg`)).size, 2)
  const backends = [{ group: `${neg}/neg`, balancingMode: 'CONNECTION', maxConnectionsPerEndpoint: 10 }]
  await api.change('POST', 'global/backendServices', { name: 'neg-lb', backends })
  const listed = await api.send('POST', `${neg}/neg/listNetworkEndpoints`, { healthStatus: 'SHOW' })
  const items = listed.body.items as readonly Mapping[]
  assert.deepEqual(
    items.map(({ networkEndpoint }) => (networkEndpoint as Mapping).ipAddress),
    ['10.128.0.2', '10.9.9.9'],
  )
  assert.deepEqual(
    items.map(({ healths }) => (healths as readonly Mapping[])[0].healthState),
    ['HEALTHY', 'UNKNOWN'],
  )
  await api.change('POST', `${neg}/neg/detachNetworkEndpoints`, one)
  assert.equal((await api.get(`${neg}/neg`)).size, 1)
  assert.match(await api.refusal('POST', `${neg}/neg/detachNetworkEndpoints`, one), /^400 invalid: .*not an endpoint/)
  assert.match(await api.refusal('DELETE', `${neg}/neg`), /^400 resourceInUse/)
})

test('a group without the port of a service serves nobody, and does not keep the others from serving', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', `${zone}/instanceGroups/my-instance-group/setNamedPorts`, { namedPorts: [] })
  const { snapshot } = api.publication()
  assert.deepEqual([snapshot.frontends.length, snapshot.services[0].groups], [1, []])
})

test('actions of target proxies change one field; an empty setSslPolicy takes the policy away', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', 'global/targetTcpProxies/my-tcp-lb-target-proxy/setProxyHeader', { proxyHeader: 'NONE' })
  assert.equal((await api.get('global/targetTcpProxies/my-tcp-lb-target-proxy')).proxyHeader, 'NONE')
  await api.change('POST', 'global/sslCertificates', { name: 'c', ...makeCertificate() })
  await api.change('POST', 'global/sslPolicies', { name: 's', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' })
  const policy = await api.get('global/sslPolicies/s')
  assert.equal((policy.enabledFeatures as readonly string[]).length, 9)
  const proxy = { name: 't', service: 'my-tcp-lb', sslCertificates: ['c'], sslPolicy: 's' }
  await api.change('POST', 'global/targetSslProxies', proxy)
  assert.match(await api.refusal('DELETE', 'global/sslPolicies/s'), /^400 resourceInUse/)
  await api.change('POST', 'global/targetSslProxies/t/setSslPolicy', {})
  assert.ok(!('sslPolicy' in (await api.get('global/targetSslProxies/t'))))
  await api.change('DELETE', 'global/sslPolicies/s')
  await api.change('POST', 'global/targetSslProxies/t/setCertificateMap', {})
  const certificateMap = '//certificatemanager.googleapis.com/projects/p/locations/global/certificateMaps/m'
  assert.match(
    await api.refusal('POST', 'global/targetSslProxies/t/setCertificateMap', { certificateMap }),
    /^400 invalid: .*certificateMap/,
  )
})

test('tags, metadata and labels are set on top of what was seen', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const path = `${zone}/instances/my-backend`
  const { tags, metadata, labelFingerprint } = await api.get(path)
  await api.change('POST', `${path}/setTags`, { items: ['a'], fingerprint: (tags as Mapping).fingerprint })
  const items = [{ key: 'startup-script-url', value: 'gs://x/y' }]
  await api.change('POST', `${path}/setMetadata`, { items, fingerprint: (metadata as Mapping).fingerprint })
  await api.change('POST', `${path}/setLabels`, { labels: { env: 'test' }, labelFingerprint })
  const instance = await api.get(path)
  assert.deepEqual((instance.tags as Mapping).items, ['a'])
  assert.deepEqual((instance.metadata as Mapping).items, items)
  assert.deepEqual(instance.labels, { env: 'test' })
  const stale = { items: [], fingerprint: (tags as Mapping).fingerprint }
  assert.match(await api.refusal('POST', `${path}/setTags`, stale), /^412 conditionNotMet/)
  await api.change('POST', `${path}/setDeletionProtection?deletionProtection=true`)
  assert.match(await api.refusal('DELETE', path), /^400 invalid: Resource cannot be deleted/)
})

test('a reserved address that nobody uses is moved to another project, in its scope', async () => {
  const api = new TestApi({ projects: ['p', 'q'] })
  await api.makeGuide()
  await api.change('POST', 'regions/us-central1/addresses', { name: 'a', description: 'mine' })
  const { address } = await api.get('regions/us-central1/addresses/a')
  const move = 'regions/us-central1/addresses/a/move'
  const to = (path: string, more: Mapping = {}) => ({
    destinationAddress: `http://h/compute/v1/projects/${path}`,
    ...more,
  })
  for (const path of [
    'p/regions/us-central1/addresses/b',
    'q/global/addresses/b',
    'r/regions/us-central1/addresses/b',
  ]) {
    assert.match(await api.refusal('POST', move, to(path)), /^400 invalid: .*destinationAddress.* of another project/)
  }
  const used = await api.refusal('POST', 'global/addresses/lb-static-ipv4/move', to('q/global/addresses/b'))
  assert.match(used, /^400 resourceInUseByAnotherResource/)
  const operation = await api.change('POST', move, to('q/regions/us-central1/addresses/b'))
  assert.equal(operation.operationType, 'move')
  assert.match(await api.refusal('GET', 'regions/us-central1/addresses/a'), /^404/)
  const moved = await api.get('/compute/v1/projects/q/regions/us-central1/addresses/b')
  assert.deepEqual([moved.name, moved.address, moved.description, moved.status], ['b', address, 'mine', 'RESERVED'])
  assert.match(await api.refusal('POST', 'global/addresses', { name: 'c', address }), /conflict: .*'projects\/q\//)
  await api.change('POST', 'regions/us-central1/addresses', { name: 'a' })
  assert.match(await api.refusal('POST', move, to('q/regions/us-central1/addresses/b')), /^409 alreadyExists/)
})

test('common metadata of a project is kept, with a fingerprint', async () => {
  const api = new TestApi()
  const { commonInstanceMetadata } = await api.get('')
  const { fingerprint } = commonInstanceMetadata as Mapping
  const items = [{ key: 'ssh-keys', value: 'me:ssh-ed25519 AAAA' }]
  await api.change('POST', 'setCommonInstanceMetadata', { items, fingerprint, kind: 'compute#metadata' })
  assert.deepEqual(((await api.get('')).commonInstanceMetadata as Mapping).items, items)
  assert.match(await api.refusal('POST', 'setCommonInstanceMetadata', { items, fingerprint }), /^412/)
})

test('lists are paged, filtered and ordered; aggregated ones are by scope', async () => {
  const api = new TestApi()
  for (const name of ['c', 'a', 'b']) {
    await api.change('POST', 'global/healthChecks', { name, type: 'TCP', tcpHealthCheck: {} })
  }
  await api.change('POST', 'regions/us-central1/healthChecks', { name: 'd', type: 'TCP', tcpHealthCheck: {} })
  const names = ({ items = [] }: Mapping) => (items as readonly Mapping[]).map(({ name }) => name)
  const first = await api.get('global/healthChecks?maxResults=2')
  assert.deepEqual(names(first), ['a', 'b'])
  const second = await api.get(`global/healthChecks?maxResults=2&pageToken=${first.nextPageToken}`)
  assert.deepEqual([names(second), second.nextPageToken], [['c'], undefined])
  assert.deepEqual(names(await api.get('global/healthChecks?filter=name%3Db')), ['b'])
  assert.deepEqual(names(await api.get('global/healthChecks?orderBy=creationTimestamp%20desc')), ['b', 'a', 'c'])
  const newest = await api.get('global/healthChecks?orderBy=creationTimestamp%20desc&maxResults=1')
  assert.deepEqual(
    names(await api.get(`global/healthChecks?orderBy=creationTimestamp%20desc&pageToken=${newest.nextPageToken}`)),
    ['a', 'c'],
  )
  const { items, kind } = await api.get('aggregated/healthChecks?includeAllScopes=True&maxResults=500')
  assert.equal(kind, 'compute#healthChecksAggregatedList')
  const scopes = items as Readonly<Record<string, Mapping>>
  assert.deepEqual(names({ items: scopes['regions/us-central1'].healthChecks }), ['d'])
  assert.equal((scopes['regions/us-east1'].warning as Mapping).code, 'NO_RESULTS_ON_PAGE')
})

test('while the disk is full, changes are refused and reads go on', async () => {
  const store = new FillingStore()
  const api = new TestApi({ store })
  await api.makeGuide()
  store.isFull = true
  assert.match(
    await api.refusal('DELETE', 'global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule'),
    /^507 insufficientStorage: The disk is full/,
  )
  assert.equal((await api.get('global/addresses/lb-static-ipv4')).status, 'IN_USE', 'nothing was forgotten either')
})

test('an operation that cannot be stored as done stays RUNNING, and is done when somebody waits for it', async () => {
  const store = new FillingStore()
  const applied = (): Promise<readonly string[]> => {
    store.isFull = true
    return Promise.resolve(['e1'])
  }
  const api = new TestApi({ store, hub: { applied, hasEdges: () => true, isHeldUp: () => false } })
  await api.change('POST', 'global/backendServices', { name: 's' })
  await api.change('POST', 'global/targetTcpProxies', { name: 't', service: 's' })
  const rule = { name: 'r', target: 'global/targetTcpProxies/t', portRange: '110' }
  const { status, body } = await api.send('POST', 'global/forwardingRules', rule)
  assert.deepEqual([status, body.status], [200, 'RUNNING'], 'the change itself is stored')
  const path = `global/operations/${body.name}`
  assert.equal((await api.send('POST', `${path}/wait`)).body.status, 'RUNNING')
  store.isFull = false
  assert.equal((await api.get(path)).status, 'RUNNING')
  const done = await api.change('POST', `${path}/wait`)
  assert.match(JSON.stringify(done.warnings), /have not applied the whole configuration yet: e1/)
  assert.deepEqual(await api.get(path), done)
  assert.deepEqual(await api.change('POST', `${path}/wait`), done)
  assert.deepEqual(api.errors, [])
})

test('a change of listeners says so when no edge follows', async () => {
  const api = new TestApi({ hub: { applied: () => Promise.resolve([]), hasEdges: () => false, isHeldUp: () => false } })
  const rule = { name: 'r', target: 'global/targetTcpProxies/t', portRange: '110' }
  await api.change('POST', 'global/backendServices', { name: 's' })
  await api.change('POST', 'global/targetTcpProxies', { name: 't', service: 'global/backendServices/s' })
  const operation = await api.change('POST', 'global/forwardingRules', rule)
  assert.match(JSON.stringify(operation.warnings), /No edge follows this controller, so nobody serves the change yet/)
})

test('while an edge cannot apply what it was sent, every change says so, with the reason', async () => {
  let isHeldUp = true
  const hub = { applied: () => Promise.resolve(['e1 (in use)']), hasEdges: () => true, isHeldUp: () => isHeldUp }
  const api = new TestApi({ hub })
  const operation = await api.change('POST', 'global/backendServices', { name: 's' })
  assert.match(JSON.stringify(operation.warnings), /have not applied the whole configuration yet: e1 \(in use\)/)
  isHeldUp = false
  assert.equal((await api.change('POST', 'global/backendServices', { name: 't' })).warnings, undefined)
})

test('a change of listeners names the edges that have not applied it, and a restart finishes what was open', async () => {
  const api = new TestApi({
    hub: { applied: () => Promise.resolve(['e1']), hasEdges: () => true, isHeldUp: () => false },
  })
  await api.makeGuide()
  const operation = await api.change('DELETE', 'global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule')
  assert.match(JSON.stringify(operation.warnings), /have not applied the whole configuration yet: e1/)
  const stored = api.store.operation('p', 'global', String(operation.name))
  assert.ok(stored)
  await api.store.commit({
    changes: [],
    operation: { ...stored, isDone: false, resource: { ...stored.resource, status: 'RUNNING' } },
  })
  const restarted = new TestApi({ store: api.store })
  await restarted.change('POST', `global/operations/${operation.name}/wait`)
})

test('a mistake of our own is status 500 without its text, and is told once with the request, also in a batch', async () => {
  const mistake = new TypeError('secret detail')
  const store = new MemoryStore()
  const api = new TestApi({ store })
  store.get = () => {
    throw mistake
  }
  const path = '/compute/v1/projects/p/global/healthChecks/hc'
  const { status, body } = await api.send('GET', `${path}?alt=json`)
  assert.deepEqual([status, JSON.stringify(body).includes('secret')], [500, false])
  const part = `--b\nContent-Type: application/http\nContent-ID: <1>\n\nDELETE ${path} HTTP/1.1\n\n\n--b--\n`
  const { text } = await api.batch('multipart/mixed; boundary=b', part)
  assert.match(text, /^HTTP\/1\.1 500 /m)
  assert.deepEqual(api.errors, [
    { error: mistake, request: `GET ${path}` },
    { error: mistake, request: `DELETE ${path}` },
  ])
})

test('every answer is told by its method, also those of a batch, and what is no method under one name', async () => {
  const api = new TestApi()
  const path = '/compute/v1/projects/p/global/healthChecks'
  await api.change('POST', path, { name: 'hc', type: 'TCP', tcpHealthCheck: {} })
  await api.send('GET', `${path}/none`)
  await api.send('GET', '/compute/v1/projects/p/global/unheardOf/x')
  await api.send('PUT', path)
  await api.send('GET', `${path}?fields=(`)
  const part = `--b\nContent-Type: application/http\nContent-ID: <1>\n\nDELETE ${path}/hc HTTP/1.1\n\n\n--b--\n`
  await api.batch('multipart/mixed; boundary=b', part)
  assert.deepEqual(api.answers, [
    'healthChecks.insert 200',
    'healthChecks.get 404',
    'unknown 404',
    'unknown 405',
    'healthChecks.list 400',
    'healthChecks.delete 200',
    'batch 200',
  ])
})

test('two projects share addresses, but not names', async () => {
  const api = new TestApi({ projects: ['p', 'q'] })
  await api.makeGuide()
  for (const [path, body] of guideRequests) {
    const own = JSON.parse(JSON.stringify(body).replaceAll('projects/p/', 'projects/q/'))
    const isRule = path.endsWith('forwardingRules')
    if (isRule) {
      const refusal = await api.refusal('POST', `/compute/v1/projects/q/${path}`, own)
      assert.match(refusal, /in-use and would result in a conflict: 'projects\/p\//)
    }
    await api.change('POST', `/compute/v1/projects/q/${path}`, isRule ? { ...own, IPAddress: undefined } : own)
  }
  const { snapshot } = api.publication()
  assert.deepEqual(
    snapshot.frontends.map(({ name, service, address }) => `${name} ${service} ${address}`),
    [
      'my-tcp-lb-ipv4-forwarding-rule my-tcp-lb 203.0.113.1',
      'q/my-tcp-lb-ipv4-forwarding-rule q/my-tcp-lb 203.0.113.3',
    ],
  )
})

test('a change of what others change, too, needs the fingerprint of what it was made on', async () => {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', 'global/sslPolicies', { name: 's' })
  const required = /^400 required: Required field 'resource.fingerprint' not specified/
  for (const [method, path] of [
    ['PUT', 'global/backendServices/my-tcp-lb'],
    ['PATCH', 'global/backendServices/my-tcp-lb'],
    ['PATCH', 'global/sslPolicies/s'],
  ] as const) {
    for (const fingerprint of [undefined, null, '']) {
      assert.match(await api.refusal(method, path, { description: 'x', fingerprint }), required)
    }
    assert.match(await api.refusal(method, path, { fingerprint: 'AAAAAAAAAAA=' }), /^412 conditionNotMet/)
    await api.changeAsItIs(method, path, { description: 'x' })
  }
  const instance = `${zone}/instances/my-backend`
  for (const [path, body] of [
    [`${instance}/setTags`, { items: [] }],
    [`${instance}/setMetadata`, { items: [] }],
    [`${instance}/setLabels`, { labels: {} }],
    ['global/addresses/lb-static-ipv4/setLabels', { labels: {} }],
    ['global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule/setLabels', { labels: {} }],
    ['setCommonInstanceMetadata', { items: [] }],
  ] as const) {
    assert.match(
      await api.refusal('POST', path, body),
      /^412 conditionNotMet: .*there is none in '(labelF|f)ingerprint'/,
    )
  }
})

test('a put of what gcloud edits keeps the scheme, which never changes by being left out', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const path = 'global/backendServices/my-tcp-lb'
  await api.changeAsItIs('PATCH', path, { loadBalancingScheme: 'EXTERNAL_MANAGED' })
  await api.changeAsItIs('PUT', path, { timeoutSec: 60 })
  assert.equal((await api.get(path)).loadBalancingScheme, 'EXTERNAL_MANAGED')
})

test('an instance has the address and the disks that it will have after any change', async () => {
  const api = new TestApi()
  const accessConfigs = [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT' }]
  const disks = [
    { boot: true, autoDelete: true },
    { source: `${zone}/disks/data`, mode: 'READ_ONLY' },
  ]
  await api.change('POST', `${zone}/instances`, { name: 'vm', networkInterfaces: [{ accessConfigs }], disks })
  const made = await api.get(`${zone}/instances/vm`)
  const [nic] = made.networkInterfaces as readonly Mapping[]
  assert.equal((nic.accessConfigs as readonly Mapping[])[0].natIP, nic.networkIP)
  const shown = (made.disks as readonly Mapping[]).map(({ source, index, mode, deviceName }) => [
    source,
    index,
    mode,
    deviceName,
  ])
  assert.deepEqual(shown, [
    [`http://h/compute/v1/projects/p/${zone}/disks/vm`, 0, 'READ_WRITE', 'persistent-disk-0'],
    [`http://h/compute/v1/projects/p/${zone}/disks/data`, 1, 'READ_ONLY', 'persistent-disk-1'],
  ])
  await api.change('PUT', `${zone}/instances/vm`, made)
  assert.deepEqual(await api.get(`${zone}/instances/vm`), made)
})

for (const given of ['True', 'true', 'TRUE', '']) {
  test(`deletionProtection=${given} protects`, async () => {
    const api = new TestApi()
    await api.makeGuide()
    const path = `${zone}/instances/my-backend`
    await api.change('POST', `${path}/setDeletionProtection?deletionProtection=${given}`)
    assert.match(await api.refusal('DELETE', path), /^400 invalid: Resource cannot be deleted/)
    await api.change('POST', `${path}/setDeletionProtection?deletionProtection=False`)
    await api.change('DELETE', path)
  })
}

test('a project is found by its number; one that is not there names those that are, and the flag', async () => {
  const api = new TestApi()
  const { id } = await api.get('')
  assert.equal((await api.send('GET', `/compute/v1/projects/${id}/global/healthChecks`)).status, 200)
  const refused = await api.refusal('GET', '/compute/v1/projects/q/global/healthChecks')
  assert.match(refused, /^404 notFound: The resource 'projects\/q' was not found: there is p; the flag --project /)
  assert.match(await api.refusal('GET', '/compute/v1/projects/7/global/healthChecks'), /^404 notFound/)
})

test('answers are JSON, and another form is refused', async () => {
  const api = new TestApi()
  assert.equal((await api.send('GET', 'global/healthChecks?alt=json&$alt=json')).status, 200)
  for (const query of ['alt=media', '$alt=proto']) {
    assert.match(await api.refusal('GET', `global/healthChecks?${query}`), /^400 invalidParameter: .*answers are JSON/)
  }
  assert.deepEqual(Object.keys(await api.get('global/healthChecks?$fields=kind')), ['kind'])
})

test('of several problems, what is not supported is said first', async () => {
  const api = new TestApi()
  const refused = await api.refusal('POST', 'global/forwardingRules', { name: 'r', allPorts: true })
  assert.match(refused, /^400 invalid: Invalid value for field 'resource.allPorts'/)
})

test('a body in which a field stands twice is refused: which of the two is meant cannot be known', async () => {
  const api = new TestApi()
  for (const [text, key, field] of [
    ['{"name":"h","type":"TCP","tcpHealthCheck":{},"name":"x"}', 'name', 'resource.name'],
    ['{"name":"h","type":"TCP","tcpHealthCheck":{"port":1,"po\\u0072t":2}}', 'port', 'resource.tcpHealthCheck.port'],
    [
      '{"name":"h","type":"TCP","tcpHealthCheck":{},"sourceRegions":[{"a":1},{"a":[1,2],"a":2}]}',
      'a',
      'resource.sourceRegions[1].a',
    ],
  ]) {
    const { status, body } = await api.send('POST', 'global/healthChecks', JSON.parse(text), text)
    assert.equal(status, 400, text)
    assert.match(JSON.stringify(body), new RegExp(`'${key}'.*twice`))
    assert.ok(JSON.stringify(body).includes(`field '${field}'`), text)
  }
  const text = '{"name":"h","type":"TCP","tcpHealthCheck":{"request":"\\",\\"name\\":{"},"description":"name"}'
  assert.equal((await api.send('POST', 'global/healthChecks', JSON.parse(text), text)).status, 200)
})

test('what has no effect is accepted as Google does, and the operation says so', async () => {
  const api = new TestApi()
  const fields = { loadBalancingScheme: 'EXTERNAL_MANAGED', sessionAffinity: 'CLIENT_IP' }
  const made = await api.change('POST', 'global/backendServices', { ...fields, name: 'a', localityLbPolicy: 'RANDOM' })
  assert.match(
    JSON.stringify(made.warnings),
    /sessionAffinity CLIENT_IP has no effect with localityLbPolicy RANDOM; give/,
  )
  assert.ok(!('warnings' in (await api.change('POST', 'global/backendServices', { ...fields, name: 'b' }))))
  await api.makeGuide()
  const group = `${zone}/instanceGroups/my-instance-group`
  const backends = [{ group, balancingMode: 'CONNECTION', maxConnections: 9, maxUtilization: 0.8 }]
  const { fingerprint } = await api.get('global/backendServices/my-tcp-lb')
  const idle = await api.change('PATCH', 'global/backendServices/my-tcp-lb', { backends, fingerprint })
  assert.match(JSON.stringify(idle.warnings), /maxUtilization has no effect with CONNECTION; give UTILIZATION/)
})
