import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TestGroup, testGroups } from '../test-edge.ts'
import { compilePlan } from './plan.ts'

function plan(groups: readonly TestGroup[], localRegion?: string) {
  const identified = testGroups(groups, (id) => ({ address: `192.0.2.${id}`, port: 80 + id }))
  return compilePlan(identified, localRegion).ranks
}

test('groups of the own region are of the first rank; where it is none, or not known, there is one rank', () => {
  const groups = [
    { count: 1, region: 'there' },
    { count: 1, region: 'here' },
    { count: 1, region: 'elsewhere' },
  ]
  const ranks = (localRegion?: string): number[][] => plan(groups, localRegion).map((rank) => rank.map(({ id }) => id))
  assert.deepEqual(ranks('here'), [[1], [0, 2]])
  assert.deepEqual(ranks('nowhere'), [[0, 1, 2]])
  assert.deepEqual(ranks(), [[0, 1, 2]])
  assert.deepEqual(plan([]), [])
})

test('where every group has a target of connections the targets weigh, else the backends, both as they are scaled', () => {
  const weights = (groups: readonly TestGroup[]): number[][] =>
    plan(groups)
      .flat()
      .map(({ connectionsMax, ownWeight, backendWeight }) => [connectionsMax, ownWeight, backendWeight])
  const one = { count: 2, maxConnections: 100, capacityScaler: 0.5 }
  assert.deepEqual(weights([one, { count: 1, maxConnections: 7 }]), [
    [50, 50, 0],
    [7, 7, 0],
  ])
  assert.deepEqual(weights([one, { count: 1 }]), [
    [50, 0, 0.5],
    [Number.POSITIVE_INFINITY, 0, 1],
  ])
})

test('a group that is to get nothing is no part of it, and its target does not count', () => {
  const [rank, ...more] = plan([
    { count: 1, capacityScaler: 0 },
    { count: 1, maxConnections: 7 },
  ])
  assert.deepEqual([rank.map(({ id }) => id), rank[0].ownWeight, more], [[1], 7, []])
})

test('the backends are columns, in the order of the group', () => {
  const [[, { name, backends }]] = plan([{ count: 1 }, { count: 2, name: 'us-central1-b/my-group' }])
  assert.equal(name, 'us-central1-b/my-group')
  assert.deepEqual([...backends.ids], [1, 2])
  assert.deepEqual([...backends.ports], [81, 82])
  assert.deepEqual([...backends.families], [4, 4])
  assert.deepEqual([...backends.words], [0, 0, 0, 0xc0000201 | 0, 0, 0, 0, 0xc0000202 | 0])
  assert.equal(backends.names, 'backend-1\nbackend-2')
})
