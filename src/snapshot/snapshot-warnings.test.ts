import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readResources } from '../compute/read-resources.ts'
import { compile } from './compile.ts'
import { type Place, snapshotWarnings } from './snapshot-warnings.ts'
import { testBackend, testFrontend, testGroup, testService, testSnapshot } from './test-snapshot.ts'

const RULE = '{kind: compute#forwardingRule, name: a, IPAddress: 192.0.2.1, portRange: "110", target: a}'
const PROXY = '{kind: compute#targetTcpProxy, name: a, service: a}'
const GROUP = 'projects/p/zones/us-central1-a/networkEndpointGroups/g'
const NOWHERE: Place = { localRegion: undefined, acceptProxyFrom: null, clientLimit: { unlimitedClients: [] } }

/** The warnings about a frontend at 192.0.2.1:110 with one group. */
function warningsOf(backends: string, endpoints: string, place: Partial<Place> = {}): readonly string[] {
  const service = `{kind: compute#backendService, name: a, backends: [${backends}]}`
  const group = `{kind: compute#networkEndpointGroup, name: g, zone: us-central1-a, networkEndpoints: [${endpoints}]}`
  const { resources, problems } = readResources(`[${RULE}, ${PROXY}, ${service}, ${group}]`, 'f')
  const compiled = compile(resources, problems)
  assert.ok('snapshot' in compiled, JSON.stringify(compiled))
  return snapshotWarnings(compiled.snapshot, { ...NOWHERE, ...place })
}

const USED = `{group: ${GROUP}, balancingMode: CONNECTION, maxConnectionsPerEndpoint: 9}`
const APP = '{ipAddress: 10.128.0.2, port: 110}'

test('what serves clients is not warned of', () => {
  assert.deepEqual(warningsOf(USED, APP, { localRegion: 'us-central1', acceptProxyFrom: ['192.0.2.0/24'] }), [])
})

for (const [what, backends, endpoints, place, warning] of [
  ['a service without groups', '', APP, {}, /^backendServices\/a has no backends, so its clients are reset; /],
  ['a group without endpoints', USED, '', {}, /^backendServices\/a has no backends/],
  [
    'an edge that leads to itself',
    USED,
    '{ipAddress: 192.0.2.1, port: 110}',
    {},
    /\/a is this edge itself, at 192\.0\.2\.1 and port 110; /,
  ],
  [
    'a region with a typing error',
    USED,
    APP,
    { localRegion: 'us-centrall1' },
    /"us-centrall1".* us-central1; did you mean "us-central1"\?$/,
  ],
  [
    'another region',
    USED,
    APP,
    { localRegion: 'europe-west1' },
    /"europe-west1".* us-central1; check --region or --zone$/,
  ],
  [
    'load balancers that are everybody',
    USED,
    APP,
    { acceptProxyFrom: ['10.0.0.0/8', '::/0'] },
    /^--accept-proxy "::\/0" is every address: /,
  ],
  [
    'clients without a limit that are everybody',
    USED,
    APP,
    { clientLimit: { unlimitedClients: ['0.0.0.0/0'] } },
    /^--unlimited-clients "0\.0\.0\.0\/0" is every/,
  ],
] as const) {
  test(`${what}: a warning`, () => {
    const warnings = warningsOf(backends, endpoints, place)
    assert.equal(warnings.length, 1, warnings.join('\n'))
    assert.match(warnings[0], warning)
  })
}

test('a backend on a port of a frontend is the edge itself at the same address, or on its own host where all listen', () => {
  const named = (listening: readonly string[], address: string, port = 110): number => {
    const frontends = listening.map((it) => testFrontend({ address: it }))
    const groups = [testGroup({ backends: [testBackend({ address, port })] })]
    const snapshot = testSnapshot(frontends, [testService({ groups })])
    return snapshotWarnings(snapshot, NOWHERE).filter((text) => text.includes('is this edge itself')).length
  }
  for (const everywhere of ['0.0.0.0', '::']) {
    for (const own of ['127.0.0.1', '127.8.9.10', '::1', '0.0.0.0', '::']) {
      assert.equal(named(['192.0.2.1', everywhere], own), 1, `${own} of ${everywhere}`)
      assert.equal(named(['192.0.2.1', everywhere], own, 111), 0)
    }
    assert.equal(named([everywhere], '192.0.2.9'), 0)
  }
  assert.deepEqual([named(['192.0.2.1', '192.0.2.2'], '192.0.2.2'), named(['192.0.2.1'], '127.0.0.1')], [1, 0])
})

test('without a forwarding rule, no port is opened', () => {
  assert.match(
    snapshotWarnings({ frontends: [], services: [], healthChecks: [] }, NOWHERE).join(),
    /^there is no forwarding/,
  )
})
