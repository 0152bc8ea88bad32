import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import type { CollectionName } from '../../compute/resources.ts'
import { serverDefaults } from '../../compute/server-defaults.ts'
import { makeCertificate, TestApi } from './test-api.ts'

const zone = 'zones/us-central1-b'

/** What only a server knows: which resource it is, and its state. */
const STATE = [
  ...['id', 'kind', 'selfLink', 'creationTimestamp', 'zone', 'fingerprint', 'labelFingerprint', 'status', 'size'],
  ...['address', 'IPAddress', 'enabledFeatures', 'expireTime', 'subjectAlternativeNames', 'selfManaged.certificate'],
  ...['cpuPlatform', 'lastStartTimestamp', 'startRestricted', 'tags.fingerprint', 'metadata.kind', 'network'],
  ...['metadata.fingerprint', 'networkInterfaces[].kind', 'networkInterfaces[].name', 'networkInterfaces[].network'],
  ...['networkInterfaces[].networkIP', 'networkInterfaces[].fingerprint'],
]

/** The least that each collection takes, a place to make it, and what of the table belongs to other bodies. */
const bodies: readonly (readonly [CollectionName, place: string, body: Mapping, others?: readonly string[]])[] = [
  ['instances', zone, {}],
  ['instanceGroups', zone, {}],
  ['networkEndpointGroups', zone, {}],
  [
    'healthChecks',
    'global',
    { type: 'TCP', tcpHealthCheck: {} },
    [
      'httpHealthCheck.port',
      'httpHealthCheck.requestPath',
      'sslHealthCheck.port',
      'httpsHealthCheck.port',
      'http2HealthCheck.port',
    ],
  ],
  [
    'backendServices',
    'global',
    { backends: [{ group: `${zone}/instanceGroups/r` }], healthChecks: ['r'], logConfig: { enable: true } },
  ],
  ['targetTcpProxies', 'global', { service: 'r' }],
  ['sslCertificates', 'global', makeCertificate()],
  ['sslPolicies', 'global', {}],
  ['targetSslProxies', 'global', { service: 'r', sslCertificates: ['r'] }],
  ['addresses', 'global', {}],
  ['forwardingRules', 'global', { target: 'global/targetTcpProxies/r', portRange: '110' }],
  ['firewalls', 'global', { allowed: [{ IPProtocol: 'tcp' }] }, ['destinationRanges']],
]

test('a server adds what is in the table, and nothing else', async () => {
  const api = new TestApi()
  for (const [collection, place, body, others = []] of bodies) {
    await api.change('POST', `${place}/${collection}`, { name: 'r', ...body })
    const shown = await api.get(`${place}/${collection}/r`)
    const given = pathsOf({ name: 'r', ...body })
    const added = pathsOf(shown).filter((path) => !given.includes(path) && !STATE.includes(path))
    const table = Object.keys(serverDefaults[collection]).filter((path) => !others.includes(path))
    assert.deepEqual(added.sort(), table.sort(), collection)
    for (const [path, value] of Object.entries(serverDefaults[collection])) {
      const found = others.includes(path) ? value : valueAt(shown, path)
      const isLink = path === 'machineType'
      assert.deepEqual(isLink ? String(found).replace(/.*\//, '') : found, value, `${collection} ${path}`)
    }
  }
})

test('what is given and changes nothing is found again', async () => {
  const api = new TestApi()
  const given = {
    ipAddressSelectionPolicy: 'IPV4_ONLY',
    localityLbPolicy: 'ROUND_ROBIN',
    compressionMode: 'DISABLED',
    subsetting: { policy: 'NONE' },
    connectionTrackingPolicy: { trackingMode: 'PER_CONNECTION' },
    enableCDN: false,
    iap: { enabled: false },
  }
  await api.change('POST', 'global/backendServices', {
    name: 's',
    ...given,
    customRequestHeaders: [],
    strongSessionAffinityCookie: null,
    securityPolicy: '',
  })
  const shown = await api.get('global/backendServices/s')
  for (const [field, value] of Object.entries(given)) assert.deepEqual(shown[field], value, field)
  for (const field of ['customRequestHeaders', 'strongSessionAffinityCookie', 'securityPolicy']) {
    assert.ok(!(field in shown), field)
  }
  await api.change('PATCH', 'global/backendServices/s', {
    compressionMode: null,
    iap: null,
    fingerprint: shown.fingerprint,
  })
  const { compressionMode, iap } = await api.get('global/backendServices/s')
  assert.deepEqual([compressionMode, iap], [undefined, undefined])
})

/** The leaves of a value: `backends[].group`. */
function pathsOf(value: unknown, at = ''): string[] {
  if (Array.isArray(value) && value.some(isMapping))
    return [...new Set(value.flatMap((one) => pathsOf(one, `${at}[]`)))]
  if (!isMapping(value)) return [at]
  return Object.entries(value).flatMap(([name, item]) => pathsOf(item, at === '' ? name : `${at}.${name}`))
}

function valueAt(value: unknown, path: string): unknown {
  const steps = path.replaceAll('[]', '.0').split('.')
  return steps.reduce<unknown>((inner, step) => (inner as Mapping | undefined)?.[step], value)
}
