import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { connectionLimit, newLimitMemory, settledLimit, targetConnections } from './capacity.ts'

test("Google's formula: what is given for the group, times the scaler", () => {
  assert.equal(targetConnections(undefined, 1), undefined)
  assert.equal(targetConnections(100, 1), 100)
  assert.equal(targetConnections(500, 0.5), 250)
  assert.equal(targetConnections(100, 0.1), 10)
  assert.equal(targetConnections(100, 0), 0)
  // A group that is not off takes somebody.
  assert.equal(targetConnections(5, 0.1), 1)
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

test('a lower limit holds at once, a higher one after six seconds in which it was never less', () => {
  const memory = newLimitMemory()
  const at = (second: number, limit: number, count = 2, own = 0): number =>
    settledLimit(memory, limit, own, { count, index: 0 }, 1000 * second)
  assert.equal(at(0, 100), 100)
  assert.equal(at(1, 60), 60)
  assert.deepEqual([at(2, 90), at(5, 80), at(7, 95), at(8, 95)], [60, 60, 60, 80])
  assert.deepEqual([at(9, 95), at(13, 95), at(14, 95)], [80, 80, 95])
  assert.deepEqual([at(15, 120), at(20, 95), at(26, 120)], [95, 95, 95])
  assert.deepEqual([at(31, 120), at(32, 120)], [95, 120])
  // Others have to see what is used by then.
  assert.deepEqual([at(33, 140), at(38, 140, 2, 20), at(40, 140, 2, 20), at(44, 140, 2, 20)], [120, 120, 120, 140])
  // Alone there is nobody who could have used it.
  assert.equal(at(45, 200, 1), 200)
})

/** Edges that each ask one agent every five seconds, at moments of their own, and look once a second. */
class TestEdges {
  readonly #limits = [newLimitMemory(), newLimitMemory()]
  readonly #seen = [0, 0].map(() => ({ connections: 0, ownThen: 0 }))
  readonly open = [0, 0]

  /** @param come new connections of each edge, which stay */
  pass(second: number, askedAt: readonly number[], come: readonly number[]): void {
    for (const index of [0, 1]) {
      const own = this.open[index]
      if (second % 5 === askedAt[index]) this.#seen[index] = { connections: this.open[1 - index], ownThen: own }
      const edges = { count: 2, index }
      const limit = connectionLimit(200, this.#seen[index], edges, 0)
      const holds = settledLimit(this.#limits[index], limit, this.#seen[index].ownThen, edges, 1000 * second)
      this.open[index] = Math.max(own, Math.min(holds, own + come[index]))
    }
  }
}

test('two edges that look at different moments keep within the target, however suddenly clients come', () => {
  const ask = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }))
  const bursts = fc.array(fc.tuple(fc.constantFrom(0, 1, 20, 500), fc.constantFrom(0, 1, 20, 500), fc.nat({ max: 9 })))
  fc.assert(
    fc.property(ask, bursts, (askedAt, rounds) => {
      const edges = new TestEdges()
      let second = 0
      for (const [a, b, seconds] of rounds) {
        for (let past = 0; past < seconds; past++) edges.pass(second++, askedAt, [a, b])
        assert.ok(edges.open[0] + edges.open[1] <= 200, `${edges.open}`)
      }
      // One that wants all of what is left gets most of it in time.
      const rest = edges.open[1]
      for (let past = 0; past < 150; past++) edges.pass(second++, askedAt, [500, 0])
      assert.ok(edges.open[0] + rest >= 0.85 * 200, `${edges.open}`)
    }),
    // One edge has used little when it looks, and takes all that it may before the other looks.
    {
      numRuns: 1000,
      examples: [
        [
          [0, 1],
          [
            [0, 1, 3],
            [20, 0, 2],
            [0, 500, 1],
            [0, 0, 1],
            [500, 500, 1],
          ],
        ],
      ],
    },
  )
})
