import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { buildMaglevTable, MAGLEV_SIZE, Maglev, populate } from './maglev.ts'
import { groupMembers, memberNames } from './test-members.ts'

function tableOf(names: readonly string[]): Uint16Array {
  const table = new Uint16Array(MAGLEV_SIZE)
  buildMaglevTable(names, table)
  return table
}

test("the paper's Table 1: seven slots, three backends, and the second one leaves", () => {
  const size = 7
  const before = populate(Int32Array.of(3, 0, 3), Int32Array.of(4, 2, 1), size)
  assert.deepEqual([...before], [1, 0, 1, 0, 2, 2, 0])
  const after = populate(Int32Array.of(3, 3), Int32Array.of(4, 1), size)
  assert.deepEqual(
    [...after].map((turn) => [0, 2][turn]),
    [0, 0, 0, 0, 2, 2, 2],
  )
})

test('no backend has more than one slot more than another', () => {
  for (const count of [1, 2, 3, 10, 650]) {
    const slots = new Int32Array(count)
    for (const place of tableOf(memberNames(count))) slots[place]++
    assert.ok(Math.max(...slots) - Math.min(...slots) <= 1, `${count}`)
    // With M > 100 N that is 1 % of the average, as the paper says.
    assert.ok(Math.max(...slots) <= 1.01 * (MAGLEV_SIZE / count), `${count}`)
  }
})

test('the order of the names makes no difference: each slot belongs to the same name', () => {
  const names = memberNames(20)
  const table = tableOf(names)
  fc.assert(
    fc.property(fc.shuffledSubarray([...names.keys()], { minLength: 20 }), (order) => {
      const shuffled = tableOf(order.map((place) => names[place]))
      for (let slot = 0; slot < MAGLEV_SIZE; slot += 97) assert.equal(order[shuffled[slot]], table[slot])
    }),
    { numRuns: 5 },
  )
})

test('a member that may not be chosen moves its own clients alone, and they come back', () => {
  const members = groupMembers(50)
  const maglev = new Maglev(tableOf(memberNames(50)))
  const pickAll = (): number[] => Array.from({ length: 10_000 }, (_, hash) => maglev.pick(members, hash, []))
  const before = pickAll()
  members.show((place) => place % 7 !== 3)
  const during = pickAll()
  for (const [hash, place] of before.entries()) {
    if (place % 7 === 3) assert.notEqual(during[hash] % 7, 3)
    else assert.equal(during[hash], place)
  }
  members.show(() => true)
  assert.deepEqual(pickAll(), before)
})

test('with one member left of a thousand everybody finds it, and with none nobody', () => {
  const members = groupMembers(1000)
  const maglev = new Maglev(tableOf(memberNames(1000)))
  members.show((place) => place === 617)
  for (let hash = 0; hash < 1000; hash++) assert.equal(maglev.pick(members, hash, []), 617)
  assert.equal(maglev.pick(members, 0, [members.ids[617]]), -1)
  members.show(() => false)
  assert.equal(maglev.pick(members, 0, []), -1)
})

/** Of those that were with others: the part that another name has after one of so many has left the configuration. */
function disruption(names: readonly string[], before: Uint16Array, leaves: number): number {
  const left = names.filter((_, place) => place !== leaves)
  const after = tableOf(left)
  let moved = 0
  for (const [slot, place] of before.entries()) if (place !== leaves && left[after[slot]] !== names[place]) moved++
  return moved / (MAGLEV_SIZE * (1 - 1 / names.length))
}

test('of the other clients few move when one of N leaves the configuration, none when it is unhealthy', (t: TestContext) => {
  for (const count of [3, 10, 100, 1000]) {
    const names = memberNames(count)
    const before = tableOf(names)
    const leavers = [...new Set([0, 1, 2, 3, 4, 5, 6].map((part) => Math.floor((part * (count - 1)) / 6)))]
    const moved = leavers.map((place) => disruption(names, before, place))
    const percent = (100 * moved.reduce((sum, one) => sum + one, 0)) / moved.length
    t.diagnostic(`N = ${count}: ${percent.toFixed(2)} % of the others move when one leaves the configuration`)
    // For one of 1000 the paper's method gives 0.58 % with SHA-256 for a hash; which one leaves makes 0.05 % of it.
    assert.ok(percent < 0.65, `${count}: ${percent}`)
  }
})

test('a table of a thousand is built within 20 ms', (t: TestContext) => {
  const names = memberNames(1000)
  const table = new Uint16Array(MAGLEV_SIZE)
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 20; round++) {
    const start = performance.now()
    buildMaglevTable(names, table)
    best = Math.min(best, performance.now() - start)
  }
  t.diagnostic(`${best.toFixed(1)} ms`)
  assert.ok(best < 20, `${best} ms`)
})
