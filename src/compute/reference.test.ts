import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatReference, isResourceName, parseReference, regionOfZone, type Scope } from './reference.ts'

const zonal: Scope = { kind: 'zone', zone: 'us-central1-b' }

test('a reference is read in every form that clients send', () => {
  const instance = { collection: 'instances', scope: zonal, name: 'my-backend' }
  const path = 'projects/p/zones/us-central1-b/instances/my-backend'
  const starts = [
    'https://www.googleapis.com/compute/v1/',
    'https://compute.googleapis.com/compute/beta/',
    'http://127.0.0.1:18080/compute/v1/',
    'https://lb.example/behind/a/prefix/compute/v1/',
    '//compute.googleapis.com/',
    '/compute/v1/',
    'compute/v1/',
    '/',
    '',
  ]
  for (const start of starts) assert.deepEqual(parseReference(start + path), instance, start)
  assert.deepEqual(parseReference('zones/us-central1-b/instances/my-backend'), instance)
  assert.deepEqual(parseReference('projects/example.com:p-1/zones/us-central1-b/instances/my-backend'), instance)
  const name = 'n'
  const global: Scope = { kind: 'global' }
  assert.deepEqual(parseReference('global/backendServices/n'), { collection: 'backendServices', scope: global, name })
  const policy = { collection: 'serviceLbPolicies', scope: global, name }
  for (const start of ['https://networkservices.googleapis.com/v1/', '//networkservices.googleapis.com/', '']) {
    assert.deepEqual(parseReference(`${start}projects/p/locations/global/serviceLbPolicies/n`), policy, start)
  }
  assert.equal(parseReference('projects/p/locations/us-central1/serviceLbPolicies/n'), undefined)
  const region: Scope = { kind: 'region', region: 'r' }
  assert.deepEqual(parseReference('regions/r/addresses/n'), { collection: 'addresses', scope: region, name })
  assert.deepEqual(parseReference('backendServices/n'), { collection: 'backendServices', scope: undefined, name })
  assert.deepEqual(parseReference('n'), { collection: undefined, scope: undefined, name })
  assert.deepEqual(parseReference('projects/p/zones/z'), { collection: 'zones', scope: undefined, name: 'z' })
})

test('what is no reference is not read as one', () => {
  const texts = [
    '',
    '/',
    'N',
    '-n',
    'n-',
    'n/',
    '/n/',
    'a b',
    'global//n',
    'global/backendServices/',
    'global/backend-services/n',
    'universe/backendServices/n',
    'zones/instances/n',
    'zones/Z/instances/n',
    'global/us/backendServices/n',
    'projects//global/backendServices/n',
    'https://host',
    'https://host/global/backendServices/n',
    'ftp://host/projects/p/global/backendServices/n',
    'global/backendServices/n?x=1',
    'global/backendServices/n\n',
    'global/backendServices/n\0',
    'n'.repeat(64),
    `projects/${'p'.repeat(3000)}/global/backendServices/n`,
    '203.0.113.10',
  ]
  for (const text of texts) assert.equal(parseReference(text), undefined, JSON.stringify(text))
})

test('a written reference is read as what it was written of', () => {
  const names = fc.stringMatching(/^[a-z]([-a-z0-9]{0,20}[a-z0-9])?$/)
  const scopes = fc.oneof(
    fc.constant<Scope>({ kind: 'global' }),
    names.map((region): Scope => ({ kind: 'region', region })),
    names.map((zone): Scope => ({ kind: 'zone', zone })),
  )
  fc.assert(
    fc.property(scopes, names, (scope, name) => {
      const reference = { collection: 'healthChecks', scope, name }
      assert.deepEqual(parseReference(formatReference(scope, 'healthChecks', name)), reference)
      assert.equal(isResourceName(name), true)
    }),
  )
})

test('any text is a reference or none, and nothing is thrown', () => {
  const parts = fc.array(fc.constantFrom('projects', 'p', 'zones', 'global', '', 'n', '//', 'http:', 'x/y', 'N'))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        parts.map((words) => words.join('/')),
      ),
      (text) => {
        const reference = parseReference(text)
        assert.ok(reference === undefined || isResourceName(reference.name))
      },
    ),
  )
})

test('the region of a zone is its name without the letter', () => {
  assert.equal(regionOfZone('us-central1-b'), 'us-central1')
  assert.equal(regionOfZone('rack7'), 'rack7')
  assert.equal(regionOfZone('dc1-east'), 'dc1-east')
})
