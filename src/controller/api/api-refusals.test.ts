import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guideRequests, TestApi } from './test-api.ts'

const zone = 'zones/us-central1-b'

function instanceAt(networkIP: string): object {
  return { name: 'i', machineType: `${zone}/machineTypes/e2-micro`, networkInterfaces: [{ networkIP }] }
}

const refusals: readonly (readonly [claim: string, method: string, path: string, body: unknown, refusal: RegExp])[] = [
  [
    'a bad name',
    'POST',
    'global/healthChecks',
    { name: 'Bad', type: 'TCP', tcpHealthCheck: {} },
    /^400 invalid: Invalid value for field 'resource.name': 'Bad'. Must be a match of regex '\(\?:\[a-z\]/,
  ],
  [
    'no name',
    'POST',
    'global/healthChecks',
    { type: 'TCP', tcpHealthCheck: {} },
    /^400 required: Required field 'resource.name' not specified/,
  ],
  [
    'an unknown field',
    'POST',
    'global/backendServices',
    { name: 'b', logConfig: { enabled: true } },
    /^400 invalid: .*Unknown name "enabled" at 'resource.logConfig': Cannot find field. To fix it: give enable/,
  ],
  [
    'an unknown reference',
    'POST',
    'global/backendServices',
    { name: 'b', healthChecks: ['nope'] },
    /^404 notFound: The resource 'projects\/p\/global\/healthChecks\/nope' was not found, which 'resource.healthChecks\[0\]' names/,
  ],
  [
    'a reference to another kind',
    'POST',
    'global/targetTcpProxies',
    { name: 'b', service: 'global/healthChecks/my-tcp-health-check' },
    /^400 invalid: Invalid value for field 'resource.service': 'global\/healthChecks\/my-tcp-health-check'. .* is one of healthChecks; name one of backendServices/,
  ],
  [
    'a name that is taken',
    'POST',
    'global/healthChecks',
    guideRequests[4][1],
    /^409 alreadyExists: The resource 'projects\/p\/global\/healthChecks\/my-tcp-health-check' already exists/,
  ],
  ...['8.8.8.8', '192.0.2.1', '0.0.0.0', '::', '127.0.0.1', '169.254.169.254', '2001:db9::1', '203.0.112.255'].flatMap(
    (address) => {
      const rule = { name: 'r', IPAddress: address, portRange: '443', target: 'my-tcp-lb-target-proxy' }
      const refusal = new RegExp(
        `^400 invalid: .*'resource.(IP)?[aA]ddress': '${address}'. It is not an address of this controller; give one of its --addresses`,
      )
      return [
        [`a rule at ${address}, which is none of the pools`, 'POST', 'global/forwardingRules', rule, refusal],
        [`the reservation of ${address}`, 'POST', 'global/addresses', { name: 'a', address }, refusal],
      ] as const
    },
  ),
  ...[
    '127.0.0.1',
    '127.8.9.10',
    '::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '169.254.169.254',
    'fe80::1',
    '::ffff:169.254.169.254',
  ].flatMap((address) => {
    const why =
      /^400 invalid: .*(networkIP|ipAddress)'.* It is of the class "(loopback|link-local)", .*--allow-local-backends/
    const endpoint = { ipAddress: address, port: 80 }
    const group = `${zone}/networkEndpointGroups`
    return [
      [`an instance at ${address}`, 'POST', `${zone}/instances`, instanceAt(address), why],
      [
        `the move of an instance to ${address}`,
        'PUT',
        `${zone}/instances/my-backend`,
        { ...instanceAt(address), name: 'my-backend' },
        why,
      ],
      [`an endpoint at ${address}`, 'POST', group, { name: 'n', networkEndpoints: [endpoint] }, why],
      [
        `an endpoint that comes later, at ${address}`,
        'POST',
        `${group}/neg/attachNetworkEndpoints`,
        { networkEndpoints: [endpoint] },
        why,
      ],
    ] as const
  }),
  ...['0.0.0.0', '::', '224.0.0.1', 'ff02::1', '255.255.255.255'].map(
    (address) =>
      [
        `an instance at ${address}`,
        'POST',
        `${zone}/instances`,
        instanceAt(address),
        /^400 invalid: .*networkIP'.* It is of the class "(unspecified|multicast|broadcast)"/,
      ] as const,
  ),
  [
    'what is not there',
    'GET',
    'global/healthChecks/nope',
    undefined,
    /^404 notFound: The resource 'projects\/p\/global\/healthChecks\/nope' was not found/,
  ],
  [
    'the deletion of what is in use',
    'DELETE',
    'global/healthChecks/my-tcp-health-check',
    undefined,
    /^400 resourceInUseByAnotherResource: The health_check resource 'projects\/p\/global\/healthChecks\/my-tcp-health-check' is already being used by 'projects\/p\/global\/backendServices\/my-tcp-lb'/,
  ],
  [
    'the deletion of an address in use',
    'DELETE',
    'global/addresses/lb-static-ipv4',
    undefined,
    /^400 resourceInUseByAnotherResource: The address resource .* is already being used by '.*\/my-tcp-lb-ipv4-forwarding-rule'/,
  ],
  [
    'an address and port in use',
    'POST',
    'global/forwardingRules',
    { name: 'r', IPAddress: 'lb-static-ipv4', portRange: '110', target: 'my-tcp-lb-target-proxy' },
    /^400 invalid: Invalid value for field 'resource.IPAddress': '203.0.113.1'. Specified IP address is in-use and would result in a conflict: .* has its port 110/,
  ],
  [
    'the only group drained',
    'PATCH',
    'global/backendServices/my-tcp-lb',
    { backends: [{ group: `${zone}/instanceGroups/my-instance-group`, capacityScaler: 0 }] },
    /^400 invalid: Invalid value for field 'resource.backends\[0\].capacityScaler': '0'. 0 drains the only group/,
  ],
  [
    'a capacity scaler of 0.05',
    'PATCH',
    'global/backendServices/my-tcp-lb',
    { backends: [{ group: `${zone}/instanceGroups/my-instance-group`, capacityScaler: 0.05 }] },
    /^400 invalid: .*capacityScaler': '0.05'. 0.05 is neither 0 nor between 0.1 and 1/,
  ],
  [
    'a field of endpoint groups with an instance group',
    'PATCH',
    'global/backendServices/my-tcp-lb',
    {
      backends: [
        {
          group: `${zone}/instanceGroups/my-instance-group`,
          balancingMode: 'CONNECTION',
          maxConnectionsPerEndpoint: 5,
        },
      ],
    },
    /^400 invalid: .*maxConnectionsPerEndpoint': '5'. the group is an instance group; give maxConnectionsPerInstance/,
  ],
  [
    'TLS 1.3 without RESTRICTED',
    'POST',
    'global/sslPolicies',
    { name: 's', profile: 'MODERN', minTlsVersion: 'TLS_1_3' },
    /^400 invalid: .*minTlsVersion': 'TLS_1_3'. TLS_1_3 cannot be used with the profile MODERN; give RESTRICTED/,
  ],
  [
    'a timeout above the interval',
    'POST',
    'global/healthChecks',
    { name: 'h', type: 'TCP', tcpHealthCheck: {}, timeoutSec: 6 },
    /^400 invalid: .*timeoutSec': '6'. 6 is more than checkIntervalSec, 5/,
  ],
  [
    'a certificate that is none',
    'POST',
    'global/sslCertificates',
    { name: 'c', certificate: 'x', privateKey: 'y' },
    /^400 invalid: Invalid value for field 'resource.certificate': ''. it is not a certificate/,
  ],
  [
    'sixteen certificates',
    'POST',
    'global/targetSslProxies',
    { name: 't', service: 'my-tcp-lb', sslCertificates: Array.from({ length: 16 }, (_, index) => `c${index}`) },
    /^400 invalid: .*sslCertificates': 'c0, c1, .*'. the list has 16 entries, more than 15/,
  ],
  [
    'a stale fingerprint',
    'PUT',
    'global/backendServices/my-tcp-lb',
    { portName: 'x', fingerprint: 'abcd1234efg=' },
    /^412 conditionNotMet: Invalid fingerprint/,
  ],
  [
    'stale named ports',
    'POST',
    `${zone}/instanceGroups/my-instance-group/setNamedPorts`,
    { namedPorts: [], fingerprint: 'abcd1234efg=' },
    /^412 conditionNotMet/,
  ],
  [
    'another name in the body',
    'PATCH',
    'global/healthChecks/my-tcp-health-check',
    { name: 'other' },
    /^400 invalid: .*'resource.name': 'other'. The resource is called 'my-tcp-health-check'/,
  ],
  [
    'a project that is not there',
    'GET',
    '/compute/v1/projects/q/global/healthChecks',
    undefined,
    /^404 notFound: The resource 'projects\/q' was not found/,
  ],
  ['a path that is not there', 'GET', 'global/nothing', undefined, /^404 notFound/],
  ['a method that a path has not', 'PUT', 'global/healthChecks', undefined, /^405 httpMethodNotAllowed/],
  ['a scope that a collection has not', 'GET', 'global/instances', undefined, /^404 notFound/],
  [
    'a page token of somebody else',
    'GET',
    'global/healthChecks?pageToken=abc',
    undefined,
    /^400 invalid: .*'pageToken'/,
  ],
  ['too many results', 'GET', 'global/healthChecks?maxResults=501', undefined, /^400 invalid: .*'maxResults': '501'/],
  [
    'an instance at the address of another',
    'POST',
    `${zone}/instances`,
    { name: 'two', networkInterfaces: [{ networkIP: '10.128.0.2' }] },
    /^400 invalid: .*networkIP': '10.128.0.2'. It is the address of another instance/,
  ],
  [
    'a member that is one',
    'POST',
    `${zone}/instanceGroups/my-instance-group/addInstances`,
    { instances: [{ instance: 'my-backend' }] },
    /^400 memberAlreadyExists/,
  ],
  [
    'another network',
    'POST',
    `${zone}/instances`,
    { name: 'two', networkInterfaces: [{ network: 'global/networks/other' }] },
    /^404 notFound: The resource 'projects\/p\/global\/networks\/other' was not found/,
  ],
  [
    'a reference to itself that is nested too deep',
    'PATCH',
    'global/healthChecks/my-tcp-health-check',
    JSON.parse(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`),
    /^400 invalid: .*nested more than 64/,
  ],
  [
    'a security policy',
    'POST',
    'global/backendServices/my-tcp-lb/setSecurityPolicy',
    { securityPolicy: 'x' },
    /^400 invalid: .*securityPolicy/,
  ],
]

for (const [claim, method, path, body, expected] of refusals) {
  test(`refused, and nothing is changed: ${claim}`, async () => {
    const api = new TestApi()
    await api.makeGuide()
    await api.change('POST', `${zone}/networkEndpointGroups`, { name: 'neg' })
    assert.match(await api.refusal(method, path, body), expected)
  })
}

test('what an older controller took stays as it is, and what is new beside it is refused', async () => {
  const lax = new TestApi({ allowsLocalBackends: true, addresses: ['198.51.100.1'] })
  await lax.makeGuide()
  const endpoint = { ipAddress: '127.0.0.1', port: 80 }
  await lax.change('POST', `${zone}/networkEndpointGroups`, { name: 'neg', networkEndpoints: [endpoint] })
  await lax.change('POST', `${zone}/instances`, instanceAt('127.0.0.9'))
  const rule = { name: 'r', IPAddress: '198.51.100.1', portRange: '443', target: 'my-tcp-lb-target-proxy' }
  await lax.change('POST', 'global/forwardingRules', rule)

  const api = new TestApi({ store: lax.store })
  api.skipBytes(1_000)
  await api.change('POST', `${zone}/instances/i/stop`)
  const attach = `${zone}/networkEndpointGroups/neg/attachNetworkEndpoints`
  await api.change('POST', attach, { networkEndpoints: [{ ipAddress: '10.128.0.9', port: 80 }] })
  const other = { networkEndpoints: [{ ipAddress: '127.0.0.2', port: 80 }] }
  assert.match(await api.refusal('POST', attach, other), /class "loopback"/)
  const { labelFingerprint } = await api.get('global/forwardingRules/r')
  await api.change('POST', 'global/forwardingRules/r/setLabels', { labelFingerprint, labels: { a: 'b' } })
  await api.change('DELETE', `${zone}/instances/i`)
})
