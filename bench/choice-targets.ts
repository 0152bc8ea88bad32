import { fileURLToPath } from 'node:url'
import { APP_PORT, PROXY_PORT, type Target } from './targets.ts'

const TRUEPEER = fileURLToPath(new URL('../../bin/truepeer', import.meta.url))
const GROUPS_MAX = 50
const FILE = 'edge.json'
const ZONE = 'zones/us-central1-b'
const SCHEME = { loadBalancingScheme: 'EXTERNAL_MANAGED' }

/** What is compared: the first with each of the others. */
export function choiceTargets(): readonly Target[] {
  return (['ROUND_ROBIN', 'MAGLEV'] as const).flatMap((policy) =>
    [1, 100, 1_000].map((backends) => choiceTarget(policy, backends)),
  )
}

function choiceTarget(policy: 'ROUND_ROBIN' | 'MAGLEV', backends: number): Target {
  return {
    name: `${policy} ${backends}`,
    scenario: 'edge',
    kind: 'truepeer',
    program: TRUEPEER,
    files: { [FILE]: JSON.stringify(resourcesOf(policy, backends)) },
    command: [TRUEPEER, 'edge', '--config', FILE, '--zone', 'us-central1-b'],
  }
}

/** One app stands for all backends: it listens on every address of this host. */
function resourcesOf(policy: 'ROUND_ROBIN' | 'MAGLEV', backends: number): object[] {
  const groups = Math.min(GROUPS_MAX, backends)
  const endpointsOf = (group: number): object[] =>
    Array.from({ length: backends / groups }, (_, index) => ({
      ipAddress: `127.1.${group}.${index + 1}`,
      port: APP_PORT,
    }))
  const names = Array.from({ length: groups }, (_, group) => `group-${group}`)
  return [
    {
      kind: 'compute#forwardingRule',
      name: 'rule',
      IPAddress: '127.0.0.1',
      IPProtocol: 'TCP',
      portRange: `${PROXY_PORT}-${PROXY_PORT}`,
      target: 'global/targetTcpProxies/proxy',
      ...SCHEME,
    },
    {
      kind: 'compute#targetTcpProxy',
      name: 'proxy',
      service: 'global/backendServices/app',
      proxyHeader: 'PROXY_V1',
    },
    {
      kind: 'compute#backendService',
      name: 'app',
      protocol: 'TCP',
      localityLbPolicy: policy,
      ...(policy === 'MAGLEV' ? { sessionAffinity: 'CLIENT_IP' } : {}),
      ...SCHEME,
      backends: names.map((name) => ({
        group: `${ZONE}/networkEndpointGroups/${name}`,
        balancingMode: 'CONNECTION',
        maxConnections: 1_000_000,
      })),
    },
    ...names.map((name, group) => ({
      kind: 'compute#networkEndpointGroup',
      name,
      zone: 'us-central1-b',
      networkEndpoints: endpointsOf(group),
    })),
  ]
}
