import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../compute/problem.ts'
import { compile } from './compile.ts'
import { diff } from './diff.ts'
import { isSnapshot } from './is-snapshot.ts'
import type { BackendService, Snapshot } from './snapshot.ts'
import { snapshotWarnings } from './snapshot-warnings.ts'
import { type Fields, GUIDE, guideWith, readChecked, resourceOf } from './test-resources.ts'

const RULE = 'forwardingRules/my-udp-rule'
const SERVICE = 'backendServices/my-udp-lb'

/** The guide’s load balancer, and one for UDP on the same address and port, in front of the same group. */
function bothWith(rule: Fields = {}, service: Fields = {}): readonly Fields[] {
  return guideWith(
    {},
    resourceOf(RULE, {
      IPAddress: 'lb-static-ipv4',
      IPProtocol: 'UDP',
      portRange: '110',
      backendService: 'my-udp-lb',
      ...rule,
    }),
    resourceOf(SERVICE, { ...GUIDE['backendServices/my-tcp-lb'], protocol: 'UDP', ...service }),
  )
}

function compiled(resources: readonly Fields[]): Snapshot {
  const result = compile(readChecked(resources))
  if ('problems' in result) assert.fail(result.problems.map(formatProblem).join('\n'))
  assert.ok(isSnapshot(JSON.parse(JSON.stringify(result.snapshot))), 'what an edge takes from a controller')
  return result.snapshot
}

function problemsOf(resources: readonly Fields[]): readonly string[] {
  const result = compile(readChecked(resources))
  return 'problems' in result ? result.problems.map(formatProblem) : []
}

function udpService(fields: Fields): BackendService | undefined {
  return compiled(bothWith({}, fields)).services.find(({ name }) => name === 'my-udp-lb')
}

test('a rule for UDP leads to its service, beside one for TCP on the same address and port', () => {
  const { frontends, services } = compiled(bothWith({ proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['CRC32C'] }))
  assert.deepEqual(
    frontends.map(({ protocol, address, port, proxy, service }) => [protocol, address, port, proxy, service]),
    [
      ['TCP', '203.0.113.10', 110, 'my-tcp-lb-target-proxy', 'my-tcp-lb'],
      ['UDP', '203.0.113.10', 110, '', 'my-udp-lb'],
    ],
  )
  assert.deepEqual(frontends[1]?.proxyHeader, { kind: 'PROXY_V2', crc32c: true, uniqueId: false })
  assert.deepEqual(
    services.map(({ flows }) => flows),
    [undefined, { persistsOnUnhealthy: false }],
  )
})

test('a flow lasts for 60 s of silence unless told otherwise, whatever timeoutSec is', () => {
  assert.equal(udpService({})?.idleTimeoutMs, 60_000)
  assert.equal(udpService({ connectionTrackingPolicy: { idleTimeoutSec: 5 } })?.idleTimeoutMs, 5_000)
})

test('flows stay with an unhealthy backend only where that is asked for', () => {
  const persists = (word: string) => {
    const connectionTrackingPolicy = { connectionPersistenceOnUnhealthyBackends: word }
    return udpService({ connectionTrackingPolicy })?.flows?.persistsOnUnhealthy
  }
  assert.deepEqual(['ALWAYS_PERSIST', 'NEVER_PERSIST', 'DEFAULT_FOR_PROTOCOL'].map(persists), [true, false, false])
})

test('a flow without affinity goes where a hash of addresses and ports says, unless another policy is chosen', () => {
  const choice = (fields: Fields) => {
    const { locality, affinity } = udpService(fields) ?? {}
    return [locality?.kind, affinity]
  }
  const managed = { loadBalancingScheme: 'EXTERNAL_MANAGED' }
  assert.deepEqual(choice({}), ['MAGLEV', 'CLIENT_IP_PORT_PROTO'])
  assert.deepEqual(choice({ sessionAffinity: 'CLIENT_IP' }), ['MAGLEV', 'CLIENT_IP'])
  assert.deepEqual(choice({ ...managed, localityLbPolicy: 'ROUND_ROBIN' }), ['ROUND_ROBIN', 'NONE'])
  assert.deepEqual(choice({ ...managed, localityLbPolicy: 'RING_HASH' }), ['RING_HASH', 'CLIENT_IP_PORT_PROTO'])
})

for (const [what, resources, problem] of [
  [
    'a rule for UDP that leads to a service of TCP',
    bothWith({}, { protocol: 'TCP' }),
    `lb.yaml: ${RULE}: backendService: the protocol of ${SERVICE}, TCP, is not the IPProtocol UDP of the rule; name a backend service with the protocol UDP`,
  ],
  [
    'a target proxy that leads to a service of UDP',
    [...bothWith(), resourceOf('targetTcpProxies/z', { service: 'my-udp-lb' })],
    `lb.yaml: targetTcpProxies/z: service: the protocol of ${SERVICE} is UDP, which target proxies do not take; name another backend service, or remove the proxy and name the service in a forwarding rule for UDP`,
  ],
  [
    'two rules for UDP with one address and port',
    [
      ...bothWith(),
      resourceOf('forwardingRules/z', {
        IPAddress: '203.0.113.10',
        IPProtocol: 'UDP',
        portRange: '110',
        backendService: 'my-udp-lb',
      }),
    ],
    `lb.yaml: forwardingRules/z: portRange: 203.0.113.10:110 (UDP) is also the address and port of ${RULE}; give one of the two another address or port`,
  ],
  [
    'a rule of the managed scheme that leads to a classic service',
    bothWith({ loadBalancingScheme: 'EXTERNAL_MANAGED' }),
    `lb.yaml: ${RULE}: backendService: Load balancing scheme EXTERNAL_MANAGED does not match the backend service load balancing scheme EXTERNAL; give ${SERVICE} EXTERNAL_MANAGED, or ${RULE} EXTERNAL`,
  ],
  [
    'a service that is not there',
    bothWith({ backendService: 'global/backendServices/lost' }),
    `lb.yaml: ${RULE}: backendService: "global/backendServices/lost" is not among the resources; add it, or name global/backendServices/my-tcp-lb or global/backendServices/my-udp-lb`,
  ],
] as const) {
  test(`${what} is a problem`, () => assert.deepEqual(problemsOf(resources), [problem]))
}

test('a rule for UDP that comes or goes leaves the one for TCP alone', () => {
  const [both, one] = [compiled(bothWith()), compiled(guideWith())]
  const { opened, closed, changed } = diff(one, both)
  assert.deepEqual([opened.map(({ protocol }) => protocol), closed, changed], [['UDP'], [], []])
  assert.deepEqual(
    diff(both, one).closed.map(({ protocol }) => protocol),
    ['UDP'],
  )
})

test('a backend for UDP at the address and port of a frontend for TCP is no loop', () => {
  const tcpOnly = compiled(guideWith({ 'forwardingRules/my-tcp-lb-ipv4-forwarding-rule': { IPAddress: '10.128.0.2' } }))
  const place = {
    localRegion: undefined,
    localZone: undefined,
    acceptProxyFrom: null,
    clientLimit: { unlimitedClients: [] },
  }
  const loops = (snapshot: Snapshot) => snapshotWarnings(snapshot, place).filter((text) => text.includes('itself'))
  assert.equal(loops(tcpOnly).length, 1)
  const service = compiled(bothWith()).services.filter(({ flows }) => flows !== undefined)
  assert.deepEqual(loops({ ...tcpOnly, services: [...service] }), [])
  assert.equal(loops(compiled(bothWith({ IPAddress: '10.128.0.2' }))).length, 1)
})
