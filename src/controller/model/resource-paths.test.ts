import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baseUrlFor, keyOfPath, locationLinks, otherLink, pathOf, regionOf, scopeOf, urlOf } from './resource-paths.ts'

const PATHS = [
  ['projects/p/global/healthChecks/hc', { kind: 'global' }, ''],
  ['projects/p/regions/us-east1/forwardingRules/r', { kind: 'region', region: 'us-east1' }, 'us-east1'],
  ['projects/p/zones/us-central1-b/instances/vm', { kind: 'zone', zone: 'us-central1-b' }, 'us-central1'],
] as const

for (const [path, scope, region] of PATHS) {
  test(`${path} is read as it was written`, () => {
    const key = keyOfPath(path)
    assert.ok(key)
    assert.equal(key.project, 'p')
    assert.equal(pathOf(key), path)
    assert.deepEqual(scopeOf(key.scope), scope)
    assert.equal(regionOf(key.scope), region)
  })
}

test('what is no path of a resource has no key', () => {
  for (const path of ['', 'projects', 'projects/p', 'projects/p/name', 'address 192.0.2.1', 'folders/p/global/x/y']) {
    assert.equal(keyOfPath(path), undefined, path)
  }
})

test('a URL leads to the server that was asked', () => {
  assert.equal(urlOf('https://h:1', 'projects/p/x'), 'https://h:1/compute/v1/projects/p/x')
})

test('a resource names the zone or the region that it is in, and no other place', () => {
  assert.deepEqual(locationLinks('p', 'global'), {})
  assert.deepEqual(locationLinks('p', 'regions/r1'), { region: 'projects/p/regions/r1' })
  assert.deepEqual(locationLinks('p', 'zones/r1-a'), { zone: 'projects/p/zones/r1-a' })
})

test('a link to what has no schema is brought into form: a network is global, anything else in the own scope', () => {
  const zone = 'zones/us-central1-b'
  for (const [collection, text, path] of [
    ['networks', 'default', 'projects/p/global/networks/default'],
    ['networks', 'https://www.googleapis.com/compute/v1/projects/q/global/networks/n', 'projects/p/global/networks/n'],
    ['machineTypes', 'e2-medium', `projects/p/${zone}/machineTypes/e2-medium`],
    ['machineTypes', 'zones/us-east1-b/machineTypes/m', 'projects/p/zones/us-east1-b/machineTypes/m'],
    ['subnetworks', 'regions/us-east1/subnetworks/s', 'projects/p/regions/us-east1/subnetworks/s'],
    ['networks', 'no link at all', 'no link at all'],
  ] as const) {
    assert.equal(otherLink('p', zone, collection, text), path)
  }
})

test('who asks one of Google’s names gets the links that Google writes', () => {
  for (const host of ['compute.googleapis.com', 'www.googleapis.com:443', 'compute.us-east1.rep.googleapis.com']) {
    assert.equal(baseUrlFor('https', host), 'https://www.googleapis.com', host)
  }
  for (const host of [
    '127.0.0.1:8080',
    'lb.example.com',
    'googleapis.com.example.com',
    'notgoogleapis.com',
    '[::1]:1',
  ]) {
    assert.equal(baseUrlFor('http', host), `http://${host}`)
  }
})
