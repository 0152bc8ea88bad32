import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatEndpoint } from '../../address/endpoint.ts'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { type TestGroup, testGroups } from '../test-edge.ts'
import { Availability } from './availability.ts'
import { type BackendCells, makeCells, setAvailability } from './backend-table.ts'
import { BackendChooser, type Candidate } from './choose-backend.ts'
import { compilePlan } from './plan.ts'

const { down, up, full, draining, leaving } = Availability

const CLIENT = endpointOf('192.0.2.7:1007')

/** A chooser over these groups, all backends up; its connections stay open. */
function start(groups: readonly TestGroup[], localRegion?: string, turn = 0) {
  const described = testGroups(groups, (id) => ({ address: '127.0.0.1', port: id + 1 }))
  const cells = makeCells(1)
  const groupOf = new Map(
    described.flatMap(({ id, backendIds }) => backendIds.map((backend) => [backend, id] as const)),
  )
  const show = (id: number, value: Availability): void => setAvailability(cells, id, groupOf.get(id) ?? -1, value)
  for (const id of groupOf.keys()) show(id, up)
  const chooser = new BackendChooser(compilePlan(described, localRegion), cells, turn)
  const take = (): number => occupy(cells, chooser.first(CLIENT))
  return { cells, chooser, take, show }
}

function occupy(cells: BackendCells, candidate: Candidate | undefined): number {
  if (candidate === undefined) return -1
  Atomics.add(cells.groupOpen, candidate.groupId, 1)
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
    [0, 1, 2, 3].map((turn) => start([{ count: 3 }], undefined, turn).take()),
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
    'here',
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
  assert.deepEqual(countEach(times(4, start(groups, 'elsewhere').take), 2), [2, 2])
  assert.deepEqual(countEach(times(4, start(groups).take), 2), [2, 2])
})

test('a full backend gets connections only if its group has no other and every group is full', () => {
  const { take, show } = start([{ count: 2 }, { count: 2 }])
  show(0, full)
  assert.deepEqual(countEach(times(90, take), 4)[0], 0)
  show(1, full)
  assert.deepEqual(countEach(times(10, take), 4), [0, 0, 5, 5])
  show(2, full)
  show(3, full)
  assert.deepEqual(countEach(times(8, take), 4), [2, 2, 2, 2])
  show(2, down)
  show(3, down)
  assert.deepEqual(countEach(times(8, take), 4), [4, 4, 0, 0])
})

test('after a failure the same group comes first, then the others, each backend once', () => {
  const { chooser } = start([{ count: 2 }, { count: 2 }])
  const tried: number[] = []
  for (let next = chooser.first(CLIENT); next !== undefined; next = chooser.another(tried, next.groupId)) {
    tried.push(next.id)
  }
  assert.deepEqual([...tried].sort(), [0, 1, 2, 3])
  assert.deepEqual(new Set(tried.slice(0, 2)), new Set([0, 1]))
  assert.equal(chooser.hasAnother(tried), false)
})

test('after a failure a full backend is better than none', () => {
  const { chooser, show } = start([{ count: 2 }])
  show(1, full)
  assert.equal(chooser.first(CLIENT)?.id, 0)
  assert.equal(chooser.hasAnother([0]), true)
  assert.equal(chooser.another([0], 0)?.id, 1)
})

test('a backend that comes up while others are tried is tried as well', () => {
  const { chooser, show } = start([{ count: 2 }])
  show(1, down)
  assert.equal(chooser.hasAnother([0]), false)
  show(1, up)
  assert.equal(chooser.another([0], 0)?.id, 1)
})

test('a backend has the name of its group before its own', () => {
  const { chooser } = start([{ count: 2, name: 'us-central1-b/my-group' }])
  assert.equal(chooser.nameOf(1, 0), 'us-central1-b/my-group/backend-1')
  assert.equal(chooser.nameOf(7, 0), undefined)
  assert.equal(chooser.nameOf(0, 7), undefined)
})

test('a candidate is the same object each time, with the endpoint of its backend in either family', () => {
  const described = testGroups([{ count: 2 }], (id) => ({ address: ['192.0.2.9', '2001:db8::9'][id], port: 65_535 }))
  const cells = makeCells(1)
  for (const id of [0, 1]) setAvailability(cells, id, 0, up)
  const chooser = new BackendChooser(compilePlan(described, undefined), cells, 0)
  const taken = times(4, () => chooser.first(CLIENT))
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
  const { chooser, take, show } = start([{ count: 2 }, { count: 2 }])
  show(0, leaving)
  show(1, down)
  show(2, leaving)
  assert.deepEqual(times(3, take), [3, 3, 3])
  show(3, draining)
  assert.equal(take(), 0)
  assert.equal(chooser.hasAnother([0]), true)
  assert.equal(chooser.another([0], 0)?.id, 2)
  assert.equal(chooser.hasAnother([0, 2]), false)
  assert.equal(chooser.another([0, 2], 0), undefined)
})
