import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findHost } from './find-host.ts'
import type { LabHost } from './lab-status.ts'

function host(name: string, zone?: string): LabHost {
  const kind = zone === undefined ? 'client' : 'instance'
  return { name, kind, region: 'us-central1', zone, addresses: [], state: 'running' }
}

const HOSTS = [
  host('client'),
  host('edge-us-central1'),
  host('client', 'us-central1-a'),
  host('vm', 'us-central1-b'),
  host('twin', 'us-central1-b'),
  host('twin', 'us-central1-a'),
]

for (const [name, zone, expected] of [
  ['vm', undefined, HOSTS[3]],
  ['vm', 'us-central1-b', HOSTS[3]],
  ['client', undefined, HOSTS[0]],
  ['client', 'us-central1-a', HOSTS[2]],
  ['twin', 'us-central1-a', HOSTS[5]],
  ['twin', 'us-central1-b', HOSTS[4]],
] as const) {
  test(`${name} in ${zone ?? 'no zone'} is one host`, () => {
    assert.deepEqual(findHost(HOSTS, name, zone), { kind: 'found', host: expected })
  })
}

for (const [name, zone, status, problem] of [
  [
    'twin',
    undefined,
    409,
    'There is an instance "twin" in us-central1-a and in us-central1-b; say which one with --zone',
  ],
  [
    'twin',
    'us-central1-f',
    404,
    'There is no instance "twin" in us-central1-f; there is one in us-central1-a and in us-central1-b',
  ],
  ['client', 'us-central1-b', 404, 'There is no instance "client" in us-central1-b; there is one in us-central1-a'],
  [
    'edge-us-central1',
    'us-central1-a',
    404,
    'There is no instance "edge-us-central1" in us-central1-a; "edge-us-central1" is found without --zone',
  ],
  ['other', undefined, 404, 'There is no host "other"; there are client, edge-us-central1, vm, twin'],
] as const) {
  test(`${name} in ${zone ?? 'no zone'} is no host, and why is said`, () => {
    assert.deepEqual(findHost(HOSTS, name, zone), { kind: 'none', status, problem })
  })
}

test('of many hosts only some are named', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => host(`vm-${index}`, 'us-central1-b'))
  const found = findHost(many, 'other', undefined)
  assert.ok(found.kind === 'none' && found.problem.endsWith(', vm-19, and 980 more'), JSON.stringify(found))
})
