import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newUtilizationMemory, utilizationLimit } from './utilization.ts'

const INFINITE = Number.POSITIVE_INFINITY

/**
 * A group behind one edge, second by second: connections come at a rate and stay a while, each costs a part of the
 * processors, and what the group reports every five seconds is late: half of it is what it reported before.
 */
class TestGroup {
  readonly #memory = newUtilizationMemory()
  readonly #lastsSeconds: number
  readonly #costs: number
  readonly #background: number
  connections = 0
  average = 0
  second = 0
  limit = INFINITE

  constructor({ lastsSeconds = 20, costs = 0.01, background = 0 } = {}) {
    this.#lastsSeconds = lastsSeconds
    this.#costs = costs
    this.#background = background
  }

  get utilization(): number {
    return this.#background + this.#costs * this.connections
  }

  /** One second; returns how many connections were sent elsewhere. */
  step(rate: number): number {
    this.second++
    if (this.second % 5 === 0) this.average = (this.average + Math.min(1, this.utilization)) / 2
    const utilization = { average: this.average, atMs: 1000 * (this.second - (this.second % 5)) }
    this.limit = utilizationLimit(this.#memory, utilization, 0.8, this.connections)
    this.connections -= this.connections / this.#lastsSeconds
    const room = Math.max(0, Math.min(rate, this.limit - this.connections))
    this.connections += room
    return rate - room
  }

  /** So many seconds; returns the averages of utilization and of what was sent elsewhere in the second half of them. */
  run(seconds: number, rate: number): { utilization: number; overflow: number; worst: number } {
    let [utilization, overflow, worst] = [0, 0, 0]
    for (let second = 0; second < seconds; second++) {
      const elsewhere = this.step(rate)
      if (second < seconds / 2) continue
      utilization += this.utilization / (seconds / 2)
      overflow += elsewhere / (seconds / 2)
      worst = Math.max(worst, this.utilization)
    }
    return { utilization, overflow, worst }
  }
}

test('below the target nothing is held back', () => {
  const group = new TestGroup()
  const { overflow } = group.run(600, 3.9)
  assert.deepEqual([overflow, group.limit], [0, INFINITE])
})

test('above the target exactly the excess leaves: the group stays at its target, without swinging', () => {
  for (const rate of [5, 8, 20]) {
    // 80 connections are 80 %: 4 of them end each second, and as many may come.
    const { utilization, overflow, worst } = new TestGroup().run(600, rate)
    assert.ok(Math.abs(utilization - 0.8) < 0.01, `${rate}: ${utilization}`)
    assert.ok(Math.abs(overflow - (rate - 4)) < 0.1, `${rate}: ${overflow}`)
    assert.ok(worst < 0.83, `${rate}: ${worst}`)
  }
})

test('so it is also for long connections, and where half of the load is of something else', () => {
  const long = new TestGroup({ lastsSeconds: 600, costs: 0.001 }).run(6000, 5)
  assert.ok(Math.abs(long.utilization - 0.8) < 0.02, `${long.utilization}`)
  const busy = new TestGroup({ background: 0.4 }).run(1200, 8)
  assert.ok(Math.abs(busy.utilization - 0.8) < 0.02, `${busy.utilization}`)
})

test('back it goes in small steps, and the limit is gone only when the group is clearly below its target', () => {
  const group = new TestGroup()
  group.run(300, 8)
  const held = group.limit
  assert.ok(held !== INFINITE)
  // A load that hovers about the target: the limit stays where it is, within a few percent.
  const limits: number[] = []
  for (let second = 0; second < 600; second++) {
    group.step(second % 60 < 30 ? 4.2 : 3.9)
    limits.push(group.limit)
  }
  assert.ok(Math.min(...limits) > 0.9 * held, `${Math.min(...limits)}`)
  group.run(300, 2)
  assert.equal(group.limit, INFINITE)
})

test('what is not known holds nothing back; an average that was seen says nothing new', () => {
  const memory = newUtilizationMemory()
  const high = { average: 1, atMs: 5 }
  assert.equal(utilizationLimit(memory, high, 0.8, 100), 90)
  assert.equal(utilizationLimit(memory, high, 0.8, 100), 90)
  assert.equal(utilizationLimit(memory, { average: 1, atMs: 10 }, 0.8, 100), 85)
  assert.equal(utilizationLimit(memory, undefined, 0.8, 100), INFINITE)
})

test('an edge without connections of its own to a full group waits, and gets some once there is room', () => {
  const memory = newUtilizationMemory()
  assert.equal(utilizationLimit(memory, { average: 0.9, atMs: 1 }, 0.8, 0), 0)
  assert.ok(utilizationLimit(memory, { average: 0.7, atMs: 2 }, 0.8, 0) >= 1)
})

test('a host that was busy and is idle now, without connections of this edge, gets some again', () => {
  const memory = newUtilizationMemory()
  assert.equal(utilizationLimit(memory, { average: 0.9, atMs: 1 }, 0.8, 0), 0)
  assert.equal(utilizationLimit(memory, { average: 0, atMs: 2 }, 0.8, 0), 1)
  utilizationLimit(memory, { average: 0, atMs: 3 }, 0.8, 0)
  assert.equal(utilizationLimit(memory, { average: 0, atMs: 4 }, 0.8, 0), INFINITE)
})

test('whatever is reported, a limit is a number that is not negative, and above the target never grows', () => {
  const average = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }))
  const report = fc.record({ average, connections: fc.oneof(fc.constant(0), fc.nat({ max: 1000 })) })
  const target = fc.double({ min: 0.01, max: 1, noNaN: true })
  fc.assert(
    fc.property(target, fc.array(report), (bound, reports) => {
      const memory = newUtilizationMemory()
      let before = INFINITE
      for (const [atMs, { average: now, connections }] of reports.entries()) {
        const limit = utilizationLimit(memory, { average: now, atMs }, bound, connections)
        assert.ok(limit >= 0)
        if (now > bound) assert.ok(limit <= Math.max(before, connections))
        before = limit
      }
    }),
  )
})
