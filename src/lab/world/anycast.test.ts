import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anycastRoutes } from './anycast.ts'
import { delayMs } from './latency.ts'
import { REGIONS } from './places.ts'

const names = REGIONS.map(({ name }) => name)

/** The edges that a router knows, in the order in which it takes them. */
function orderAt(router: string): string[] {
  const metricOf = (region: string) => Number(/metric (\d+)$/.exec(anycastRoutes(router, region, 'replace')[0])?.[1])
  return [...names].sort((a, b) => metricOf(a) - metricOf(b))
}

test('each router prefers the edge of its own region, then the others by distance', () => {
  assert.deepEqual(orderAt('us-central1'), ['us-central1', 'europe-west1', 'asia-east1'])
  assert.deepEqual(orderAt('europe-west1'), ['europe-west1', 'us-central1', 'asia-east1'])
  assert.deepEqual(orderAt('asia-east1'), ['asia-east1', 'europe-west1', 'us-central1'])
})

test('the edge of the own region is the next hop, and another one is behind the router of its region', () => {
  assert.deepEqual(anycastRoutes('us-central1', 'us-central1', 'replace'), [
    'route replace 203.0.113.0/24 via 35.191.0.2 metric 10',
    'route replace 2001:db8:203::/64 via 2600:2d00:1:b029::2 metric 10',
  ])
  assert.deepEqual(anycastRoutes('us-central1', 'europe-west1', 'delete'), [
    'route delete 203.0.113.0/24 via inet6 fe80::2 dev to-europe-west1 metric 20',
    'route delete 2001:db8:203::/64 via fe80::2 dev to-europe-west1 metric 20',
  ])
})

test('a packet from Iowa is in Belgium after about 50 ms, as on the real network', () => {
  assert.equal(delayMs(7_100), 50)
  assert.equal(delayMs(0), 0)
})
