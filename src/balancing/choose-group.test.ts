import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GroupChooser, type GroupFilter, makeSpreadCells, type SpreadCells, writeSpread } from './choose-group.ts'
import { rehash } from './hash.ts'
import type { SpreadPolicy } from './policy.ts'
import { spread } from './spread.ts'
import { groupView, serviceView } from './test-view.ts'
import type { GroupView, ServiceView } from './view.ts'

const ALL: GroupFilter = { has: () => true }

/** Worker and main thread in one: connections that stay, and what the view says of those that are there. */
class TestService {
  readonly chooser: GroupChooser
  readonly cells: SpreadCells
  readonly open: Int32Array

  constructor(view: ServiceView) {
    const { groups } = view
    const now = spread(view, new Map(), 0)
    const cells = makeSpreadCells(now.levels.length, groups.length)
    writeSpread(now, cells)
    this.cells = cells
    const ids = Int32Array.from(groups, (_, place) => 2 * place + 1)
    this.open = new Int32Array(2 * groups.length + 1)
    for (const [place, { connections }] of groups.entries()) this.open[ids[place]] = connections
    this.chooser = new GroupChooser(
      { levels: now.levels, names: groups.map(({ name }) => name), ids },
      cells,
      this.open,
    )
  }

  /** Connections that come and stay; returns how many each group got. */
  come(count: number, filter = ALL, hashOf?: (n: number) => number): number[] {
    const got = new Array((this.open.length - 1) / 2).fill(0)
    for (let n = 0; n < count; n++) {
      const place = hashOf === undefined ? this.chooser.inTurn(filter) : this.chooser.byHash(hashOf(n), filter)
      if (place < 0) continue
      got[place]++
      this.open[2 * place + 1]++
    }
    return got
  }
}

function come(groups: readonly GroupView[], count: number, policy: Partial<SpreadPolicy> = {}): number[] {
  return new TestService(serviceView(groups, policy)).come(count)
}

test('WATERFALL_BY_REGION: the near region first, then the next, then all are overfilled by their targets', () => {
  const near = groupView({ region: 'near', targetConnections: 10 })
  const far = groupView({ region: 'far', targetConnections: 20 })
  const farthest = groupView({ region: 'farthest', targetConnections: 10 })
  const groups = [near, far, farthest]
  assert.deepEqual(come(groups, 10), [10, 0, 0])
  assert.deepEqual(come(groups, 25), [10, 15, 0])
  assert.deepEqual(come(groups, 40), [10, 20, 10])
  assert.deepEqual(come(groups, 80), [20, 40, 20])
})

test('WATERFALL_BY_ZONE: the own zone, then the others of the region in proportion, then the next region', () => {
  const groups = ['a', 'b', 'c'].map((zone) => groupView({ zone, targetConnections: zone === 'c' ? 20 : 10 }))
  groups.push(groupView({ region: 'far', targetConnections: 10 }))
  const policy = { algorithm: 'WATERFALL_BY_ZONE' } as const
  assert.deepEqual(come(groups, 10, policy), [10, 0, 0, 0])
  assert.deepEqual(come(groups, 25, policy), [10, 5, 10, 0])
  assert.deepEqual(come(groups, 45, policy), [10, 10, 20, 5])
  assert.deepEqual(come(groups, 20), [5, 5, 10, 0])
})

test('SPRAY_TO_REGION and SPRAY_TO_WORLD: in proportion inside the region, and everywhere', () => {
  const groups = ['near', 'near', 'far'].map((region) => groupView({ region, targetConnections: 10 }))
  assert.deepEqual(come(groups, 12, { algorithm: 'SPRAY_TO_REGION' }), [6, 6, 0])
  assert.deepEqual(come(groups, 12, { algorithm: 'SPRAY_TO_WORLD' }), [4, 4, 4])
})

test('PREFERRED groups are filled first, the nearer ones before, whatever the algorithm is', () => {
  const groups = [
    groupView({ region: 'near', targetConnections: 10 }),
    groupView({ region: 'near', targetConnections: 10, preference: 'PREFERRED' }),
    groupView({ region: 'far', targetConnections: 10, preference: 'PREFERRED' }),
  ]
  for (const algorithm of ['WATERFALL_BY_REGION', 'SPRAY_TO_WORLD'] as const) {
    assert.deepEqual(come(groups, 5, { algorithm }), [0, 5, 0])
    assert.deepEqual(come(groups, 15, { algorithm }), [0, 10, 5])
    assert.deepEqual(come(groups, 25, { algorithm }), [5, 10, 10])
  }
})

test('NEAREST: what a full region does not take stays there; what nobody healthy takes goes on, and no further', () => {
  const groups = (healthy: number) => [
    groupView({ region: 'near', targetConnections: 10, healthy }),
    groupView({ region: 'far', targetConnections: 10 }),
    groupView({ region: 'farthest', targetConnections: 10 }),
  ]
  assert.deepEqual(come(groups(10), 30, { isolation: 'NEAREST' }), [30, 0, 0])
  assert.deepEqual(come(groups(0), 30, { isolation: 'NEAREST' }), [0, 30, 0])
  // Far below the failover threshold, a region keeps everything, too.
  assert.deepEqual(come(groups(1), 70, { isolation: 'NEAREST' }), [70, 0, 0])
  // What its own zone is not healthy enough for stays in the region.
  const zones = [
    groupView({ region: 'near', zone: 'own', targetConnections: 100, healthy: 1 }),
    groupView({ region: 'near', zone: 'other', targetConnections: 100 }),
    groupView({ region: 'far', targetConnections: 100 }),
  ]
  const view = serviceView(zones, { isolation: 'NEAREST', algorithm: 'WATERFALL_BY_ZONE' }, { zone: 'own' })
  assert.deepEqual(new TestService(view).come(70), [10, 60, 0])
})

test('STRICT: nothing leaves the own region, not even when nobody there is healthy', () => {
  const groups = (healthy: number) => [
    groupView({ region: 'near', targetConnections: 10, healthy }),
    groupView({ region: 'far', targetConnections: 10 }),
  ]
  assert.deepEqual(come(groups(10), 30, { isolation: 'STRICT' }), [30, 0])
  assert.deepEqual(come(groups(0), 30, { isolation: 'STRICT' }), [0, 0])
})

test('a group without a member for this connection is passed over, also where its region may not send to others', () => {
  const groups = ['near', 'near', 'far'].map((region) => groupView({ region }))
  const service = new TestService(serviceView(groups, { isolation: 'NEAREST' }))
  assert.deepEqual(service.come(4, { has: (place) => place !== 0 }), [0, 4, 0])
  assert.deepEqual(service.come(4, { has: (place) => place === 2 }), [0, 0, 4])
  assert.deepEqual(service.come(4, { has: () => false }), [0, 0, 0])
})

test('where an edge knows no region all groups are of one level', () => {
  const groups = ['one', 'two'].map((region) => groupView({ region }))
  const regionOrder = groups.map(({ region }) => ({ region, rank: 0, kilometres: undefined }))
  const view = serviceView(groups, {}, { region: undefined, zone: undefined, regionOrder })
  assert.deepEqual(new TestService(view).come(10), [5, 5])
})

const group = fc.record({
  region: fc.constantFrom('one', 'two', 'three'),
  zone: fc.constantFrom('a', 'b'),
  preference: fc.constantFrom('DEFAULT' as const, 'PREFERRED' as const),
  members: fc.integer({ min: 1, max: 20 }),
  sick: fc.integer({ min: 0, max: 20 }),
  targetConnections: fc.integer({ min: 1, max: 60 }),
})
const policy = fc.record({
  algorithm: fc.constantFrom(
    'WATERFALL_BY_REGION' as const,
    'WATERFALL_BY_ZONE' as const,
    'SPRAY_TO_REGION' as const,
    'SPRAY_TO_WORLD' as const,
  ),
  failoverHealthThreshold: fc.integer({ min: 1, max: 99 }),
})
const groupsOf = (given: readonly { readonly members: number; readonly sick: number }[]): GroupView[] =>
  given.map(({ sick, ...rest }) => groupView({ ...rest, healthy: Math.max(0, rest.members - sick) }))

test('no capacity of a group with healthy members is unused while another group is overfilled', () => {
  fc.assert(
    fc.property(
      fc.array(group, { minLength: 1, maxLength: 8 }),
      policy,
      fc.nat({ max: 400 }),
      fc.boolean(),
      (...given) => {
        const [drawn, drawnPolicy, count, isByHash] = given
        const groups = groupsOf(drawn)
        const got = new TestService(serviceView(groups, drawnPolicy)).come(
          count,
          ALL,
          isByHash ? (n) => rehash(n, 1) : undefined,
        )
        const healthy = groups.map(({ healthy: members }) => members > 0)
        const sum = got.reduce((total, one) => total + one, 0)
        assert.equal(sum, healthy.includes(true) ? count : 0)
        const isOverfilled = got.some((number, place) => number > (groups[place].targetConnections ?? 0))
        for (const [place, number] of got.entries()) {
          if (!healthy[place]) assert.equal(number, 0)
          else if (isOverfilled) assert.ok(number >= (groups[place].targetConnections ?? 0), `${got}`)
        }
      },
    ),
  )
})

test('no group of a level that has room gets more than its share by more than the rounding of each group', () => {
  fc.assert(
    fc.property(
      fc.array(group, { minLength: 1, maxLength: 8 }),
      policy,
      fc.nat({ max: 200 }),
      (drawn, given, count) => {
        const groups = groupsOf(drawn).map((one) => ({
          ...one,
          targetConnections: 1000 * (one.targetConnections ?? 0),
        }))
        const view = serviceView(groups, given)
        const now = spread(view, new Map(), 0)
        const got = new TestService(view).come(count)
        for (const level of now.levels) {
          const sum = level.groups.reduce((total, place) => total + now.groups[place].weight, 0)
          const here = level.groups.reduce((total, place) => total + got[place], 0)
          assert.ok(Math.abs(here - count * level.share) <= now.levels.length, `${here} of ${count * level.share}`)
          for (const place of level.groups) {
            const share = sum === 0 ? 0 : (here * now.groups[place].weight) / sum
            assert.ok(Math.abs(got[place] - share) <= level.groups.length, `${got[place]} of ${share}`)
          }
        }
      },
    ),
  )
})

test('nothing begins at a level that has no share any more, whatever it had left', () => {
  const health = fc.tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }), fc.constant(10))
  fc.assert(
    fc.property(fc.array(fc.tuple(health, fc.nat({ max: 5 })), { minLength: 1 }), (steps) => {
      const viewOf = (healthy: readonly number[]): ServiceView =>
        serviceView(
          healthy.map((number, place) => groupView({ name: `g${place}`, region: `r${place}`, healthy: number })),
        )
      const service = new TestService(viewOf([10, 10, 10]))
      for (const [healthy, count] of steps) {
        const now = spread(viewOf(healthy), new Map(), 0)
        writeSpread(now, service.cells)
        for (const [place, got] of service.come(count).entries()) assert.ok(got === 0 || now.levels[place].share > 0)
      }
    }),
  )
})

test('with affinity a change of one group moves only those who were there, or go there', () => {
  fc.assert(
    fc.property(fc.array(group, { minLength: 2, maxLength: 8 }), policy, fc.nat({ max: 7 }), (drawn, given, nth) => {
      const groups = groupsOf(drawn.map((one) => ({ ...one, region: 'one', preference: 'DEFAULT' as const, sick: 0 })))
      const changed = nth % groups.length
      const placesOf = (view: ServiceView): number[] => {
        const { chooser } = new TestService(view)
        return Array.from({ length: 300 }, (_, n) => chooser.byHash(rehash(n, 1), ALL))
      }
      const world = { ...given, algorithm: 'SPRAY_TO_WORLD' } as const
      const before = placesOf(serviceView(groups, world))
      const fewer = groups.map((one, place) => (place === changed ? { ...one, targetConnections: 1 } : one))
      const after = placesOf(serviceView(fewer, world))
      for (const [n, place] of before.entries()) {
        // A group that weighs less loses some of its own, and nobody else moves.
        if (after[n] !== place) assert.equal(place, changed)
      }
    }),
  )
})

test('with affinity shares of levels that change move only as many as their change', () => {
  const groups = (healthy: number) => [
    groupView({ name: 'near', region: 'near', members: 100, healthy }),
    groupView({ name: 'far', region: 'far' }),
  ]
  const placesOf = (healthy: number): number[] => {
    const { chooser } = new TestService(serviceView(groups(healthy)))
    return Array.from({ length: 10_000 }, (_, n) => chooser.byHash(rehash(n, 1), ALL))
  }
  const [all, most, half] = [placesOf(70), placesOf(63), placesOf(35)]
  assert.ok(all.every((place) => place === 0))
  const movedOf = (places: readonly number[]): number => places.filter((place) => place === 1).length / places.length
  assert.ok(Math.abs(movedOf(most) - 0.1) < 0.015 && Math.abs(movedOf(half) - 0.5) < 0.02)
  for (const [n, place] of most.entries()) if (place === 1) assert.equal(half[n], 1)
})

test('with affinity groups get their weight of the clients', () => {
  const groups = [1, 2, 7].map((targetConnections) => groupView({ targetConnections: 1000 * targetConnections }))
  const { chooser } = new TestService(serviceView(groups))
  const counts = [0, 0, 0]
  for (let n = 0; n < 20_000; n++) counts[chooser.byHash(rehash(n, 1), ALL)]++
  for (const [place, part] of [0.1, 0.2, 0.7].entries()) {
    assert.ok(Math.abs(counts[place] / 20_000 - part) < 0.015, `${counts}`)
  }
})
