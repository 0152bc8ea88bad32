import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SpreadMemory, sharesOf, spread } from './spread.ts'
import { groupView, levelShares, serviceView } from './test-view.ts'
import type { GroupView } from './view.ts'

/** As Envoy has it: its over-provisioning factor of 1.4 is a threshold of 71.4 %. */
const ENVOY_THRESHOLD = 100 / 1.4

test("Envoy's tables of priorities: what a level is too sick for flows down", () => {
  const table: readonly (readonly [healths: readonly number[], loads: readonly number[]])[] = [
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 72],
      [100, 0],
    ],
    [
      [71, 71],
      [99, 1],
    ],
    [
      [50, 50],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [25, 25],
      [50, 50],
    ],
    [
      [0, 100],
      [0, 100],
    ],
    [
      [5, 65],
      [7, 93],
    ],
    [
      [100, 100, 100],
      [100, 0, 0],
    ],
    [
      [72, 72, 100],
      [100, 0, 0],
    ],
    [
      [50, 50, 100],
      [70, 30, 0],
    ],
    [
      [20, 20, 100],
      [28, 28, 44],
    ],
    // 35, 35 and 28 are 98 in sum: each has its part of that.
    [
      [25, 25, 20],
      [36, 36, 28],
    ],
    [
      [0, 0],
      [0, 0],
    ],
  ]
  for (const [healths, loads] of table) {
    const groups = healths.map((healthy, index) => groupView({ region: `region-${index}`, members: 100, healthy }))
    const shares = levelShares(serviceView(groups, { failoverHealthThreshold: ENVOY_THRESHOLD }))
    // Envoy counts in whole percents.
    for (const [index, load] of loads.entries()) {
      assert.ok(Math.abs(100 * shares[index] - load) < 1, `${healths}: ${shares.map((share) => 100 * share)}`)
    }
  }
})

test("Envoy's weights of localities: 1 and 2, the first one half healthy, are 26 and 74", () => {
  const x = groupView({ targetConnections: 100, members: 100, healthy: 50 })
  const y = groupView({ targetConnections: 200, members: 100 })
  const { groups } = spread(serviceView([x, y], { failoverHealthThreshold: ENVOY_THRESHOLD }), new Map(), 0)
  const sum = groups[0].weight + groups[1].weight
  assert.deepEqual(
    groups.map(({ weight }) => Math.round((100 * weight) / sum)),
    [26, 74],
  )
})

test('shares come to 1, or to 0 where nobody is healthy', () => {
  assert.deepEqual(sharesOf([]), [])
  assert.deepEqual(sharesOf([0, 0]), [0, 0])
  assert.deepEqual(sharesOf([0.5, 0.25]), [2 / 3, 1 / 3])
})

test("Google's threshold: at 70 % healthy everything stays, below it what is missing leaves", () => {
  const near = (healthy: number): GroupView => groupView({ region: 'near', members: 100, healthy })
  const far = groupView({ region: 'far' })
  assert.deepEqual(levelShares(serviceView([near(70), far])), [1, 0])
  assert.deepEqual(levelShares(serviceView([near(35), far])), [0.5, 0.5])
  assert.deepEqual(levelShares(serviceView([near(35), far], { failoverHealthThreshold: 35 })), [1, 0])
  assert.deepEqual(levelShares(serviceView([near(98), far], { failoverHealthThreshold: 99 })).map(Math.fround), [
    Math.fround(98 / 99),
    Math.fround(1 / 99),
  ])
})

test('each state of a group has its name, and a group that gets nothing weighs nothing', () => {
  const stateOf = (given: Partial<GroupView>, isStrict = false): string => {
    const group = groupView({ region: 'there', ...given })
    const view = serviceView([groupView({ region: 'here' }), group], { isolation: isStrict ? 'STRICT' : undefined })
    const { state, weight } = spread(view, new Map(), 0).groups[1]
    return `${state} ${weight > 0}`
  }
  assert.equal(stateOf({}), 'serving true')
  assert.equal(stateOf({ healthy: 6 }), 'overflowing true')
  assert.equal(stateOf({ healthy: 0 }), 'unhealthy false')
  assert.equal(stateOf({ members: 0 }), 'unhealthy false')
  assert.equal(stateOf({ capacityScaler: 0 }), 'off false')
  assert.equal(stateOf({}, true), 'isolated false')
  assert.equal(stateOf({ targetConnections: 5, connections: 5 }), 'full-connections true')
  const utilization = { average: 0.9, atMs: 0 }
  assert.equal(stateOf({ maxUtilization: 0.8, utilization, connections: 5 }), 'full-utilization true')
  assert.equal(stateOf({ maxUtilization: 0.8, utilization: undefined, connections: 5 }), 'serving true')
})

test('a limit is a whole number, and a group is full at it', () => {
  const utilization = { average: 0.9, atMs: 0 }
  const at = (connections: number, memory: SpreadMemory) => {
    const group = groupView({ name: 'one', maxUtilization: 0.8, utilization, connections })
    const { limit, state } = spread(serviceView([group]), memory, 0).groups[0]
    return [limit, state]
  }
  const memory: SpreadMemory = new Map()
  // 100 + 0.5 * (100 * 0.8 / 0.9 - 100) is 94.4.
  assert.deepEqual(at(100, memory), [94, 'full-utilization'])
  assert.deepEqual(at(94, memory), [94, 'full-utilization'])
  assert.deepEqual(at(93, memory), [94, 'serving'])
})

test('members of groups that are off or drained make their level neither sick nor healthy', () => {
  const [near, far] = [groupView({ region: 'near' }), groupView({ region: 'far' })]
  const off = groupView({ region: 'near', healthy: 0, capacityScaler: 0 })
  assert.deepEqual(levelShares(serviceView([near, off, far])), [1, 0])
  const sick = groupView({ region: 'near', healthy: 2 })
  assert.deepEqual(levelShares(serviceView([near, sick, far], { drainsCapacity: true })), [1, 0])
  assert.equal(levelShares(serviceView([near, sick, far]))[0].toFixed(2), (12 / 14).toFixed(2))
})

test('without a target for each of them groups weigh their members, as they are scaled', () => {
  const weights = (...groups: readonly GroupView[]): number[] =>
    spread(serviceView(groups), new Map(), 0).groups.map(({ weight }) => weight)
  const targeted = groupView({ targetConnections: 50, capacityScaler: 0.5 })
  assert.deepEqual(weights(targeted, groupView({ targetConnections: 7 })), [50, 7])
  assert.deepEqual(weights(targeted, groupView({ members: 4 })), [5, 4])
  assert.deepEqual(weights(targeted, groupView({ members: 4, capacityScaler: 0 })), [50, 0])
})

test('a group that was off begins without a limit, however busy its hosts were meanwhile', () => {
  const memory = new Map()
  const limitAt = (atMs: number, given: Partial<GroupView>): number => {
    const group = groupView({ name: 'one', maxUtilization: 0.8, utilization: { average: 0.4, atMs }, ...given })
    return spread(serviceView([group, groupView({ name: 'other' })]), memory, atMs).groups[0].limit
  }
  assert.equal(limitAt(1, { connections: 500 }), Number.POSITIVE_INFINITY)
  for (let atMs = 2; atMs < 20; atMs++) limitAt(atMs, { connections: 500 - 25 * atMs, capacityScaler: 0 })
  assert.equal(limitAt(20, { connections: 0 }), Number.POSITIVE_INFINITY)
})

test('what was remembered of a group is forgotten with the group', () => {
  const memory = new Map()
  const [a, b] = [groupView(), groupView()]
  spread(serviceView([a, b]), memory, 0)
  spread(serviceView([b]), memory, 0)
  assert.deepEqual([...memory.keys()], [b.name])
})

test('what does not divide goes to each edge in turn, however often they turn and however many there are', () => {
  for (const count of [2, 5, 12, 50]) {
    const memories = Array.from({ length: count }, () => new Map())
    const got = new Set<number>()
    for (let atMs = 0; atMs < 10_000 * 20 * count; atMs += 10_000) {
      const others = { connections: 0, ownThen: 0, atMs }
      const group = groupView({ name: 'one', targetConnections: 1, others })
      const look = (nowMs: number): number[] =>
        memories.map((memory, index) => {
          const view = serviceView([group], {}, { edges: { count, index } })
          return spread(view, memory, nowMs).groups[0].limit
        })
      assert.ok(look(atMs).reduce((sum, limit) => sum + limit, 0) <= 1)
      const limits = look(atMs + 9_000)
      assert.equal(
        limits.reduce((sum, limit) => sum + limit, 0),
        1,
      )
      got.add(limits.indexOf(1))
    }
    assert.equal(got.size, count)
  }
})

test('a group whose members an operator has all taken out is drained; one that has none at all is not', () => {
  const stateOf = (given: Partial<GroupView>): string =>
    spread(serviceView([groupView(given)]), new Map(), 0).groups[0].state
  assert.equal(stateOf({ members: 0, drained: 2 }), 'drained')
  assert.equal(stateOf({ members: 0 }), 'unhealthy')
  assert.equal(stateOf({ members: 1, healthy: 0, drained: 2 }), 'unhealthy')
})
