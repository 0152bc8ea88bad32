import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Proximity } from './proximity.ts'
import type { RankedRegion } from './view.ts'

const BY_DISTANCE: readonly RankedRegion[] = ['a', 'b', 'c'].map((region, rank) => ({ region, rank, kilometres: rank }))

/** Regions with such times, probed every five seconds. */
class TestWorld {
  readonly proximity = new Proximity()
  nowMs = 1_000_000

  /** Returns the orders that there were. */
  pass(seconds: number, times: Readonly<Record<string, number | undefined>>): string[] {
    const orders: string[] = []
    for (let second = 0; second < seconds; second += 5) {
      this.nowMs += 5000
      for (const [region, ms] of Object.entries(times)) {
        if (ms !== undefined) this.proximity.observe(region, ms, this.nowMs)
      }
      const order = this.order()
      if (order !== orders.at(-1)) orders.push(order)
    }
    return orders
  }

  order(): string {
    return this.proximity
      .order(BY_DISTANCE, this.nowMs)
      .map(({ region }) => region)
      .join('')
  }
}

test('until something is measured the great circle decides, and a minute later what was measured', () => {
  const world = new TestWorld()
  assert.equal(world.order(), 'abc')
  assert.deepEqual(world.pass(55, { a: 30, b: 20, c: 10 }), ['abc'])
  assert.deepEqual(world.pass(15, { a: 30, b: 20, c: 10 }), ['abc', 'cba'])
  assert.deepEqual(
    world.proximity.order(BY_DISTANCE, world.nowMs).map(({ rank, kilometres }) => [rank, kilometres]),
    [
      [0, 2],
      [1, 1],
      [2, 0],
    ],
  )
})

test('a region that is nearer by less than a tenth, or than a millisecond, changes nothing', () => {
  assert.deepEqual(new TestWorld().pass(1000, { a: 20, b: 18.1, c: 30 }), ['abc'])
  assert.deepEqual(new TestWorld().pass(1000, { a: 2, b: 1.1, c: 30 }), ['abc'])
  assert.deepEqual(new TestWorld().pass(1000, { a: 20, b: 17.9, c: 30 }), ['abc', 'bac'])
})

test('it is the smallest time lately that counts: one fast answer in five minutes is enough', () => {
  const world = new TestWorld()
  world.pass(100, { a: 10, b: 20, c: 30 })
  assert.deepEqual(world.pass(240, { a: 400, b: 20, c: 30 }), ['abc'])
  world.proximity.observe('a', 10, world.nowMs)
  assert.deepEqual(world.pass(240, { a: 400, b: 20, c: 30 }), ['abc'])
  assert.deepEqual(world.pass(240, { a: 400, b: 20, c: 30 }), ['abc', 'bca'])
})

test('of what comes in one moment the smallest counts, however often it is asked for, for five minutes', () => {
  const proximity = new Proximity()
  for (const ms of [9, 5, 7]) proximity.observe('a', ms, 1_000_000)
  proximity.observe('a', 8, 1_000_001)
  for (let time = 0; time < 3; time++) assert.equal(proximity.smallestMs('a', 1_000_002), 5)
  assert.equal(proximity.smallestMs('a', 1_000_000 + 269_000), 5)
  assert.equal(proximity.smallestMs('a', 1_000_000 + 300_000), undefined)
})

test('a region that no probe reaches any more stays behind those that one does', () => {
  const world = new TestWorld()
  world.pass(100, { a: 10, b: 20, c: 30 })
  assert.deepEqual(world.pass(600, { b: 20, c: 30 }), ['abc', 'bca'])
  assert.equal(world.proximity.smallestMs('a', world.nowMs), undefined)
})

test('regions come and go, without changing the order of the others', () => {
  const world = new TestWorld()
  world.pass(100, { a: 30, b: 20, c: 10 })
  const without = BY_DISTANCE.filter(({ region }) => region !== 'b')
  const orderOf = (regions: readonly RankedRegion[]): string =>
    world.proximity
      .order(regions, world.nowMs)
      .map(({ region }) => region)
      .join('')
  assert.equal(orderOf(without), 'ca')
  assert.equal(orderOf(BY_DISTANCE), 'cab')
})

test('whatever the times are, the order changes at most once a minute for each pair', () => {
  const times = fc.record({
    a: fc.double({ min: 0.1, max: 50, noNaN: true }),
    b: fc.double({ min: 0.1, max: 50, noNaN: true }),
    c: fc.double({ min: 0.1, max: 50, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(times, { maxLength: 100 }), (rounds) => {
      const world = new TestWorld()
      const changedAt = new Map<string, number>()
      let before = world.order()
      for (const round of rounds) {
        world.pass(5, round)
        const after = world.order()
        for (const pair of ['ab', 'ac', 'bc']) {
          const isAhead = (order: string): boolean => order.indexOf(pair[0]) < order.indexOf(pair[1])
          if (isAhead(before) === isAhead(after)) continue
          assert.ok(world.nowMs - (changedAt.get(pair) ?? 0) >= 60_000, pair)
          changedAt.set(pair, world.nowMs)
        }
        before = after
      }
    }),
  )
})
