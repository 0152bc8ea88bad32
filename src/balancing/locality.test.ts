import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rehash } from './hash.ts'
import { LeastRequest } from './least-request.ts'
import { buildLocalityTable, makeMemberChoice } from './locality.ts'
import { buildMaglevTable, MAGLEV_SIZE, maglevSlot } from './maglev.ts'
import type { MemberChoice } from './members.ts'
import { LOCALITY_POLICIES } from './policy.ts'
import { RandomChoice } from './random.ts'
import { buildRing } from './ring-hash.ts'
import { RoundRobin } from './round-robin.ts'
import { groupMembers, memberNames } from './test-members.ts'

const COUNT = 12

for (const name of LOCALITY_POLICIES) {
  const policy = { name, affinity: 'NONE', minimumRingSize: 1024 } as const
  const table = buildLocalityTable(policy, memberNames(COUNT))
  const make = (): MemberChoice => makeMemberChoice(policy, table, 7)

  test(`${name}: whoever may be chosen and was not tried is found, nobody else, and nothing else ends the search`, () => {
    const places = fc.subarray([...Array(COUNT).keys()])
    fc.assert(
      fc.property(places, places, fc.array(fc.integer(), { minLength: 1, maxLength: 20 }), (up, tried, hashes) => {
        const members = groupMembers(COUNT)
        members.show((place) => up.includes(place))
        const ids = tried.map((place) => members.ids[place])
        const left = up.filter((place) => !tried.includes(place))
        const choice = make()
        assert.equal(members.has(ids), left.length > 0)
        for (const hash of hashes) {
          const place = choice.pick(members, hash, ids)
          assert.ok(left.length === 0 ? place === -1 : left.includes(place), `${place}`)
        }
      }),
    )
  })
}

test('ROUND_ROBIN: no member is more than one connection ahead of another while nobody comes or goes', () => {
  fc.assert(
    fc.property(fc.subarray([...Array(COUNT).keys()], { minLength: 1 }), fc.integer({ min: 1, max: 99 }), (up, n) => {
      const members = groupMembers(COUNT)
      members.show((place) => up.includes(place))
      const counts = new Map(up.map((place) => [place, 0]))
      const policy = new RoundRobin(0)
      for (let turn = 0; turn < n; turn++) {
        const place = policy.pick(members, 0, [])
        counts.set(place, (counts.get(place) ?? 0) + 1)
      }
      assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1)
    }),
  )
})

test('ROUND_ROBIN: the turn goes on behind the last one, whoever comes or goes', () => {
  const members = groupMembers(5)
  const policy = new RoundRobin(1)
  const pick = (): number => policy.pick(members, 0, [])
  assert.deepEqual([pick(), pick()], [1, 2])
  members.show((place) => place !== 3)
  assert.equal(pick(), 4)
  members.show(() => true)
  assert.deepEqual([pick(), pick()], [0, 1])
})

test('LEAST_REQUEST: never the fuller of two, and connections that stay are spread far better than at random', () => {
  const two = groupMembers(2)
  two.open[two.ids[0]] = 1
  const policy = new LeastRequest(7)
  for (let turn = 0; turn < 50; turn++) assert.equal(policy.pick(two, 0, []), 1)

  const spreadOf = (choice: MemberChoice): number => {
    const members = groupMembers(100)
    for (let turn = 0; turn < 10_000; turn++) members.open[members.ids[choice.pick(members, 0, [])]]++
    return Math.max(...members.ids.map((id) => members.open[id])) - 100
  }
  // Mitzenmacher: log log n above the average with two choices.
  assert.ok(spreadOf(new LeastRequest(7)) <= 5, `${spreadOf(new LeastRequest(7))}`)
  assert.ok(spreadOf(new RandomChoice(7)) > 15)
})

test('RANDOM: each has its part, within four standard deviations', () => {
  const members = groupMembers(10)
  const counts = new Int32Array(10)
  const policy = new RandomChoice(1)
  for (let turn = 0; turn < 100_000; turn++) counts[policy.pick(members, 0, [])]++
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 4 * Math.sqrt(9000), `${counts}`)
})

test('LEAST_REQUEST, RANDOM: workers, and services that have changed, do not all begin with the same members', () => {
  for (const name of ['LEAST_REQUEST', 'RANDOM'] as const) {
    const members = groupMembers(10)
    const policy = { name, affinity: 'NONE', minimumRingSize: 1024 } as const
    for (let seed = 0; seed < 100; seed++) {
      const choice = makeMemberChoice(policy, { kind: 'none' }, seed)
      for (let turn = 0; turn < 2; turn++) members.open[members.ids[choice.pick(members, 0, [])]]++
    }
    for (const id of members.ids) assert.ok(members.open[id] < 40, `${name}: ${members.open}`)
  }
})

for (const name of ['MAGLEV', 'RING_HASH'] as const) {
  test(`${name}: who was tried is passed over as one that may not be chosen, so that every worker tries the same next`, () => {
    const policy = { name, affinity: 'CLIENT_IP', minimumRingSize: 1024 } as const
    const choice = makeMemberChoice(policy, buildLocalityTable(policy, memberNames(COUNT)), 0)
    const members = groupMembers(COUNT)
    for (let hash = 0; hash < 200; hash++) {
      const tried: number[] = []
      members.show(() => true)
      const nexts = [0, 1, 2, 3].map(() => {
        const place = choice.pick(members, hash, tried)
        tried.push(members.ids[place])
        return place
      })
      for (const [attempt, next] of nexts.entries()) {
        members.show((place) => !nexts.slice(0, attempt).includes(place))
        assert.equal(choice.pick(members, hash, []), next)
      }
    }
  })
}

for (const name of ['MAGLEV', 'RING_HASH'] as const) {
  test(`${name}: where hardly anybody is left, they share`, () => {
    const policy = { name, affinity: 'CLIENT_IP', minimumRingSize: 1024 } as const
    const choice = makeMemberChoice(policy, buildLocalityTable(policy, memberNames(1000)), 0)
    const members = groupMembers(1000)
    members.show((place) => place === 250 || place === 750)
    let first = 0
    for (let hash = 0; hash < 2000; hash++) if (choice.pick(members, rehash(hash, 1), []) === 250) first++
    assert.ok(Math.abs(first - 1000) < 300, `${first}`)
  })
}

test('every version looks up the same: edges of two versions send a client to the same member', () => {
  const slots = new Uint16Array(MAGLEV_SIZE)
  buildMaglevTable(['a', 'b', 'c'], slots)
  assert.deepEqual(
    [0, 1, 2, 3, 1000, 65_536].map((slot) => slots[slot]),
    [1, 2, 0, 0, 2, 2],
  )
  const slotsOf = (attempt: number): number[] => [1, 2, 3].map((hash) => maglevSlot(hash, attempt, MAGLEV_SIZE))
  assert.deepEqual(
    [slotsOf(0), slotsOf(1)],
    [
      [64_778, 11_607, 54_836],
      [2_244, 29_611, 61_212],
    ],
  )
  const points = [199_358_262_214_657, 203_530_154_737_664, 215_602_292_916_225, 270_219_571_691_520]
  assert.deepEqual([...buildRing(['a', 'b'], 4)], points)
})
