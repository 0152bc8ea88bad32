import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { connectionLimit, targetConnections } from './capacity.ts'

const NONE = { maxConnections: undefined, maxConnectionsPerInstance: undefined, maxConnectionsPerEndpoint: undefined }

test("Google's formulae: X for the group, N times X for all members, healthy or not, and the scaler of all that", () => {
  assert.equal(targetConnections(NONE, 5, 1), undefined)
  assert.equal(targetConnections({ ...NONE, maxConnections: 100 }, 5, 1), 100)
  assert.equal(targetConnections({ ...NONE, maxConnectionsPerInstance: 100 }, 5, 1), 500)
  assert.equal(targetConnections({ ...NONE, maxConnectionsPerEndpoint: 100 }, 5, 0.5), 250)
  assert.equal(targetConnections({ ...NONE, maxConnections: 100 }, 5, 0.1), 10)
  assert.equal(targetConnections({ ...NONE, maxConnections: 100 }, 5, 0), 0)
})

test('edges that know nothing of each other have equal parts, in sum the target', () => {
  const limits = [0, 1, 2].map((index) => connectionLimit(10, undefined, { count: 3, index }))
  assert.deepEqual(limits, [4, 3, 3])
})

test('edges that looked at the same moment come to the target in sum, and none is below what fits', () => {
  const counts = fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(counts, fc.nat({ max: 400 }), (connections, target) => {
      const total = connections.reduce((sum, one) => sum + one, 0)
      const limits = connections.map((own, index) =>
        connectionLimit(target, { connections: total - own, ownThen: own }, { count: connections.length, index }),
      )
      const sum = limits.reduce((all, one) => all + one, 0)
      if (total <= target) {
        assert.equal(sum, target)
        for (const [index, limit] of limits.entries()) assert.ok(limit >= connections[index])
      } else {
        for (const [index, limit] of limits.entries()) assert.ok(limit <= connections[index])
      }
    }),
  )
})
