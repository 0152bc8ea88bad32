import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, StoredResource } from '../store/store.ts'
import { addressLink, hostLink, publicLink, ReferenceIndex, reservationLink } from './reference-index.ts'
import { keyOfPath } from './resource-paths.ts'

function stored(path: string, resource: JsonObject): StoredResource {
  const key = keyOfPath(path)
  assert.ok(key)
  return {
    ...key,
    id: '1',
    created: '2026-11-22T00:00:00.000Z',
    revision: 1,
    resource: { name: key.name, ...resource },
  }
}

const CHECK = 'projects/p/global/healthChecks/hc'
const SERVICE = 'projects/p/global/backendServices/s'
const OTHER = 'projects/p/global/backendServices/o'
const GROUP = 'projects/p/zones/us-central1-b/instanceGroups/g'
const RULE = 'projects/p/global/forwardingRules/r'
const service = (path: string, healthChecks: readonly string[]) =>
  stored(path, { healthChecks: [...healthChecks], backends: [{ group: GROUP }] })

test('it is known who refers to what, and to which addresses', () => {
  const index = new ReferenceIndex([
    service(SERVICE, [CHECK]),
    service(OTHER, [CHECK]),
    stored(RULE, { IPAddress: '203.0.113.10', target: 'projects/p/global/targetTcpProxies/t' }),
    stored('projects/p/global/addresses/a', { address: '203.0.113.11' }),
    stored('projects/p/zones/us-central1-b/instances/vm', {
      networkInterfaces: [
        { networkIP: '10.0.0.1', accessConfigs: [{ natIP: '198.51.100.1' }, {}] },
        { networkIP: '10.0.0.2', ipv6Address: 'fd20::2', ipv6AccessConfigs: [{ externalIpv6: '2001:db8::2' }] },
      ],
    }),
  ])
  assert.deepEqual(index.usersOf(CHECK), [OTHER, SERVICE])
  assert.deepEqual(index.usersOf(GROUP), [OTHER, SERVICE])
  assert.deepEqual(index.usersOf(addressLink('203.0.113.10')), [RULE])
  assert.equal(index.isUsed(addressLink('203.0.113.11')), false, 'to reserve is not to use')
  assert.equal(index.isUsed(reservationLink('203.0.113.11')), true)
  assert.equal(index.isUsed(hostLink('p', '10.0.0.2')), true)
  assert.equal(index.isUsed(hostLink('q', '10.0.0.2')), false, 'another project has hosts of its own')
  const ofInstance = ['198.51.100.1', 'fd20::2', '2001:db8::2', '10.0.0.1'].map((one) => index.isUsed(publicLink(one)))
  assert.deepEqual(ofInstance, [true, true, true, false])
  assert.deepEqual([...index.linksFrom(SERVICE)].sort(), [CHECK, GROUP].sort())
  assert.deepEqual(index.linksFrom(CHECK), [])
  assert.deepEqual(index.usersOf(RULE), [])
})

test('a resource that changes refers to what it names now, and one that is deleted to nothing', () => {
  const index = new ReferenceIndex([service(SERVICE, [CHECK]), service(OTHER, [CHECK])])
  index.apply([{ put: service(SERVICE, []) }])
  assert.deepEqual(index.usersOf(CHECK), [OTHER])
  assert.deepEqual(index.usersOf(GROUP), [OTHER, SERVICE])
  const key = keyOfPath(OTHER)
  assert.ok(key)
  index.apply([{ delete: key }])
  assert.equal(index.isUsed(CHECK), false)
  assert.deepEqual(index.usersOf(CHECK), [])
  assert.deepEqual(index.linksFrom(OTHER), [])
  assert.deepEqual(index.usersOf(GROUP), [SERVICE])
  index.apply([{ put: service(OTHER, [CHECK]) }])
  assert.deepEqual(index.usersOf(CHECK), [OTHER])
})
