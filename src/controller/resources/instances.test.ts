import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'

const ZONE = 'zones/us-central1-b'

async function interfacesOf(api: TestApi, path: string): Promise<readonly Mapping[]> {
  return (await api.get(path)).networkInterfaces as readonly Mapping[]
}

async function addressOf(api: TestApi, zone: string, name = 'vm'): Promise<unknown> {
  await api.change('POST', `zones/${zone}/instances`, { name })
  return (await interfacesOf(api, `zones/${zone}/instances/${name}`))[0].networkIP
}

// cloud.google.com/vpc/docs/subnets, "Auto mode IPv4 subnet ranges"; .1 is the gateway's.
for (const [zone, address] of [
  ['us-central1-a', '10.128.0.2'],
  ['europe-west1-b', '10.132.0.2'],
  ['us-west1-a', '10.138.0.2'],
  ['asia-east1-a', '10.140.0.2'],
  ['us-east1-b', '10.142.0.2'],
  ['asia-northeast1-a', '10.146.0.2'],
  ['asia-southeast1-a', '10.148.0.2'],
  ['us-east4-a', '10.150.0.2'],
  ['australia-southeast1-a', '10.152.0.2'],
  ['europe-west2-a', '10.154.0.2'],
  ['europe-west3-a', '10.156.0.2'],
  ['europe-west4-a', '10.164.0.2'],
] as const) {
  test(`the first instance of ${zone} has the first address of Google's subnet there`, async () => {
    assert.equal(await addressOf(new TestApi(), zone), address)
  })
}

test('a region of one’s own has a subnet of its own, the same in every controller, apart from all of Google’s', async () => {
  const zones = ['rack1-a', 'rack2-a', 'basement9-c']
  const api = new TestApi()
  const addresses: unknown[] = []
  for (const zone of zones) {
    const address = await addressOf(api, zone)
    assert.equal(await addressOf(new TestApi(), zone), address)
    addresses.push(address)
    const [, second, third] = String(address).split('.').map(Number)
    assert.match(String(address), /^10\.\d+\.\d+\.2$/)
    assert.ok(second >= 170 && second < 250 && third % 16 === 0, `${address} is in a /20`)
  }
  assert.equal(new Set(addresses).size, zones.length)
})

test('an address is given once, in the order of the subnet, and again when its instance is gone', async () => {
  const api = new TestApi()
  assert.equal(await addressOf(api, 'us-central1-b', 'a'), '10.128.0.2')
  assert.equal(await addressOf(api, 'us-central1-b', 'b'), '10.128.0.3')
  assert.equal(await addressOf(api, 'us-central1-c', 'c'), '10.128.0.4', 'a subnet is that of a region')
  await api.change('DELETE', `${ZONE}/instances/b`)
  assert.equal(await addressOf(api, 'us-central1-b', 'd'), '10.128.0.3')
})

test('an address belongs to one instance of a project, and to one of its interfaces', async () => {
  const api = new TestApi({ projects: ['p', 'q'] })
  const body = { name: 'a', networkInterfaces: [{ networkIP: '10.0.0.1' }] }
  await api.change('POST', `${ZONE}/instances`, body)
  const taken = /^400 invalid: .*'resource\.networkInterfaces\[0\]\.networkIP'.*the address of another instance/
  assert.match(await api.refusal('POST', `${ZONE}/instances`, { ...body, name: 'b' }), taken)
  await api.change('POST', `/compute/v1/projects/q/${ZONE}/instances`, body)
  const twice = { name: 'b', networkInterfaces: [{ networkIP: '10.0.0.2' }, { networkIP: '10.0.0.2' }] }
  assert.match(await api.refusal('POST', `${ZONE}/instances`, twice), /networkInterfaces\[1\]\.networkIP/)
  const { name: _, ...same } = body
  await api.change('PUT', `${ZONE}/instances/a`, same)
})

test('an address that no host can have is refused', async () => {
  for (const networkIP of ['0.0.0.0', '224.0.0.1', '255.255.255.255']) {
    const body = { name: 'a', networkInterfaces: [{ networkIP }] }
    assert.match(await new TestApi().refusal('POST', `${ZONE}/instances`, body), /^400 invalid: /, networkIP)
  }
})

test('interfaces are numbered, are in the default network, and are reached where the host is', async () => {
  const api = new TestApi()
  const networkInterfaces = [
    { networkIP: '10.0.0.1', accessConfigs: [{ name: 'External NAT' }] },
    { networkIP: '10.0.0.2', accessConfigs: [{ name: 'own', natIP: '203.0.113.9' }] },
    {},
  ]
  const operation = await api.change('POST', `${ZONE}/instances`, { name: 'a', networkInterfaces })
  assert.equal(operation.warnings, undefined, 'the address of the first was given')
  const interfaces = await interfacesOf(api, `${ZONE}/instances/a`)
  assert.deepEqual(
    interfaces.map(({ name, networkIP, network, kind }) => [name, networkIP, network, kind]),
    ['10.0.0.1', '10.0.0.2', '10.128.0.2'].map((address, index) => [
      `nic${index}`,
      address,
      'http://h/compute/v1/projects/p/global/networks/default',
      'compute#networkInterface',
    ]),
  )
  assert.deepEqual(
    interfaces.map(({ accessConfigs }) => (accessConfigs as readonly Mapping[] | undefined)?.map(({ natIP }) => natIP)),
    [['10.0.0.1'], ['203.0.113.9'], undefined],
  )
  assert.equal(new Set(interfaces.map(({ fingerprint }) => fingerprint)).size, 3)
})

test('a new instance runs from now on, on a machine of some type, whatever its client says', async () => {
  const api = new TestApi()
  await api.change('POST', `${ZONE}/instances`, { name: 'a', status: 'TERMINATED' })
  const { status, lastStartTimestamp, machineType, startRestricted } = await api.get(`${ZONE}/instances/a`)
  assert.deepEqual(
    [status, lastStartTimestamp, machineType, startRestricted],
    ['RUNNING', '2026-11-22T00:00:01.000Z', `http://h/compute/v1/projects/p/${ZONE}/machineTypes/n1-standard-1`, false],
  )
})

test('a put leaves the status, and the addresses that it does not name', async () => {
  const api = new TestApi()
  const path = `${ZONE}/instances/a`
  const networkInterfaces = [{ networkIP: '10.0.0.1' }, { networkIP: '10.0.0.2' }]
  await api.change('POST', `${ZONE}/instances`, { name: 'a', networkInterfaces })
  await api.change('POST', `${path}/stop`)
  const addresses = async () => (await interfacesOf(api, path)).map(({ networkIP }) => networkIP)
  await api.change('PUT', path, { status: 'RUNNING' })
  assert.deepEqual([(await api.get(path)).status, await addresses()], ['TERMINATED', ['10.0.0.1', '10.0.0.2']])
  await api.change('PUT', path, { networkInterfaces: [{}, { networkIP: '10.0.0.3' }, { networkIP: '' }] })
  assert.deepEqual(await addresses(), ['10.0.0.1', '10.0.0.3', '10.128.0.2'])
})

test('an instance that is deleted leaves its groups, whose size and other members stay right', async () => {
  const api = new TestApi()
  for (const name of ['a', 'b']) await api.change('POST', `${ZONE}/instances`, { name })
  await api.change('POST', `${ZONE}/instanceGroups`, { name: 'g' })
  const instances = ['a', 'b'].map((name) => ({ instance: `${ZONE}/instances/${name}` }))
  await api.change('POST', `${ZONE}/instanceGroups/g/addInstances`, { instances })
  await api.change('POST', `${ZONE}/networkEndpointGroups`, { name: 'n', defaultPort: 110 })
  const networkEndpoints = [{ instance: 'a' }, { instance: 'b' }, { ipAddress: '10.9.9.9' }]
  await api.change('POST', `${ZONE}/networkEndpointGroups/n/attachNetworkEndpoints`, { networkEndpoints })
  await api.change('DELETE', `${ZONE}/instances/a`)
  assert.equal((await api.get(`${ZONE}/instanceGroups/g`)).size, 1)
  assert.equal((await api.get(`${ZONE}/networkEndpointGroups/n`)).size, 2)
  const listed = await api.send('POST', `${ZONE}/instanceGroups/g/listInstances`, {})
  assert.deepEqual(
    (listed.body.items as readonly Mapping[]).map(({ instance }) => instance),
    [`http://h/compute/v1/projects/p/${ZONE}/instances/b`],
  )
  const endpoints = await api.send('POST', `${ZONE}/networkEndpointGroups/n/listNetworkEndpoints`, {})
  assert.deepEqual(
    (endpoints.body.items as readonly Mapping[]).map(({ networkEndpoint }) => (networkEndpoint as Mapping).ipAddress),
    ['10.128.0.3', '10.9.9.9'],
  )
})

test('of the members of a group, those that run can be asked for alone', async () => {
  const api = new TestApi()
  for (const name of ['a', 'b']) await api.change('POST', `${ZONE}/instances`, { name })
  await api.change('POST', `${ZONE}/instanceGroups`, { name: 'g', namedPorts: [{ name: 'pop3', port: 110 }] })
  const instances = ['a', 'b'].map((name) => ({ instance: `${ZONE}/instances/${name}` }))
  await api.change('POST', `${ZONE}/instanceGroups/g/addInstances`, { instances })
  await api.change('POST', `${ZONE}/instances/b/stop`)
  const listed = async (body: Mapping): Promise<readonly unknown[]> => {
    const answer = await api.send('POST', `${ZONE}/instanceGroups/g/listInstances`, body)
    return (answer.body.items as readonly Mapping[]).map(({ status, namedPorts }) => {
      assert.deepEqual(namedPorts, [{ name: 'pop3', port: 110 }])
      return status
    })
  }
  assert.deepEqual(await listed({}), ['RUNNING', 'TERMINATED'])
  assert.deepEqual(await listed({ instanceState: 'ALL' }), ['RUNNING', 'TERMINATED'])
  assert.deepEqual(await listed({ instanceState: 'RUNNING' }), ['RUNNING'])
})

test('the machine type of an instance changes while it is stopped', async () => {
  const api = new TestApi()
  const path = `${ZONE}/instances/vm`
  await api.change('POST', `${ZONE}/instances`, { name: 'vm' })
  const wanted = { machineType: `${ZONE}/machineTypes/e2-medium` }
  assert.match(
    await api.refusal('POST', `${path}/setMachineType`, wanted),
    /^400 resourceNotReady: .* it is RUNNING; stop it$/,
  )
  await api.change('POST', `${path}/stop`)
  const { operationType } = await api.change('POST', `${path}/setMachineType`, wanted)
  const { machineType, status } = await api.get(path)
  assert.deepEqual(
    [operationType, machineType, status],
    ['setMachineType', `http://h/compute/v1/projects/p/${ZONE}/machineTypes/e2-medium`, 'TERMINATED'],
  )
})

test('machines have addresses for the internet of their own, which stay with them and are given once', async () => {
  const api = new TestApi({ natPools: ['198.51.100.0/29', '192.0.2.8/32'] })
  const accessConfigs = [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT' }]
  const make = (name: string, configs: readonly Mapping[] = accessConfigs) =>
    api.change('POST', `${ZONE}/instances`, { name, networkInterfaces: [{ accessConfigs: configs }] })
  const natIpsOf = async (name: string) =>
    (await interfacesOf(api, `${ZONE}/instances/${name}`)).flatMap(({ accessConfigs: configs = [] }) =>
      (configs as readonly Mapping[]).map(({ natIP }) => natIP),
    )
  await make('a')
  await make('b', [{ ...accessConfigs[0], natIP: '198.51.100.3' }])
  await make('c')
  await make('none', [])
  assert.deepEqual(
    [await natIpsOf('a'), await natIpsOf('b'), await natIpsOf('c'), await natIpsOf('none')],
    [['198.51.100.1'], ['198.51.100.3'], ['198.51.100.2'], []],
  )
  const taken = { name: 'd', networkInterfaces: [{ accessConfigs: [{ natIP: '198.51.100.1' }] }] }
  assert.match(
    await api.refusal('POST', `${ZONE}/instances`, taken),
    /^400 invalid: .*networkInterfaces\[0\]\.accessConfigs\[0\]\.natIP.*the address of another instance/,
  )
  const foreign = { name: 'd', networkInterfaces: [{ accessConfigs: [{ natIP: '8.8.8.8' }] }] }
  assert.match(
    await api.refusal('POST', `${ZONE}/instances`, foreign),
    /^400 invalid: .*'8\.8\.8\.8'\. It leads to no instance here; give one of 198\.51\.100\.0\/29, 192\.0\.2\.8\/32/,
  )
  await api.changeAsItIs('PUT', `${ZONE}/instances/c`, { name: 'c', networkInterfaces: [{ accessConfigs }] })
  assert.deepEqual(await natIpsOf('c'), ['198.51.100.2'])
  const config = '?networkInterface=nic0&accessConfig=external-nat'
  await api.change('POST', `${ZONE}/instances/a/deleteAccessConfig${config}`)
  assert.deepEqual(await natIpsOf('a'), [])
  await api.change('POST', `${ZONE}/instances/a/addAccessConfig?networkInterface=nic0`, {})
  assert.deepEqual(await natIpsOf('a'), ['198.51.100.1'])
  await api.change('DELETE', `${ZONE}/instances/c`)
  const two = [...accessConfigs, { name: 'second', type: 'ONE_TO_ONE_NAT' }]
  await make('e', two)
  assert.deepEqual(await natIpsOf('e'), ['198.51.100.2', '198.51.100.4'])
  await make('f', two)
  await make('g')
  assert.deepEqual(await natIpsOf('g'), ['192.0.2.8'], 'the next pool')
  const last = { name: 'h', networkInterfaces: [{ accessConfigs }] }
  assert.match(await api.refusal('POST', `${ZONE}/instances`, last), /^403 quotaExceeded: .*--no-address/)
})

test('an address leads to an instance or is that of a forwarding rule, whoever has it first', async () => {
  const nat = '198.51.100.0/29'
  const api = new TestApi({ natPools: [nat], addressPools: ['203.0.113.0/29', nat] })
  await api.makeGuide()
  const make = (name: string, config: Mapping) => ({ name, networkInterfaces: [{ accessConfigs: [config] }] })
  const target = 'global/targetTcpProxies/my-tcp-lb-target-proxy'
  const rule = (name: string, IPAddress?: string) => ({
    ...{ name, target, portRange: '110', loadBalancingScheme: 'EXTERNAL' },
    ...(IPAddress && { IPAddress }),
  })
  assert.match(
    await api.refusal('POST', `${ZONE}/instances`, make('a', { natIP: '203.0.113.1' })),
    /^400 invalid: .*'203\.0\.113\.1'\. A forwarding rule has it; give another one, or none/,
  )
  await api.change('POST', 'global/forwardingRules', rule('first', '198.51.100.2'))
  for (const [name, config] of [
    ['a', {}],
    ['b', {}],
    ['c', { natIP: '203.0.113.2' }],
  ] as const)
    await api.change('POST', `${ZONE}/instances`, make(name, config))
  const stored = api.store.all().filter(({ collection }) => collection === 'instances')
  const natIps = stored.flatMap(({ resource }) => JSON.stringify(resource).match(/(?<="natIP":")[^"]+/g) ?? [])
  assert.deepEqual(natIps.sort(), ['198.51.100.1', '198.51.100.3', '198.51.100.4', '203.0.113.2'])
  assert.match(
    await api.refusal('POST', 'global/forwardingRules', rule('second', '198.51.100.1')),
    /^400 invalid: .*in-use and would result in a conflict: an instance has it; give another address/,
  )
  await api.change('POST', 'global/forwardingRules', rule('second'))
  assert.equal((await api.get('global/forwardingRules/second')).IPAddress, '203.0.113.3')
  await api.change('DELETE', `${ZONE}/instances/c`)
  await api.change('POST', 'global/forwardingRules', rule('third', '203.0.113.2'))
})

test('the address of an existing host may be that of an edge on it', async () => {
  const api = new TestApi()
  const accessConfigs = [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT' }]
  const networkInterfaces = [{ networkIP: '203.0.113.1', accessConfigs }]
  await api.change('POST', `${ZONE}/instances`, { name: 'host', networkInterfaces })
  await api.makeGuide()
  assert.equal((await api.get('global/addresses/lb-static-ipv4')).address, '203.0.113.1')
})

test('the account "default" is the project’s own', async () => {
  const api = new TestApi()
  const serviceAccounts = [{ email: 'default', scopes: ['a'] }, { email: 'web@p.iam.gserviceaccount.com' }]
  await api.change('POST', `${ZONE}/instances`, { name: 'a', serviceAccounts })
  const { defaultServiceAccount } = await api.get('')
  assert.match(String(defaultServiceAccount), /^[0-9]{12}-compute@developer\.gserviceaccount\.com$/)
  const shown = (await api.get(`${ZONE}/instances/a`)).serviceAccounts as readonly Mapping[]
  assert.deepEqual(shown, [{ email: defaultServiceAccount, scopes: ['a'] }, serviceAccounts[1]])
})

test('an interface with both versions has an IPv6 address of its subnet, for the internet where that is asked for', async () => {
  const api = new TestApi({ ipv6Subnets: { 'us-central1': '2001:db8:10::/64' } })
  const make = (name: string, fields: Mapping) =>
    api.change('POST', `${ZONE}/instances`, { name, networkInterfaces: [fields] })
  const ipv6Of = async (name: string) => {
    const [{ ipv6Address, ipv6AccessType, ipv6AccessConfigs }] = await interfacesOf(api, `${ZONE}/instances/${name}`)
    return [ipv6Address, ipv6AccessType, ipv6AccessConfigs]
  }
  const both = { stackType: 'IPV4_IPV6' }
  const asked = { name: 'v6', type: 'DIRECT_IPV6', networkTier: 'PREMIUM' }
  await make('a', both)
  await make('b', { ...both, ipv6AccessConfigs: [asked] })
  await make('c', { stackType: 'IPV4_ONLY' })
  assert.deepEqual(await ipv6Of('a'), ['2001:db8:10::2', 'INTERNAL', undefined])
  const external = { externalIpv6: '2001:db8:10::3', externalIpv6PrefixLength: 96 }
  assert.deepEqual(await ipv6Of('b'), [
    undefined,
    'EXTERNAL',
    [{ kind: 'compute#accessConfig', ...asked, ...external }],
  ])
  assert.deepEqual(await ipv6Of('c'), [undefined, undefined, undefined])
  await api.change('DELETE', `${ZONE}/instances/a`)
  await api.changeAsItIs('PUT', `${ZONE}/instances/b`, { name: 'b', networkInterfaces: [both] })
  assert.deepEqual(await ipv6Of('b'), ['2001:db8:10::3', 'INTERNAL', undefined], 'it stays')
  const taken = { name: 'd', networkInterfaces: [{ ...both, ipv6Address: '2001:db8:10::3' }] }
  assert.match(await api.refusal('POST', `${ZONE}/instances`, taken), /^400 invalid: .*the address of another instance/)
  const outside = { name: 'd', networkInterfaces: [{ ...both, ipv6Address: '2001:db8:11::3' }] }
  assert.match(
    await api.refusal('POST', `${ZONE}/instances`, outside),
    /^400 invalid: .*'2001:db8:11::3'\. It is not an address of the subnet 2001:db8:10::\/64$/,
  )
  await api.change('POST', 'zones/us-west1-a/instances', { name: 'far', networkInterfaces: [both] })
  const [far] = await interfacesOf(api, 'zones/us-west1-a/instances/far')
  assert.equal(far.ipv6Address, undefined, 'its subnet has none')
})
