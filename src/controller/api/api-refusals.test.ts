import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guideRequests, TestApi } from './test-api.ts'

const zone = 'zones/us-central1-b'

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
    /^400 invalid: .*Unknown name "enabled" at 'resource.logConfig': Cannot find field. To mend it: give enable/,
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
    /^400 invalid: .*maxConnectionsPerEndpoint': '5'. the group is one of instances; give maxConnectionsPerInstance/,
  ],
  [
    'TLS 1.3 without RESTRICTED',
    'POST',
    'global/sslPolicies',
    { name: 's', profile: 'MODERN', minTlsVersion: 'TLS_1_3' },
    /^400 invalid: .*minTlsVersion': 'TLS_1_3'. TLS_1_3 does not go with the profile MODERN; give RESTRICTED/,
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
    /^400 invalid: .*sslCertificates': ''. the list has 16 entries, more than 15/,
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
    /^400 invalid: .*nested deeper than 64/,
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
    assert.match(await api.refusal(method, path, body), expected)
  })
}
