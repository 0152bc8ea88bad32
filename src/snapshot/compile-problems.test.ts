import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Problem } from '../compute/problem.ts'
import { readResources } from '../compute/read-resources.ts'
import { compile } from './compile.ts'
import { type Fields, GUIDE, guideWith, readChecked, resourceOf } from './test-resources.ts'

const RULE = 'forwardingRules/my-tcp-lb-ipv4-forwarding-rule'
const PROXY = 'targetTcpProxies/my-tcp-lb-target-proxy'
const SERVICE = 'backendServices/my-tcp-lb'
const CHECK = 'healthChecks/my-tcp-health-check'
const GROUP = 'instanceGroups/my-instance-group'
const INSTANCE = 'instances/my-backend'
const ADDRESS = 'addresses/lb-static-ipv4'
const SSL_PROXY = 'targetSslProxies/my-ssl-lb-target-proxy'
const NEG = 'networkEndpointGroups/my-neg'

const ENDPOINT = { ipAddress: '10.128.0.8', port: 8080 }
const FULL_GROUP = 'zones/us-central1-b/instanceGroups/my-instance-group'
const CERTIFICATE = {
  certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  privateKey: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
}

/** Resource, path, code, rule and remedy. */
type Row = readonly [string, string, Problem['code'], string, string]

function problemsOf(resources: readonly Fields[]): readonly Problem[] {
  const result = compile(readChecked(resources))
  return 'problems' in result ? result.problems : []
}

function rowsOf(problems: readonly Problem[]): readonly Row[] {
  return problems.map(({ resource, path, code, rule, remedy }) => [resource, path, code, rule, remedy])
}

function neg(fields: Fields): Fields {
  return resourceOf(NEG, { zone: 'us-central1-b', networkEndpoints: [ENDPOINT], ...fields })
}

const table: readonly (readonly [string, readonly Fields[], readonly Row[]])[] = [
  [
    'a target that is not there',
    guideWith({ [RULE]: { target: 'global/targetTcpProxies/lost' } }),
    [
      [
        RULE,
        'target',
        'notFound',
        '"global/targetTcpProxies/lost" is not among the resources',
        'add it, or name global/targetTcpProxies/my-tcp-lb-target-proxy',
      ],
    ],
  ],
  [
    'a service, a health check, a group and an instance that are not there',
    guideWith({
      [PROXY]: { service: 'lost' },
      [SERVICE]: {
        healthChecks: ['https://www.googleapis.com/compute/v1/projects/p/global/healthChecks/lost'],
        backends: [{ group: 'zones/us-central1-b/instanceGroups/lost' }],
      },
      [GROUP]: { instances: ['my-backend', 'lost'] },
    }),
    [
      [
        SERVICE,
        'backends[0].group',
        'notFound',
        '"zones/us-central1-b/instanceGroups/lost" is not among the resources',
        `add it, or name ${FULL_GROUP}`,
      ],
      [
        SERVICE,
        'healthChecks[0]',
        'notFound',
        '"global/healthChecks/lost" is not among the resources',
        `add it, or name global/${CHECK}`,
      ],
      [
        GROUP,
        'instances[1]',
        'notFound',
        '"lost" is not among the resources',
        `add it, or name zones/us-central1-b/${INSTANCE}`,
      ],
      [PROXY, 'service', 'notFound', '"lost" is not among the resources', `add it, or name global/${SERVICE}`],
    ],
  ],
  [
    'an instance that is there in another zone',
    guideWith({ [GROUP]: { instances: ['zones/us-central1-c/instances/my-backend'] } }),
    [
      [
        GROUP,
        'instances[0]',
        'notFound',
        '"zones/us-central1-c/instances/my-backend" is not among the resources',
        `add it, or name zones/us-central1-b/${INSTANCE}`,
      ],
    ],
  ],
  [
    'a bare name that means two groups',
    guideWith({}, resourceOf(GROUP, { ...GUIDE[GROUP], zone: 'europe-west1-b', instances: [] })),
    [
      [
        SERVICE,
        'backends[0].group',
        'invalid',
        '"my-instance-group" matches more than one resource',
        `name zones/europe-west1-b/${GROUP} or ${FULL_GROUP}`,
      ],
    ],
  ],
  [
    'two resources of one collection, scope and name',
    guideWith({}, resourceOf(ADDRESS, { address: '203.0.113.11' })),
    [
      [
        ADDRESS,
        '',
        'alreadyExists',
        'global/addresses/lb-static-ipv4 is defined twice',
        'remove one of them, or rename it',
      ],
    ],
  ],
  [
    'two forwarding rules with one address and port, one of them by a name and with TLS',
    guideWith({
      'forwardingRules/z-rule': { IPAddress: '203.0.113.10', portRange: '110', target: 'my-ssl-lb-target-proxy' },
      [SSL_PROXY]: { service: 'my-tcp-lb', sslCertificates: ['my-ssl-cert'] },
      'sslCertificates/my-ssl-cert': CERTIFICATE,
    }),
    [
      [
        'forwardingRules/z-rule',
        'portRange',
        'conflict',
        `203.0.113.10:110 is also the address and port of ${RULE}`,
        'give one of the two another address or port',
      ],
    ],
  ],
  [
    'two forwarding rules with one IPv6 address, written in two ways',
    guideWith({
      [RULE]: { IPAddress: '2001:db8::10' },
      'forwardingRules/z-rule': { IPAddress: '2001:0DB8:0:0::10', ports: ['110'], target: 'my-tcp-lb-target-proxy' },
    }),
    [
      [
        'forwardingRules/z-rule',
        'portRange',
        'conflict',
        `[2001:db8::10]:110 is also the address and port of ${RULE}`,
        'give one of the two another address or port',
      ],
    ],
  ],
  [
    'an address without an address, which the forwarding rule then says nothing about',
    guideWith({ [ADDRESS]: { address: undefined } }),
    [[ADDRESS, 'address', 'required', 'no address is given', 'give the IPv4 or IPv6 address of the load balancer']],
  ],
  [
    'a forwarding rule without an address',
    guideWith({ [RULE]: { IPAddress: undefined } }),
    [[RULE, 'IPAddress', 'required', 'no address is given', 'give an IP address, or a reference to one of addresses']],
  ],
  [
    'a forwarding rule to an address of another version, by a name and as it is',
    guideWith({
      [RULE]: { ipVersion: 'IPV6' },
      'forwardingRules/z-rule': {
        IPAddress: '2001:db8::1',
        portRange: '1',
        target: 'my-tcp-lb-target-proxy',
        ipVersion: 'IPV4',
      },
    }),
    [
      [RULE, 'ipVersion', 'invalid', 'IPV6 is not the version of 203.0.113.10', 'give IPV4, or remove it'],
      [
        'forwardingRules/z-rule',
        'ipVersion',
        'invalid',
        'IPV4 is not the version of 2001:db8::1',
        'give IPV6, or remove it',
      ],
    ],
  ],
  [
    'addresses on which nothing can listen',
    guideWith({ [ADDRESS]: { address: '224.0.0.1' }, [RULE]: { IPAddress: '255.255.255.255' } }),
    [
      [ADDRESS, 'address', 'invalid', '"224.0.0.1" is of the class "multicast"', 'give another address'],
      [RULE, 'IPAddress', 'invalid', '"255.255.255.255" is of the class "broadcast"', 'give another address'],
    ],
  ],
  [
    'certificates and a policy that are not there, on a proxy that nothing uses',
    guideWith({
      [SSL_PROXY]: { service: 'my-tcp-lb', sslCertificates: ['there', 'lost'], sslPolicy: 'lost' },
      'sslCertificates/there': CERTIFICATE,
    }),
    [
      [
        SSL_PROXY,
        'sslCertificates[1]',
        'notFound',
        '"lost" is not among the resources',
        'add it, or name global/sslCertificates/there',
      ],
      [SSL_PROXY, 'sslPolicy', 'notFound', '"lost" is not among the resources', 'add it'],
    ],
  ],
  [
    'a named port that the group does not have',
    guideWith({
      [GROUP]: {
        namedPorts: [
          { name: 'smtp', port: 25 },
          { name: 'pop3', port: 110 },
        ],
      },
    }),
    [
      [
        SERVICE,
        'backends[0].group',
        'notFound',
        `${FULL_GROUP} has no named port "tcp110", but the named ports "pop3", "smtp"`,
        'add it to namedPorts of the group, or give another portName',
      ],
    ],
  ],
  [
    'a service that names no port of an instance group',
    guideWith({ [SERVICE]: { portName: undefined }, [GROUP]: { namedPorts: [] } }),
    [
      [
        SERVICE,
        'portName',
        'required',
        `no portName is given, and backends[0].group, ${FULL_GROUP}, has no named ports`,
        'give the name of the port in each instance group',
      ],
    ],
  ],
  [
    'instances without an address, or with one that nothing can connect to, also where no group has them',
    guideWith({
      [INSTANCE]: { networkInterfaces: [] },
      'instances/alone': { zone: 'us-central1-b', networkInterfaces: [{ networkIP: '0.0.0.0' }] },
    }),
    [
      [
        'instances/alone',
        'networkInterfaces[0].networkIP',
        'invalid',
        '"0.0.0.0" is of the class "unspecified"',
        'give the address that edges connect to',
      ],
      [
        INSTANCE,
        'networkInterfaces[0].networkIP',
        'required',
        'the instance has no address',
        'give the address that edges connect to',
      ],
    ],
  ],
  [
    'an instance in another zone than its group',
    guideWith({ [INSTANCE]: { zone: 'us-central1-c' } }),
    [
      [
        GROUP,
        'instances[0]',
        'invalid',
        'the instance "my-backend" is in zones/us-central1-c, the group in zones/us-central1-b',
        'remove it, or put it into a group of its zone',
      ],
    ],
  ],
  [
    'an instance in another region than its group',
    guideWith({ [GROUP]: { zone: undefined, region: 'europe-west1' } }),
    [
      [
        GROUP,
        'instances[0]',
        'invalid',
        'the instance "my-backend" is in zones/us-central1-b, the group in regions/europe-west1',
        'remove it, or put it into a group of its zone',
      ],
    ],
  ],
  [
    'an instance that is in its group twice, in two forms',
    guideWith({ [GROUP]: { instances: ['my-backend', 'zones/us-central1-b/instances/my-backend'] } }),
    [[GROUP, 'instances[1]', 'conflict', 'it is the instance of instances[0]', 'remove one of them']],
  ],
  [
    'a group that is in its service twice, in two forms',
    guideWith({ [SERVICE]: { backends: [{ group: 'my-instance-group' }, { group: FULL_GROUP }] } }),
    [[SERVICE, 'backends[1].group', 'conflict', 'it is the group of backends[0]', 'remove one of them']],
  ],
  [
    'two groups of a service that have one zone and name, and are of two kinds',
    guideWith({
      [SERVICE]: {
        backends: [
          { group: FULL_GROUP },
          {
            group: 'networkEndpointGroups/my-instance-group',
            balancingMode: 'CONNECTION',
            maxConnections: 1,
          },
        ],
      },
      'networkEndpointGroups/my-instance-group': { zone: 'us-central1-b' },
    }),
    [
      [
        SERVICE,
        'backends[1].group',
        'conflict',
        'the group of backends[0] has the same zone and name, but is of another kind',
        'rename one of the two groups',
      ],
    ],
  ],
  [
    'a bare name that means an instance group and a network endpoint group',
    guideWith({ 'networkEndpointGroups/my-instance-group': { zone: 'us-central1-b' } }),
    [
      [
        SERVICE,
        'backends[0].group',
        'invalid',
        '"my-instance-group" matches more than one resource',
        `name ${FULL_GROUP} or zones/us-central1-b/networkEndpointGroups/my-instance-group`,
      ],
    ],
  ],
  [
    'bounds that go with the other kind of group',
    guideWith(
      {
        [SERVICE]: {
          backends: [
            { group: 'my-instance-group', balancingMode: 'CONNECTION', maxConnectionsPerEndpoint: 1 },
            { group: 'my-neg', balancingMode: 'UTILIZATION', maxConnectionsPerInstance: 1 },
          ],
        },
      },
      neg({}),
    ),
    [
      [
        SERVICE,
        'backends[0].maxConnectionsPerEndpoint',
        'invalid',
        'the group is an instance group',
        'give maxConnectionsPerInstance',
      ],
      [
        SERVICE,
        'backends[1].balancingMode',
        'invalid',
        'UTILIZATION is only for instance groups',
        'give CONNECTION and maxConnectionsPerEndpoint',
      ],
      [
        SERVICE,
        'backends[1].maxConnectionsPerInstance',
        'invalid',
        'the group is a network endpoint group',
        'give maxConnectionsPerEndpoint',
      ],
    ],
  ],
  [
    'endpoints that nothing can connect to, or that are one',
    guideWith(
      {},
      neg({
        networkEndpoints: [ENDPOINT, { ipAddress: 'ff02::1', port: 1 }, { ipAddress: '::ffff:10.128.0.8', port: 8080 }],
      }),
    ),
    [
      [
        NEG,
        'networkEndpoints[1].ipAddress',
        'invalid',
        '"ff02::1" is of the class "multicast"',
        'give the address that edges connect to',
      ],
      [NEG, 'networkEndpoints[2]', 'conflict', 'it is the endpoint networkEndpoints[0]', 'remove one of them'],
    ],
  ],
  [
    'more groups than a service has',
    guideWith(
      {
        [SERVICE]: {
          backends: Array.from({ length: 51 }, (_, i) => ({
            group: `my-neg-${i}`,
            balancingMode: 'CONNECTION',
            maxConnections: 1,
          })),
        },
      },
      ...Array.from({ length: 51 }, (_, i) => neg({ name: `my-neg-${i}` })),
    ),
    [[SERVICE, 'backends', 'invalid', '51 groups are more than 50', 'put their members into fewer groups']],
  ],
]

for (const [title, resources, expected] of table) {
  test(`${title}: this and nothing else is said`, () => {
    const problems = problemsOf(resources)
    assert.deepEqual(rowsOf(problems), expected)
    for (const { source, rule, remedy } of problems) {
      assert.equal(source, 'lb.yaml')
      assert.doesNotMatch(rule + remedy, /\.$|undefined|\[object/)
    }
  })
}

test('two resources of one name in two files, and two rules of one address, name both files', () => {
  const here = readChecked(guideWith())
  const again = resourceOf(ADDRESS, { address: '1.1.1.1' })
  const rule = resourceOf('forwardingRules/z', {
    IPAddress: '203.0.113.10',
    portRange: 110,
    target: 'my-tcp-lb-target-proxy',
  })
  const there = readChecked([again, rule], 'z.yaml')
  const result = compile([...there, ...here])
  assert.deepEqual(compile([...here, ...there]), result)
  assert.ok('problems' in result)
  assert.deepEqual(
    result.problems.map(({ source, resource, code, rule: sentence }) => [source, resource, code, sentence]),
    [
      ['z.yaml', ADDRESS, 'alreadyExists', 'global/addresses/lb-static-ipv4 is defined here and in lb.yaml'],
      [
        'z.yaml',
        'forwardingRules/z',
        'conflict',
        `203.0.113.10:110 is also the address and port of ${RULE} in lb.yaml`,
      ],
    ],
  )
})

test('the problems of a file and of its references come together, and what is unsound is not called missing', () => {
  const read = readResources(
    JSON.stringify(
      guideWith({
        [SERVICE]: { protocol: 'HTTP', backends: [{ group: 'global/healthChecks/my-tcp-health-check' }] },
        [GROUP]: { instances: ['lost'] },
      }),
    ),
    'lb.yaml',
  )
  const result = compile(read.resources, read.problems)
  assert.ok('problems' in result)
  const found = result.problems.map(({ resource, path, code }) => [resource, path, code])
  assert.deepEqual(
    found.toSorted(([a], [b]) => a.localeCompare(b) || 0),
    [
      [SERVICE, 'backends[0].group', 'wrongKind'],
      [SERVICE, 'protocol', 'unsupported'],
      [GROUP, 'instances[0]', 'notFound'],
    ],
  )
})

test('where a resource could not even be told, no reference is called missing', () => {
  const [first, ...others] = guideWith()
  const read = readResources(JSON.stringify([{ ...first, kind: 'compute#adress' }, ...others]), 'lb.yaml')
  const result = compile(read.resources, read.problems)
  assert.ok('problems' in result)
  assert.deepEqual(result.problems, read.problems)
})

test('the order of the resources makes no difference, to a snapshot or to problems', () => {
  const configurations = [guideWith(), ...table.map(([, resources]) => resources)].map((fields) => readChecked(fields))
  const permuted = fc
    .constantFrom(...configurations)
    .chain((resources) =>
      fc.tuple(fc.constant(resources), fc.shuffledSubarray([...resources], { minLength: resources.length })),
    )
  fc.assert(
    fc.property(permuted, ([resources, inAnyOrder]) => assert.deepEqual(compile(inAnyOrder), compile(resources))),
    { numRuns: 300 },
  )
})

test('compiling changes nothing in the resources', () => {
  const resources = readChecked(guideWith())
  const before = structuredClone(resources)
  compile(resources)
  assert.deepEqual(resources, before)
})
