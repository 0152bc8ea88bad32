import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { MINIMUM_RING_SIZE } from './policy.ts'
import { buildRing, RingHash } from './ring-hash.ts'
import { groupMembers, memberNames } from './test-members.ts'

test('the ring has as many points for each, and at least its minimum', () => {
  for (const [count, size, points] of [
    [0, 1024, 0],
    [1, 1024, 1024],
    [3, 1024, 1536],
    [2000, 1024, 2000],
    // The largest that a service may ask for: a ring has bounds, whatever it asks for.
    [1, 8_388_608, 4096],
    [30, 8_388_608, 122_880],
    [4001, 8_388_608, 256_064],
  ] as const) {
    const ring = buildRing(memberNames(count), size)
    assert.equal(ring.length, points)
    const each = new Int32Array(count)
    for (const point of ring) each[point % 65_536]++
    assert.ok(each.every((number) => number === points / count))
    assert.ok(ring.every((point, at) => at === 0 || point > ring[at - 1]))
  }
})

test('when one leaves nobody moves who was with another, by the ring without it and by health', (t: TestContext) => {
  for (const count of [3, 10, 100, 1000]) {
    const names = memberNames(count)
    const leaves = Math.floor(count / 2)
    const members = groupMembers(count)
    const ring = new RingHash(buildRing(names, MINIMUM_RING_SIZE))
    const before = Array.from({ length: 5000 }, (_, hash) => ring.pick(members, hash, []))
    members.show((place) => place !== leaves)
    const others = new RingHash(buildRing(names.toSpliced(leaves, 1), MINIMUM_RING_SIZE))
    const without = groupMembers(count - 1)
    let moved = 0
    for (const [hash, place] of before.entries()) {
      const sick = ring.pick(members, hash, [])
      if (place === leaves) assert.notEqual(sick, leaves)
      else assert.equal(sick, place)
      const gone = others.pick(without, hash, [])
      if (place !== leaves && (gone < leaves ? gone : gone + 1) !== place) moved++
    }
    t.diagnostic(`N = ${count}: ${((100 * moved) / before.length).toFixed(2)} % of the others move when one leaves`)
    assert.equal(moved, 0, `${count}`)
  }
})

test('the order of the names makes no difference', () => {
  const names = memberNames(30)
  const members = groupMembers(30)
  const ring = new RingHash(buildRing(names, MINIMUM_RING_SIZE))
  const reversed = new RingHash(buildRing(names.toReversed(), 1024))
  for (let hash = 0; hash < 2000; hash++) {
    assert.equal(29 - reversed.pick(members, hash, []), ring.pick(members, hash, []))
  }
})

test('members at one point are told apart by their names, and a large ring takes no time that clients would feel', (t) => {
  const names = memberNames(30)
  const began = performance.now()
  const ring = buildRing(names, 2 ** 16)
  t.diagnostic(`${ring.length} points in ${(performance.now() - began).toFixed(0)} ms`)
  const reversed = buildRing(names.toReversed(), 2 ** 16)
  const pointOf = (value: number): number => Math.floor(value / 65_536)
  // Of so many some are at the same point, as the birthday problem has it.
  assert.ok(ring.every((value, at) => at === 0 || pointOf(value) > pointOf(ring[at - 1])))
  assert.ok(ring.every((value, at) => pointOf(value) === pointOf(reversed[at])))
  assert.ok(ring.every((value, at) => (value % 65_536) + (reversed[at] % 65_536) === 29))
})

test('with one member left of a thousand everybody finds it, and with none nobody', () => {
  const members = groupMembers(1000)
  const ring = new RingHash(buildRing(memberNames(1000), 1024))
  members.show((place) => place === 617)
  for (let hash = 0; hash < 1000; hash++) assert.equal(ring.pick(members, hash, []), 617)
  assert.equal(ring.pick(members, 0, [members.ids[617]]), -1)
  members.show(() => false)
  assert.equal(ring.pick(members, 0, []), -1)
})
