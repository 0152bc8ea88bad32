import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { emptyCollections } from '../methods/unserved.ts'
import { TestApi } from './test-api.ts'

const PLACES = {
  global: 'global',
  region: 'regions/us-central1',
  zone: 'zones/us-central1-b',
  aggregated: 'aggregated',
}

test('of what Compute Engine has and a controller does not keep, lists are empty, and nothing is found', async () => {
  const api = new TestApi()
  assert.ok(emptyCollections.length > 45)
  for (const { name, lists } of emptyCollections) {
    for (const place of lists) {
      const { kind, items } = await api.get(`${PLACES[place]}/${name}?filter=name%20eq%20x&maxResults=5`)
      assert.match(String(kind), place === 'aggregated' ? /^compute#\w+AggregatedList$/ : /^compute#\w+List/, name)
      if (place !== 'aggregated') assert.equal(items, undefined)
      else assert.ok(Object.values(items as Mapping).every((scope) => 'warning' in (scope as Mapping)))
      if (place === 'aggregated') continue
      assert.match(await api.refusal('GET', `${PLACES[place]}/${name}/x`), /^404 notFound/)
      assert.match(await api.refusal('POST', `${PLACES[place]}/${name}`, {}), /^501 notImplemented/)
    }
  }
})

test('lists have the kinds that Google’s have', async () => {
  const api = new TestApi()
  for (const [path, kind] of [
    ['zones/us-central1-b/disks', 'compute#diskList'],
    ['aggregated/disks', 'compute#diskAggregatedList'],
    ['regions/us-central1/subnetworks', 'compute#subnetworkList'],
    ['global/routes', 'compute#routeList'],
    ['global/snapshots', 'compute#snapshotList'],
    ['global/securityPolicies', 'compute#securityPolicyList'],
    ['aggregated/securityPolicies', 'compute#securityPoliciesAggregatedList'],
    ['aggregated/urlMaps', 'compute#urlMapsAggregatedList'],
    ['regions/us-central1/autoscalers', 'compute#regionAutoscalerList'],
    ['regions/us-central1/networkEndpointGroups', 'compute#networkEndpointGroupList'],
    ['global/networkEndpointGroups', 'compute#networkEndpointGroupList'],
  ]) {
    assert.equal((await api.get(path)).kind, kind, path)
  }
})

test('machine types are listed over all zones', async () => {
  const { items } = await new TestApi().get('aggregated/machineTypes?filter=name%20eq%20n1-standard-1')
  const zone = (items as Mapping)['zones/us-central1-b'] as { readonly machineTypes: readonly Mapping[] }
  assert.deepEqual(
    zone.machineTypes.map(({ name }) => name),
    ['n1-standard-1'],
  )
})
