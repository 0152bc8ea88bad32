import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gatherFacts, type MemberFacts } from './group-facts.ts'

function member(
  cpu: number | undefined,
  fields: Partial<MemberFacts> & { atMs?: number; all?: number; own?: number } = {},
): MemberFacts {
  const { atMs = 1, all = 0, own = 0, ...rest } = fields
  const report = {
    cpu_utilization: cpu ?? 0,
    mem_utilization: 0,
    open_connections: 99,
    port_connections: all,
    app_listening: true,
  }
  return { isDrained: false, isUp: true, load: cpu === undefined ? undefined : { report, atMs, ownThen: own }, ...rest }
}

test('what an operator has taken out counts as no member, and what is down is not healthy', () => {
  const facts = gatherFacts(
    [member(undefined), member(undefined, { isDrained: true }), member(undefined, { isUp: false })],
    undefined,
    122_500,
  )
  assert.deepEqual(facts, { members: 2, healthy: 1, drained: 1, utilization: undefined, others: undefined })
})

test('the average is of healthy members that report, and is another one only once each has reported again', () => {
  const first = gatherFacts(
    [member(0.2, { atMs: 5 }), member(0.6, { atMs: 7 }), member(undefined), member(1, { isUp: false })],
    undefined,
    122_500,
  )
  assert.deepEqual(first.utilization, { average: 0.4, atMs: 7 })
  const half = gatherFacts([member(0.9, { atMs: 9 }), member(0.6, { atMs: 7 })], first.utilization, 122_500)
  assert.equal(half.utilization, first.utilization)
  const both = gatherFacts([member(0.9, { atMs: 9 }), member(0.7, { atMs: 11 })], first.utilization, 122_500)
  assert.deepEqual(both.utilization, { average: 0.8, atMs: 11 })
})

test('connections of others are known only where every healthy member tells, and are never less than none', () => {
  assert.deepEqual(
    gatherFacts([member(0, { all: 7, own: 3 }), member(0, { all: 1, own: 2 })], undefined, 122_500).others,
    {
      connections: 4,
      ownThen: 5,
      atMs: 122_000,
    },
  )
  assert.equal(gatherFacts([member(0, { all: 7, own: 3 }), member(undefined)], undefined, 122_500).others, undefined)
})

test('one agent that says far too much fills no group of many members, and is believed of its own part', () => {
  const others = (all: number, members: number) => {
    const honest = Array.from({ length: members - 1 }, () => member(0, { all: 12, own: 3 }))
    return gatherFacts([member(0, { all, own: 3 }), ...honest], undefined, 122_500, 100).others
  }
  assert.deepEqual(others(10_000_000, 10), { connections: 40 + 9 * 9, ownThen: 30, atMs: 122_000 })
  assert.equal(others(30, 10)?.connections, 27 + 9 * 9)
  // Of a few members each can have everything.
  assert.equal(others(10_000_000, 1)?.connections, 400)
  assert.equal(gatherFacts([member(0, { all: 10_000 })], undefined, 122_500).others?.connections, 10_000)
})
