import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GOOGLE_REGIONS } from './google-regions.ts'
import { checkRegionFile } from './own-regions.ts'
import { kilometresBetween, orderRegions } from './region-order.ts'

function kilometres(a: string, b: string): number {
  const [from, to] = [GOOGLE_REGIONS.get(a), GOOGLE_REGIONS.get(b)]
  assert.ok(from && to, `${a} ${b}`)
  return Math.round(kilometresBetween(from, to))
}

/** Who is how near, from such a region. */
function nearest(own: string, count: number): string[] {
  return orderRegions(GOOGLE_REGIONS.keys(), own, GOOGLE_REGIONS)
    .slice(0, count)
    .map(({ region }) => region)
}

test('there are 43 regions of Google, each in the part of the world that its name says', () => {
  assert.equal(GOOGLE_REGIONS.size, 43)
  const boxes: Readonly<Record<string, readonly [south: number, north: number, west: number, east: number]>> = {
    africa: [-35, 37, -18, 52],
    asia: [-11, 54, 68, 146],
    australia: [-44, -10, 112, 154],
    europe: [36, 70, -10, 32],
    me: [12, 42, 34, 60],
    northamerica: [14, 60, -141, -52],
    southamerica: [-56, 13, -82, -34],
    us: [24, 50, -125, -66],
  }
  for (const [region, { latitude, longitude }] of GOOGLE_REGIONS) {
    const [south, north, west, east] = boxes[region.split('-')[0]]
    assert.ok(latitude > south && latitude < north && longitude > west && longitude < east, region)
  }
  const positions = [...GOOGLE_REGIONS.values()].map(({ latitude, longitude }) => `${latitude} ${longitude}`)
  assert.equal(new Set(positions).size, 43)
})

test('regions that tables confuse are told apart', () => {
  // Mumbai is at the sea, nearer to Doha; Delhi is farther north, nearer to Warsaw.
  assert.ok(kilometres('asia-south1', 'me-central1') < kilometres('asia-south2', 'me-central1'))
  assert.ok(kilometres('asia-south2', 'europe-central2') < kilometres('asia-south1', 'europe-central2'))
  // Salt Lake City is not Los Angeles, Columbus is not Ashburn.
  assert.ok(kilometres('us-west3', 'us-west2') > 900)
  assert.ok(kilometres('us-east5', 'us-east4') > 400)
  assert.ok(kilometres('us-west3', 'us-central1') < kilometres('us-west2', 'us-central1'))
})

test('distances of well-known pairs of cities are right to within 1 %', () => {
  for (const [a, b, expected] of [
    ['europe-west2', 'europe-west9', 344],
    ['us-east4', 'us-west2', 3680],
    ['asia-northeast1', 'asia-northeast2', 397],
    ['europe-west3', 'asia-southeast1', 10_250],
    ['australia-southeast1', 'australia-southeast2', 714],
    ['southamerica-east1', 'africa-south1', 7460],
    ['asia-northeast1', 'us-west2', 8815],
  ] as const) {
    assert.ok(Math.abs(kilometres(a, b) / expected - 1) < 0.01, `${a} ${b}: ${kilometres(a, b)}`)
  }
})

test('each region comes first for itself, and its neighbours follow', () => {
  assert.deepEqual(nearest('us-central1', 4), ['us-central1', 'us-south1', 'us-east5', 'us-west3'])
  assert.deepEqual(nearest('europe-west1', 4), ['europe-west1', 'europe-west9', 'europe-west2', 'europe-west3'])
  assert.deepEqual(nearest('asia-east1', 3), ['asia-east1', 'asia-east2', 'asia-northeast3'])
  assert.deepEqual(nearest('me-central1', 3), ['me-central1', 'me-central2', 'me-west1'])
})

test('ties are by name, regions without a position come last and are equally far, the own one is first anyway', () => {
  const at = (longitude: number) => ({ latitude: 0, longitude })
  const positions = new Map([
    ['home', at(0)],
    ['b', at(10)],
    ['a', at(-10)],
    ['c', at(5)],
  ])
  const order = orderRegions(['y', 'b', 'x', 'a', 'c', 'home', 'a'], 'home', positions)
  assert.deepEqual(
    order.map(({ region, rank }) => `${region} ${rank}`),
    ['home 0', 'c 1', 'a 2', 'b 3', 'x 4', 'y 4'],
  )
  assert.deepEqual(
    order.map(({ kilometres: distance }) => distance),
    [0, 556, 1112, 1112, undefined, undefined],
  )
  const ranks = (own: string | undefined) => orderRegions(['a', 'b', 'x'], own, positions).map(({ rank }) => rank)
  assert.deepEqual(ranks(undefined), [0, 0, 0])
  // Nobody knows where x is: it is near to itself alone.
  assert.deepEqual(ranks('x'), [0, 1, 1])
})

test('a distance is the same both ways, never longer than half around the Earth, and by no detour shorter', () => {
  const position = fc.record({
    latitude: fc.double({ min: -90, max: 90, noNaN: true }),
    longitude: fc.double({ min: -180, max: 180, noNaN: true }),
  })
  fc.assert(
    fc.property(position, position, position, (a, b, c) => {
      const direct = kilometresBetween(a, b)
      assert.ok(Math.abs(direct - kilometresBetween(b, a)) < 1e-6)
      assert.ok(direct >= 0 && direct <= Math.PI * 6371)
      assert.ok(direct <= kilometresBetween(a, c) + kilometresBetween(c, b) + 1e-3)
    }),
  )
})

function positionsOf(value: unknown): ReadonlyMap<string, unknown> {
  const read = checkRegionFile(value)
  assert.ok(read.kind === 'regions', JSON.stringify(read))
  return read.positions
}

function problemsOf(value: unknown): string[] {
  const read = checkRegionFile(value)
  assert.ok(read.kind === 'problems')
  return read.problems.map(({ path, rule, remedy }) => `${path}: ${rule}; ${remedy}`)
}

test('own regions are added to those of Google, or move one of them', () => {
  const cellar = { name: 'cellar-1', latitude: 52.5, longitude: 13.4 }
  const positions = positionsOf({ regions: [cellar, { name: 'us-central1', latitude: 0, longitude: -180 }] })
  assert.equal(positions.size, 44)
  assert.deepEqual(positions.get('cellar-1'), { latitude: 52.5, longitude: 13.4 })
  assert.deepEqual(positions.get('us-central1'), { latitude: 0, longitude: -180 })
  assert.equal(positionsOf({ regions: [] }).size, 43)
})

test('each fault of a file is told with its place, the rule and the remedy', () => {
  const remedy = 'write a list under "regions", with name, latitude and longitude of each'
  assert.deepEqual(problemsOf(null), [`regions: there is no list of regions; ${remedy}`])
  assert.deepEqual(problemsOf({ regions: {}, zones: 1 }), [
    '"zones": there is no field of this name; remove it',
    `regions: there is no list of regions; ${remedy}`,
  ])
  const good = { name: 'a', latitude: 1, longitude: 2 }
  assert.deepEqual(problemsOf({ regions: [good, good] }), ['regions[1]: there are two regions "a"; remove one of them'])
  assert.deepEqual(
    problemsOf({
      regions: [
        { ...good, latitude: 90.5 },
        { ...good, name: 'b', longitude: '2' },
      ],
    }),
    [
      'regions[0].latitude: 90.5 is not between -90 and 90; give degrees, north is positive, such as 52.52',
      'regions[1].longitude: "2" is not between -180 and 180; give degrees, east is positive, such as 13.4',
    ],
  )
  assert.deepEqual(problemsOf({ regions: [{ name: 'Cellar', latitude: Number.NaN, zone: 'a' }, 7] }), [
    'regions[0]."zone": there is no field of this name; remove it; a region has name, latitude, longitude',
    'regions[0].name: "Cellar" is not a name; write up to 63 small letters, digits and hyphens, such as "cellar-1"',
    'regions[0].latitude: NaN is not between -90 and 90; give degrees, north is positive, such as 52.52',
    'regions[0].longitude: it is missing; give degrees, east is positive, such as 13.4',
    'regions[1]: it is not a mapping; give name, latitude and longitude',
  ])
  assert.match(problemsOf({ regions: new Array(1001).fill(good) })[0], /1001 regions, more than 1000; keep 1000/)
})

test('no value makes the check of a file throw', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      checkRegionFile(value)
      checkRegionFile({ regions: [value] })
    }),
  )
})
