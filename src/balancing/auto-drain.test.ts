import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type SpreadMemory, spread } from './spread.ts'
import { groupView, serviceView } from './test-view.ts'

/** Groups of a hundred members; looks at them every second. */
class TestDrain {
  readonly memory: SpreadMemory = new Map()
  nowMs = 0

  look(healthy: readonly number[], scalers: readonly number[] = []): string {
    this.nowMs += 1000
    const groups = healthy.map((number, index) =>
      groupView({ name: `g${index}`, members: 100, healthy: number, capacityScaler: scalers[index] ?? 1 }),
    )
    const view = serviceView(groups, { drainsCapacity: true, algorithm: 'SPRAY_TO_WORLD' })
    return spread(view, this.memory, this.nowMs)
      .groups.map(({ state, weight }) => {
        assert.equal(state === 'drained' && weight > 0, false)
        return state === 'drained' ? 'd' : '-'
      })
      .join('')
  }
}

test('a group goes below 25 % healthy members, the sickest first, while fewer than half of all have gone', () => {
  const look = (...healthy: readonly number[]): string => new TestDrain().look(healthy)
  assert.equal(look(25, 100, 100, 100), '----')
  assert.equal(look(24, 100, 100, 100), 'd---')
  assert.equal(look(24, 10, 100, 100), '-d--')
  assert.equal(look(24, 10, 5, 5, 100), '--dd-')
  assert.equal(look(0, 100), '--')
  assert.equal(look(0), '-')
})

test('groups whose capacity is 0 count among all, but not among those that have gone', () => {
  assert.equal(new TestDrain().look([0, 100, 100, 100], [0, 1, 1, 1]), '----')
  assert.equal(new TestDrain().look([0, 10, 100], [0, 1, 1]), '-d-')
  assert.equal(new TestDrain().look([10, 100], [1, 1]), '--')
})

test('it comes back after 60 s with 35 %, without a break', () => {
  const drain = new TestDrain()
  const pass = (seconds: number, healthy: number): string => {
    let last = ''
    for (let second = 0; second < seconds; second++) last = drain.look([healthy, 100, 100])
    return last
  }
  assert.equal(pass(1, 20), 'd--')
  assert.equal(pass(100, 34), 'd--')
  assert.equal(pass(60, 35), 'd--')
  assert.equal(pass(1, 34), 'd--')
  assert.equal(pass(60, 35), 'd--')
  assert.equal(pass(1, 35), '---')
  // Between the two bounds it stays as it is.
  assert.equal(pass(100, 25), '---')
})

test('where nobody else has a healthy member, those of drained groups serve', () => {
  const drain = new TestDrain()
  assert.equal(drain.look([20, 20, 100, 100, 100]), 'dd---')
  assert.equal(drain.look([20, 20, 0, 0, 0]), '-----')
  assert.equal(drain.look([20, 20, 1, 0, 0]), 'dd---')
  assert.equal(drain.look([20, 20, 100, 100, 100], [1, 1, 0, 0, 0]), '-----')
})

test('without the policy, and once it is taken away, nobody is drained', () => {
  const drain = new TestDrain()
  drain.look([0, 100, 100])
  const groups = [groupView({ name: 'g0', members: 100, healthy: 10 }), groupView({ name: 'g1' })]
  assert.equal(spread(serviceView(groups), drain.memory, drain.nowMs).groups[0].state, 'overflowing')
})

test('never are half of the groups drained, whatever their health does', () => {
  const health = fc.array(fc.nat({ max: 100 }), { minLength: 6, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(health, { minLength: 1, maxLength: 100 }), (rounds) => {
      const drain = new TestDrain()
      for (const healthy of rounds) assert.ok(drain.look(healthy).split('d').length - 1 < 3)
    }),
  )
})
