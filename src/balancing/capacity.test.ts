import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { connectionLimit, targetConnections } from './capacity.ts'

test("Google's formulae: X for the group, N times X for all members, healthy or not, and the scaler of all that", () => {
  assert.equal(targetConnections({}, 5, 1), undefined)
  assert.equal(targetConnections({ maxConnections: 100 }, 5, 1), 100)
  assert.equal(targetConnections({ maxConnectionsPerInstance: 100 }, 5, 1), 500)
  assert.equal(targetConnections({ maxConnectionsPerEndpoint: 100 }, 5, 0.5), 250)
  assert.equal(targetConnections({ maxConnections: 100 }, 5, 0.1), 10)
  assert.equal(targetConnections({ maxConnections: 100 }, 5, 0), 0)
})

test('edges that know nothing of each other have equal parts, in sum the target', () => {
  const limits = (turn: number): number[] =>
    [0, 1, 2].map((index) => connectionLimit(10, undefined, { count: 3, index }, turn))
  assert.deepEqual(limits(0), [3, 3, 4])
  assert.deepEqual(limits(1), [3, 4, 3])
})

test('an edge alone has all of the target, and one that alone uses a group has most of the room', () => {
  const limit = (own: number, others: number, count: number): number =>
    connectionLimit(100, { connections: others, ownThen: own }, { count, index: 0 }, 0)
  for (const own of [0, 1, 50, 99, 100]) assert.equal(limit(own, 0, 1), 100)
  assert.equal(limit(20, 0, 4), 20 + 60 + 5)
  assert.equal(limit(0, 20, 4), 5)
  assert.equal(limit(0, 0, 4), 25)
  assert.equal(limit(90, 30, 2), 75)
})

test('edges that looked at the same moment keep within the target, and some of them gets what is left', () => {
  const counts = fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(counts, fc.nat({ max: 4000 }), fc.nat(), (connections, target, turn) => {
      const total = connections.reduce((sum, one) => sum + one, 0)
      const limits = connections.map((own, index) =>
        connectionLimit(target, { connections: total - own, ownThen: own }, { count: connections.length, index }, turn),
      )
      const sum = limits.reduce((all, one) => all + one, 0)
      assert.ok(sum <= target, `${sum}`)
      if (total >= target) return
      assert.ok(sum > total)
      for (const [index, limit] of limits.entries()) assert.ok(limit >= connections[index])
    }),
  )
})

test('whoever wants a group finds its room, however many edges there are', () => {
  // One edge of fifty wants all of 24 connections, and looks every five seconds.
  let own = 0
  let looks = 0
  for (; own < 24; looks++) own = connectionLimit(24, { connections: 0, ownThen: own }, { count: 50, index: 7 }, looks)
  assert.ok(looks < 120, `${looks}`)
})
