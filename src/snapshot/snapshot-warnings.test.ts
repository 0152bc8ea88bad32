import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readResources } from '../compute/read-resources.ts'
import { compile } from './compile.ts'
import { type Place, snapshotWarnings } from './snapshot-warnings.ts'
import { DEFAULT_SPREADING } from './spreading.ts'
import { testBackend, testFrontend, testGroup, testService, testSnapshot } from './test-snapshot.ts'

const RULE = '{kind: compute#forwardingRule, name: a, IPAddress: 192.0.2.1, portRange: "110", target: a}'
const PROXY = '{kind: compute#targetTcpProxy, name: a, service: a}'
const GROUP = 'projects/p/zones/us-central1-a/networkEndpointGroups/g'
const NOWHERE: Place = {
  localRegion: undefined,
  localZone: undefined,
  acceptProxyFrom: null,
  clientLimit: { unlimitedClients: [] },
}

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

test('what a service asks for in vain is named, with the remedy', () => {
  const of = (
    service: Parameters<typeof testService>[0],
    place: Partial<Place> = {},
    kind: 'NONE' | 'PROXY_V1' = 'PROXY_V1',
  ) =>
    snapshotWarnings(testSnapshot([testFrontend({ proxyHeader: { kind } })], [testService(service)]), {
      ...NOWHERE,
      ...place,
    })
  const inside = { serverName: '', names: undefined, roots: '', headerPlace: 'inside-tls' } as const
  const byZone = { ...DEFAULT_SPREADING, algorithm: 'WATERFALL_BY_ZONE' } as const
  for (const kind of ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM'] as const) {
    const [warning] = of({ affinity: 'CLIENT_IP', locality: { kind } })
    assert.match(warning, /^backendServices\/my-tcp-lb: sessionAffinity CLIENT_IP has no effect with localityLbPolicy /)
  }
  assert.match(of({}, {}, 'NONE').join(), /: maxUtilization has no effect with proxyHeader NONE, .*; give PROXY_V1/)
  assert.match(of({ tls: inside }).join(), /: maxUtilization has no effect with proxyHeaderPlace INSIDE_TLS/)
  assert.match(of({ spreading: byZone }).join(), /: WATERFALL_BY_ZONE has no effect on this edge, .*; give --zone$/)
  const nearest = { ...DEFAULT_SPREADING, isolation: 'NEAREST' } as const
  assert.match(
    of({ spreading: nearest }).join(),
    /: isolationMode NEAREST has no effect on this edge, .*; give --region/,
  )
  assert.deepEqual(of({ spreading: nearest }, { localRegion: 'us-central1' }), [])
  const fine = { affinity: 'CLIENT_IP', locality: { kind: 'MAGLEV' }, spreading: byZone } as const
  assert.deepEqual(of(fine, { localRegion: 'us-central1', localZone: 'us-central1-b' }), [])
  const bounded = { mode: 'CONNECTION', maxUtilization: undefined, maxConnections: 9, capacityScaler: 1 } as const
  assert.deepEqual(of({ groups: [testGroup({ balancing: bounded })] }, {}, 'NONE'), [])
})

test('a region whose position nobody knows is named where it matters', () => {
  const positions = new Map([
    ['us-central1', 0],
    ['europe-west1', 0],
  ])
  const of = (regions: readonly string[], localRegion: string, localZone?: string): string => {
    const groups = regions.map((region) => testGroup({ name: `${region}-b/g`, region }))
    const snapshot = testSnapshot([testFrontend()], [testService({ groups })])
    return snapshotWarnings(snapshot, { ...NOWHERE, localRegion, localZone, positions }).join()
  }
  const all = ['us-central1', 'europe-west1', 'cellar-1']
  assert.match(of(all, 'cellar-1'), /^the position of the region "cellar-1" of this edge .* name a file .* --regions$/)
  assert.match(of(all, 'us-central1'), /^no distance to "cellar-1" is known, so connections go there last; /)
  assert.equal(of(['cellar-1', 'us-central1'], 'cellar-1'), '', 'there is only one way to go')
  assert.match(of(['us-central1'], 'us-central1', 'us-central1'), /^--zone "us-central1" looks like a region, /)
  assert.equal(of(['us-central1'], 'us-central1', 'us-central1-b'), '')
})
