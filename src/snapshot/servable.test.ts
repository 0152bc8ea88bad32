import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProblem, type Problem } from '../compute/problem.ts'
import { compile } from './compile.ts'
import { compileServable, type RefusedIn, type Servable } from './servable.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts'
import { type Fields, GUIDE, guideWith, readChecked, resourceOf } from './test-resources.ts'

const RULE = 'forwardingRules/my-tcp-lb-ipv4-forwarding-rule'
const PROXY = 'targetTcpProxies/my-tcp-lb-target-proxy'
const SERVICE = 'backendServices/my-tcp-lb'
const GROUP = 'instanceGroups/my-instance-group'
const INSTANCE = 'instances/my-backend'

const UNUSABLE = { networkInterfaces: [{ networkIP: '224.0.0.1' }] }
const NOTHING_REFUSED: RefusedIn = () => []
/** A second load balancer beside that of the guide, with its own service, and the guide's group. */
const OTHER = [
  resourceOf('forwardingRules/other', { IPAddress: '203.0.113.11', portRange: '110', target: 'other' }),
  resourceOf('targetTcpProxies/other', { service: 'other' }),
  resourceOf('backendServices/other', {
    protocol: 'TCP',
    portName: 'tcp110',
    healthChecks: ['my-tcp-health-check'],
    backends: [{ group: 'my-instance-group', maxConnections: 10 }],
  }),
]

function servable(resources: readonly Fields[], refusedIn = NOTHING_REFUSED): Servable {
  return compileServable(readChecked(resources), refusedIn)
}

function frontendsOf({ snapshot }: Servable): readonly string[] {
  return snapshot.frontends.map(({ name }) => name)
}

function leftOutOf({ leftOut }: Servable): readonly string[] {
  return leftOut.map(({ resource }) => resource)
}

function refusalOf(resource: string): Problem {
  return { source: '', resource, path: '', code: 'invalid', rule: 'it is refused', remedy: 'change it' }
}

/** Refuses a service of the snapshot for as long as it is there. */
function refusing(...services: readonly string[]): RefusedIn {
  return (snapshot) =>
    snapshot.services
      .filter(({ name }) => services.includes(name))
      .map(({ name }) => refusalOf(`backendServices/${name}`))
}

function compiled(resources: readonly Fields[]): Snapshot {
  const result = compile(readChecked(resources))
  assert.ok('snapshot' in result)
  return result.snapshot
}

test('resources without a problem are all served, and nothing is left out', () => {
  const resources = guideWith({}, ...OTHER)
  assert.deepEqual(servable(resources), { snapshot: compiled(resources), leftOut: [] })
})

test('no resources are an empty snapshot', () => {
  assert.deepEqual(servable([]), { snapshot: EMPTY_SNAPSHOT, leftOut: [] })
})

test('what has a problem is left out and named, and what has none is served', () => {
  const found = servable(guideWith({ [PROXY]: { service: 'lost' } }, ...OTHER))
  assert.deepEqual(frontendsOf(found), ['other'])
  assert.deepEqual(leftOutOf(found), [PROXY, RULE])
  assert.match(formatProblem(found.leftOut[0]), /^lb\.yaml: targetTcpProxies\/.*: service: "lost" is not among/)
})

test('with a resource goes all that refers to it, one after the other', () => {
  const found = servable(guideWith({ [INSTANCE]: UNUSABLE }))
  assert.deepEqual(found.snapshot, EMPTY_SNAPSHOT)
  assert.deepEqual(leftOutOf(found), [INSTANCE, GROUP, SERVICE, PROXY, RULE])
})

test('of two rules with one address and port the first by name is served', () => {
  const [rule, ...others] = OTHER
  const found = servable(guideWith({}, { ...rule, IPAddress: '203.0.113.10' }, ...others))
  assert.deepEqual(frontendsOf(found), ['my-tcp-lb-ipv4-forwarding-rule'])
  assert.deepEqual(leftOutOf(found), ['forwardingRules/other'])
})

test('a resource is not left out because another of its name, in another zone, has a problem', () => {
  const zone = 'us-central1-c'
  const found = servable(guideWith({}, resourceOf(INSTANCE, { zone, ...UNUSABLE })))
  assert.deepEqual(frontendsOf(found), ['my-tcp-lb-ipv4-forwarding-rule'])
  assert.deepEqual(leftOutOf(found), [INSTANCE])
})

test('a service goes on without a group that has no port of its name, which is named', () => {
  const balancing = { balancingMode: 'CONNECTION', maxConnections: 10 }
  const backends = ['portless', 'my-instance-group', 'portless-too'].map((group) => ({ group, ...balancing }))
  const groups = ['portless', 'portless-too'].map((name) => {
    return resourceOf(`instanceGroups/${name}`, { zone: 'us-central1-b', instances: ['my-backend'] })
  })
  const found = servable(guideWith({ [SERVICE]: { backends } }, ...groups))
  assert.deepEqual(
    found.snapshot.services[0].groups.map(({ name }) => name),
    ['us-central1-b/my-instance-group'],
  )
  assert.deepEqual(
    found.leftOut.map(({ resource, path }) => `${resource} ${path}`),
    [`${SERVICE} backends[0].group`, `${SERVICE} backends[2].group`],
  )
})

test('a service without portName listens, and has none of its instance groups', () => {
  const found = servable(guideWith({ [SERVICE]: { portName: undefined } }))
  assert.deepEqual(frontendsOf(found), ['my-tcp-lb-ipv4-forwarding-rule'])
  assert.deepEqual(found.snapshot.services[0].groups, [])
  assert.deepEqual(leftOutOf(found), [SERVICE])
})

test('a problem of the service itself leaves it out whole, whatever its groups lack', () => {
  const found = servable(guideWith({ [SERVICE]: { portName: undefined, healthChecks: ['lost'] } }))
  assert.deepEqual(found.snapshot, EMPTY_SNAPSHOT)
})

test('what would be refused is left out with all that leads to it; the others are served', () => {
  const found = servable(guideWith({}, ...OTHER), refusing('other'))
  assert.deepEqual(frontendsOf(found), ['my-tcp-lb-ipv4-forwarding-rule'])
  assert.deepEqual(found.snapshot, compiled(guideWith()))
  assert.deepEqual(leftOutOf(found), ['backendServices/other', 'targetTcpProxies/other', 'forwardingRules/other'])
})

test('what would be refused is found by the name that the snapshot has, region included', () => {
  const region = 'us-central1'
  const regional = OTHER.map((resource) => ({ ...resource, region }))
  const found = servable(guideWith({}, ...regional), refusing('us-central1/other'))
  assert.deepEqual(frontendsOf(found), ['my-tcp-lb-ipv4-forwarding-rule'])
  assert.deepEqual(leftOutOf(found).slice(0, 1), ['backendServices/us-central1/other'])
})

test('what is refused only once the rest is gone is left out, too', () => {
  const both: RefusedIn = (snapshot) => [...refusing('my-tcp-lb')(snapshot), ...lastRefused(snapshot)]
  const lastRefused = (snapshot: Snapshot) => (snapshot.services.length === 1 ? refusing('other')(snapshot) : [])
  const found = servable(guideWith({}, ...OTHER), both)
  assert.deepEqual(found.snapshot, EMPTY_SNAPSHOT)
  assert.deepEqual(leftOutOf(found).slice(0, 1), [SERVICE])
})

test('nothing is served when what is refused is none of the resources', () => {
  const found = servable(guideWith(), () => [refusalOf('backendServices/unheard-of')])
  assert.deepEqual(found.snapshot, EMPTY_SNAPSHOT)
  assert.deepEqual(leftOutOf(found), ['backendServices/unheard-of'])
})

test('whatever is missing, the rest is a snapshot that compiles, in any order, and something is named unless all is served', () => {
  const names = Object.keys(GUIDE)
  const missing = fc.subarray(names)
  const orders = fc.infiniteStream(fc.nat())
  fc.assert(
    fc.property(missing, orders, (gone, order) => {
      const resources = guideWith(Object.fromEntries(gone.map((name) => [name, undefined])), ...OTHER)
      const checked = readChecked(resources)
      const found = compileServable(checked, NOTHING_REFUSED)
      const shuffled = checked.map((one) => [order.next().value, one] as const).sort(([a], [b]) => a - b)
      assert.deepEqual(
        compileServable(
          shuffled.map(([, one]) => one),
          NOTHING_REFUSED,
        ),
        found,
      )
      assert.equal(found.leftOut.length === 0, 'snapshot' in compile(checked))
      const isWhole = !gone.some((name) => name !== RULE && name !== 'addresses/lb-static-ipv4')
      if (isWhole) assert.ok(frontendsOf(found).includes('other'))
      for (const { service } of found.snapshot.frontends) {
        assert.ok(found.snapshot.services.some(({ name }) => name === service))
      }
    }),
  )
})
