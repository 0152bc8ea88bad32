import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatEndpoint } from '../../address/endpoint.ts'
import type { LocalityPolicyName, SessionAffinity } from '../../balancing/policy.ts'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { REGION_REASONS } from '../../telemetry/region-reasons.ts'
import { type TestGroup, TestPlan, type TestPlanOptions } from '../test-plan.ts'
import { Availability } from './availability.ts'
import { makeCells, setAvailability } from './backend-table.ts'
import { BackendChooser, type Candidate } from './choose-backend.ts'

const { down, up, draining, leaving } = Availability

const CLIENT = endpointOf('192.0.2.7:1007')
const SERVER = endpointOf('203.0.113.10:110')

/** A chooser over these groups, all backends up; its connections stay open. */
function start(groups: readonly TestGroup[], options: TestPlanOptions = {}, turn = 0) {
  const planned = new TestPlan(groups, (id) => ({ address: '127.0.0.1', port: id + 1 }), options)
  const cells = makeCells(1)
  const show = (id: number, value: Availability): void => {
    setAvailability(cells, id, planned.groupOf[id], value)
    planned.spread(cells)
  }
  for (const id of planned.groupOf.keys()) show(id, up)
  const chooser = new BackendChooser(planned.plan, cells, turn)
  const take = (client = CLIENT): number => occupy(chooser, chooser.first(client, SERVER))
  const another = (tried: readonly number[], group: number) => chooser.another(tried, group, CLIENT, SERVER)
  const reason = () => REGION_REASONS[chooser.regionCode]
  return { cells, chooser, take, another, show, reason, plan: planned.plan }
}

function occupy(chooser: BackendChooser, candidate: Candidate | undefined): number {
  if (candidate === undefined) return -1
  assert.ok(chooser.enter(), 'there is no other worker')
  return candidate.id
}

function times<Result>(count: number, action: () => Result): Result[] {
  return Array.from({ length: count }, action)
}

function countEach(ids: readonly number[], backends: number): number[] {
  return Array.from({ length: backends }, (_, id) => ids.filter((taken) => taken === id).length)
}

test('the backends of a group have their turns one after the other', () => {
  assert.deepEqual(times(7, start([{ count: 3 }]).take), [0, 1, 2, 0, 1, 2, 0])
})

test('workers begin with different backends', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((turn) => start([{ count: 3 }], {}, turn).take()),
    [0, 1, 2, 0],
  )
})

test('backends that are down or draining get nothing, from the next choice on', () => {
  const { take, show } = start([{ count: 4 }])
  assert.equal(take(), 0)
  show(1, down)
  show(2, draining)
  assert.deepEqual(times(4, take), [3, 0, 3, 0])
  show(1, up)
  assert.deepEqual(times(3, take), [1, 3, 0])
})

test('with nothing healthy there is no choice', () => {
  const { take, show } = start([{ count: 2 }])
  show(0, down)
  show(1, draining)
  assert.equal(take(), -1)
  assert.equal(start([]).take(), -1)
})

test('groups share connections by their maxConnections', () => {
  const { take } = start([
    { count: 1, maxConnections: 3_000 },
    { count: 1, maxConnections: 1_000 },
  ])
  const ids = times(400, take)
  assert.deepEqual(countEach(ids, 2), [300, 100])
  // Spread, not in blocks: in every four there is one of the small group.
  for (let at = 0; at < 400; at += 4) assert.equal(ids.slice(at, at + 4).filter((id) => id === 1).length, 1)
})

test('groups without maxConnections share by their healthy backends times capacityScaler', () => {
  const { take, show } = start([{ count: 3 }, { count: 2, capacityScaler: 0.5 }])
  assert.deepEqual(countEach(times(80, take), 5), [20, 20, 20, 10, 10])
  show(2, down)
  show(4, down)
  assert.deepEqual(countEach(times(100, take), 5), [40, 40, 0, 20, 0])
})

test('where one group has no maxConnections, all share by their healthy backends', () => {
  const { take } = start([{ count: 1, maxConnections: 1_000 }, { count: 3 }])
  assert.deepEqual(countEach(times(40, take), 4), [10, 10, 10, 10])
})

test('the proportions hold within one connection per group at every moment', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(weights, (sizes) => {
      const { take } = start(sizes.map((size) => ({ count: 1, maxConnections: size * 100_000 })))
      const total = sizes.reduce((sum, size) => sum + size, 0)
      const taken = sizes.map(() => 0)
      for (let number = 1; number <= 200; number++) {
        taken[take()] += 1
        for (const [index, size] of sizes.entries()) {
          assert.ok(Math.abs(taken[index] - (number * size) / total) < sizes.length)
        }
      }
    }),
  )
})

test('a group at its target capacity gets no more while another has room', () => {
  const { take, cells } = start([
    { count: 1, maxConnections: 2 },
    { count: 1, maxConnections: 8 },
  ])
  assert.deepEqual(countEach(times(10, take), 2), [2, 8])
  Atomics.sub(cells.groupOpen, 1, 3)
  assert.deepEqual(times(3, take), [1, 1, 1])
})

test('capacityScaler lowers the target capacity', () => {
  const { take } = start([
    { count: 1, maxConnections: 10, capacityScaler: 0.2 },
    // Without a bound: it never is full.
    { count: 1 },
  ])
  assert.deepEqual(countEach(times(10, take), 2), [2, 8])
})

test('if all groups are at capacity they are overfilled in the same proportions', () => {
  const { take } = start([
    { count: 1, maxConnections: 2 },
    { count: 1, maxConnections: 6 },
  ])
  times(8, take)
  assert.deepEqual(countEach(times(80, take), 2), [20, 60])
})

test('capacityScaler 0 gets nothing, not even when all others are full, down or failed', () => {
  const { take, show, chooser } = start([
    { count: 1, capacityScaler: 0 },
    { count: 1, maxConnections: 1 },
  ])
  assert.deepEqual(times(3, take), [1, 1, 1])
  assert.equal(chooser.hasAnother([1]), false)
  show(1, down)
  assert.equal(take(), -1)
})

test('groups of the own region come first, the others when those are full or have nothing healthy', () => {
  const { take, show, cells } = start(
    [
      { count: 1, region: 'there', maxConnections: 5 },
      { count: 1, region: 'here', maxConnections: 2 },
    ],
    { localRegion: 'here' },
  )
  assert.deepEqual(times(5, take), [1, 1, 0, 0, 0])
  Atomics.sub(cells.groupOpen, 1, 1)
  assert.equal(take(), 1)
  show(1, down)
  assert.deepEqual(times(2, take), [0, 0])
})

test('a region of which the edge is not a part is as near as any other', () => {
  const groups = [
    { count: 1, region: 'there', maxConnections: 10 },
    { count: 1, region: 'here', maxConnections: 10 },
  ]
  assert.deepEqual(countEach(times(4, start(groups, { localRegion: 'elsewhere' }).take), 2), [2, 2])
  assert.deepEqual(countEach(times(4, start(groups).take), 2), [2, 2])
})

test('after a failure the same group comes first, then the others, each backend once', () => {
  const { chooser, another } = start([{ count: 2 }, { count: 2 }])
  const tried: number[] = []
  for (let next = chooser.first(CLIENT, SERVER); next !== undefined; next = another(tried, next.groupId)) {
    tried.push(next.id)
  }
  assert.deepEqual([...tried].sort(), [0, 1, 2, 3])
  assert.deepEqual(new Set(tried.slice(0, 2)), new Set([0, 1]))
  assert.equal(chooser.hasAnother(tried), false)
})

test('a backend that comes up while others are tried is tried as well', () => {
  const { chooser, another, show } = start([{ count: 2 }])
  show(1, down)
  assert.equal(chooser.hasAnother([0]), false)
  show(1, up)
  assert.equal(another([0], 0)?.id, 1)
})

test('a backend has the name of its group before its own', () => {
  const { chooser } = start([{ count: 2, name: 'us-central1-b/my-group' }])
  assert.equal(chooser.nameOf(1, 0), 'us-central1-b/my-group/backend-1')
  assert.equal(chooser.nameOf(7, 0), undefined)
  assert.equal(chooser.nameOf(0, 7), undefined)
})

test('a candidate is the same object each time, with the endpoint of its backend in either family', () => {
  const planned = new TestPlan([{ count: 2 }], (id) => ({ address: ['192.0.2.9', '2001:db8::9'][id], port: 65_535 }))
  const cells = makeCells(1)
  for (const id of [0, 1]) setAvailability(cells, id, 0, up)
  planned.spread(cells)
  const chooser = new BackendChooser(planned.plan, cells, 0)
  const taken = times(4, () => chooser.first(CLIENT, SERVER))
  assert.deepEqual(
    taken.map((candidate) => candidate && formatEndpoint(candidate.endpoint)),
    ['192.0.2.9:65535', '[2001:db8::9]:65535', '192.0.2.9:65535', '[2001:db8::9]:65535'],
  )
  assert.equal(taken[0], taken[2])
})

test('a change of one group is looked at by its choosers only', () => {
  const { cells, take } = start([{ count: 1 }, { count: 1 }])
  take()
  // Nobody said that this changes: who looked at it all the same would lose the first group.
  Atomics.store(cells.availability, 0, down)
  setAvailability(cells, 1, 1, down)
  assert.deepEqual(times(3, take), [0, 0, 0])
  Atomics.add(cells.groupVersion, 0, 1)
  assert.equal(take(), -1)
})

test('a backend that has left serves where there is no other, also for a further attempt', () => {
  const { chooser, another, take, show } = start([{ count: 2 }, { count: 2 }])
  show(0, leaving)
  show(1, down)
  show(2, leaving)
  assert.deepEqual(times(3, take), [3, 3, 3])
  show(3, draining)
  assert.equal(take(), 0)
  assert.equal(chooser.hasAnother([0]), true)
  assert.equal(another([0], 0)?.id, 2)
  assert.equal(chooser.hasAnother([0, 2]), false)
  assert.equal(another([0, 2], 0), undefined)
})

const MAGLEV: TestPlanOptions = { locality: { name: 'MAGLEV', affinity: 'CLIENT_IP', minimumRingSize: 1 } }

test('with an affinity every worker gives a client the same backend, whatever its port, and takes it back to it', () => {
  const groups = [{ count: 20 }, { count: 10 }]
  const [one, other] = [start(groups, MAGLEV, 0), start(groups, MAGLEV, 3)]
  const client = (number: number, port = 1_007) => endpointOf(`192.0.2.${number}:${port}`)
  const before = times(200, () => 0).map((_, number) => one.take(client(number)))
  assert.deepEqual(
    before.map((_, number) => other.take(client(number, 2_000 + number))),
    before,
  )
  assert.ok(new Set(before).size > 20)
  const gone = before[0]
  one.show(gone, down)
  const during = before.map((_, number) => one.take(client(number)))
  assert.notEqual(during[0], gone)
  for (const [number, id] of before.entries()) if (id !== gone) assert.equal(during[number], id)
  one.show(gone, up)
  assert.deepEqual(
    before.map((_, number) => one.take(client(number))),
    before,
  )
})

test('where a client connects to is asked for wherever it is hashed: for the group, for the backend, or for both', () => {
  const usesHash = (name: LocalityPolicyName, affinity: SessionAffinity): boolean =>
    start([{ count: 1 }], { locality: { name, affinity, minimumRingSize: 1 } }).chooser.usesHash
  assert.equal(usesHash('ROUND_ROBIN', 'NONE'), false)
  assert.equal(usesHash('MAGLEV', 'NONE'), true)
  assert.equal(usesHash('RING_HASH', 'NONE'), true)
  assert.equal(usesHash('ROUND_ROBIN', 'CLIENT_IP'), true)
  assert.equal(usesHash('MAGLEV', 'CLIENT_IP'), true)
})

test('a further attempt of a sticky client goes to another backend, and to its own group first', () => {
  const { chooser, another } = start([{ count: 3 }, { count: 3 }], MAGLEV)
  const first = chooser.first(CLIENT, SERVER)
  assert.ok(first !== undefined)
  const second = another([first.id], first.groupId)
  assert.ok(second !== undefined && second.id !== first.id)
  assert.equal(second.groupId, first.groupId)
})

test('an attempt elsewhere leaves the region, if there is another one to go to and no isolation', () => {
  const groups = [
    { count: 4, region: 'here' },
    { count: 2, region: 'here' },
    { count: 1, region: 'there' },
  ]
  const elsewhere = (options: TestPlanOptions, given = groups): number | undefined => {
    const { chooser } = start(given, { localRegion: 'here', ...options })
    const next = chooser.elsewhere([0, 1, 2], 0, CLIENT, SERVER)
    // The one after it is chosen as ever.
    assert.equal(chooser.another([0, 1, 2], 0, CLIENT, SERVER)?.id, 3)
    return next?.id
  }
  assert.equal(elsewhere({}), 6)
  assert.equal(elsewhere(MAGLEV), 6)
  assert.equal(elsewhere({}, groups.slice(0, 2)), 3)
  for (const isolation of ['NEAREST', 'STRICT'] as const) assert.equal(elsewhere({ spreading: { isolation } }), 3)
})

test('why a region was chosen: it is the nearest, or what was wrong with that one', () => {
  const groups = [
    { count: 2, region: 'here', maxConnections: 1 },
    { count: 1, region: 'there', maxConnections: 10 },
  ]
  const { take, reason, show, another, chooser } = start(groups, { localRegion: 'here' })
  take()
  assert.equal(reason(), 'nearest')
  take()
  assert.equal(reason(), 'full')
  show(0, down)
  show(1, down)
  take()
  assert.equal(reason(), 'unhealthy')
  show(0, up)
  show(1, up)
  chooser.first(CLIENT, SERVER)
  another([0, 1], 0)
  assert.equal(reason(), 'retry')
  const drained = start([{ ...groups[0], capacityScaler: 0 }, groups[1]], { localRegion: 'here' })
  drained.take()
  assert.equal(drained.reason(), 'drained')
  const preferred = start([groups[0], { ...groups[1], isPreferred: true }], { localRegion: 'here' })
  preferred.take()
  assert.equal(preferred.reason(), 'preferred')
  const spray = { localRegion: 'here', spreading: { algorithm: 'SPRAY_TO_WORLD' } } as const
  const sprayed = start([{ ...groups[0], maxConnections: 10 }, groups[1]], spray)
  assert.deepEqual(new Set(times(4, () => `${sprayed.take()} ${sprayed.reason()}`)).size, 3)
})

test('one choice more allocates nothing, whatever the policy and the number of backends', () => {
  for (const name of ['ROUND_ROBIN', 'MAGLEV', 'LEAST_REQUEST'] as const) {
    const locality = { name, affinity: name === 'MAGLEV' ? 'CLIENT_IP' : 'NONE', minimumRingSize: 1 } as const
    const { chooser } = start([{ count: 500 }, { count: 500 }], { locality })
    // V8 compiles what is hot when it has time, on a busy machine much later: until then it allocates numbers. A round in
    // which garbage was collected says nothing.
    let bytes = Number.NaN
    for (let round = 0; round < 200 && !(bytes >= 0 && bytes < 16); round++) {
      const before = process.memoryUsage().heapUsed
      for (let index = 0; index < 20_000; index++) chooser.first(CLIENT, SERVER)
      bytes = (process.memoryUsage().heapUsed - before) / 20_000
    }
    assert.ok(bytes < 16, `${name}: ${bytes} bytes for each`)
  }
})
