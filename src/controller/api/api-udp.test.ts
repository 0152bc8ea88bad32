import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestApi } from './test-api.ts'

const SERVICE = { name: 'u', protocol: 'UDP', connectionTrackingPolicy: { idleTimeoutSec: 5 } }
const RULE = { name: 'r', IPAddress: 'lb-static-ipv4', IPProtocol: 'UDP', portRange: '110', backendService: 'u' }

/** The guide, with a load balancer for UDP on the same address and port. */
async function makeBoth(): Promise<TestApi> {
  const api = new TestApi()
  await api.makeGuide()
  await api.change('POST', 'global/backendServices', SERVICE)
  await api.change('POST', 'global/forwardingRules', RULE)
  return api
}

test('TCP and UDP have one address and port, and edges get both', async () => {
  const api = await makeBoth()
  const { snapshot, leftOut } = api.publication()
  assert.deepEqual(leftOut, [])
  assert.deepEqual(
    snapshot.frontends.map(({ protocol, address, port, service }) => [protocol, address, port, service]),
    [
      ['TCP', '203.0.113.1', 110, 'my-tcp-lb'],
      ['UDP', '203.0.113.1', 110, 'u'],
    ],
  )
  const { target, backendService, IPProtocol, proxyHeader } = await api.get('global/forwardingRules/r')
  assert.equal(backendService, 'http://h/compute/v1/projects/p/global/backendServices/u')
  assert.deepEqual([target, IPProtocol, proxyHeader], [undefined, 'UDP', undefined])
  const refused = await api.refusal('POST', 'global/forwardingRules', { ...RULE, name: 'other' })
  assert.match(
    refused,
    /^400 invalid: .*'resource.IPAddress'.*'projects\/p\/global\/forwardingRules\/r' has its port 110/,
  )
})

test('a change of the header and of the service reaches edges, and so does the end of the rule', async () => {
  const api = await makeBoth()
  await api.change('PATCH', 'global/forwardingRules/r', { proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['UNIQUE_ID'] })
  const frontend = () => api.publication().snapshot.frontends.find(({ protocol }) => protocol === 'UDP')
  assert.deepEqual(frontend()?.proxyHeader, { kind: 'PROXY_V2', crc32c: false, uniqueId: true })
  await api.change('POST', 'global/backendServices', { ...SERVICE, name: 'v' })
  await api.change('POST', 'global/forwardingRules/r/setTarget', { target: 'global/backendServices/v' })
  assert.equal(frontend()?.service, 'v')
  assert.deepEqual((await api.get('global/backendServices/v')).connectionTrackingPolicy, { idleTimeoutSec: 5 })
  await api.change('DELETE', 'global/forwardingRules/r')
  assert.equal(frontend(), undefined)
})

test('a service keeps the protocol that those who use it need', async () => {
  const api = await makeBoth()
  const protocolOf = async (name: string, protocol: string): Promise<string> => {
    const { fingerprint } = await api.get(`global/backendServices/${name}`)
    return api.refusal('PATCH', `global/backendServices/${name}`, {
      protocol,
      fingerprint,
      connectionTrackingPolicy: null,
    })
  }
  assert.match(
    await protocolOf('u', 'TCP'),
    /^400 invalid: .*'resource.protocol': 'TCP'.*forwardingRules\/r', which uses the service; make another/,
  )
  assert.match(await protocolOf('my-tcp-lb', 'UDP'), /^400 invalid: .*'resource.protocol': 'UDP'.*targetTcpProxies\//)
})

for (const [what, path, body, refusal] of [
  [
    'a rule for UDP to a service of TCP',
    'global/forwardingRules',
    { ...RULE, name: 'x', portRange: '1', backendService: 'my-tcp-lb' },
    /^400 invalid: .*'resource.backendService'.* TCP, is not the IPProtocol UDP of the rule/,
  ],
  [
    'a target proxy to a service of UDP',
    'global/targetTcpProxies',
    { name: 'x', service: 'u' },
    /^400 invalid: .*'resource.service'.* is UDP, which target proxies do not take/,
  ],
  [
    'a rule for UDP without a service',
    'global/forwardingRules',
    { ...RULE, name: 'x', portRange: '1', backendService: undefined },
    /^400 required: Required field 'resource.backendService' not specified/,
  ],
  [
    'a rule without a target',
    'global/forwardingRules',
    { name: 'x', IPAddress: 'lb-static-ipv4', portRange: '1' },
    /^400 required: Required field 'resource.target' not specified/,
  ],
] as const) {
  test(`${what} is refused`, async () => {
    const api = await makeBoth()
    assert.match(await api.refusal('POST', path, body), refusal)
  })
}
