import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegionCode } from '../../telemetry/region-reasons.ts'
import { Availability } from './availability.ts'
import { BackendCounter, BackendTable, count, FRONTENDS_MAX, FrontendCounter, IdSpace } from './backend-table.ts'

const GROUP = 0

test('a backend keeps its id while its key has it, and begins down', () => {
  const table = new BackendTable(1)
  const first = table.takeBackend('service/group/a', GROUP)
  const second = table.takeBackend('service/group/b', GROUP)
  assert.notEqual(first, second)
  table.show(first, Availability.up)
  assert.equal(table.takeBackend('service/group/a', GROUP), first)
  assert.equal(Atomics.load(table.cells.availability, first), Availability.up)
  assert.equal(Atomics.load(table.cells.availability, second), Availability.down)
})

test('a backend that was released gets no further connections, and comes back under another id', () => {
  const table = new BackendTable(1)
  const id = table.takeBackend('a', GROUP)
  table.show(id, Availability.up)
  assert.equal(table.releaseBackend('a'), id)
  assert.equal(Atomics.load(table.cells.availability, id), Availability.draining)
  assert.notEqual(table.takeBackend('a', GROUP), id)
  assert.equal(table.releaseBackend('unknown'), undefined)
})

test('the version of a group changes with every availability of a backend of it, and only then', () => {
  const table = new BackendTable(1)
  const versions = (): number[] => [1, 2].map((group) => Atomics.load(table.cells.groupVersion, group))
  const [first, second] = [table.takeBackend('a', 1), table.takeBackend('b', 2)]
  assert.deepEqual(versions(), [0, 0])
  table.show(first, Availability.up)
  assert.deepEqual(versions(), [1, 0])
  table.show(first, Availability.up)
  assert.deepEqual(versions(), [1, 0])
  table.show(second, Availability.up)
  table.releaseBackend('b')
  assert.deepEqual(versions(), [1, 2])
})

test('a backend that keeps its id and comes back under another group counts for that one', () => {
  const table = new BackendTable(1)
  const id = table.takeBackend('a', 1)
  assert.equal(table.takeBackend('a', 2), id)
  table.show(id, Availability.up)
  assert.deepEqual(
    [1, 2].map((group) => Atomics.load(table.cells.groupVersion, group)),
    [0, 1],
  )
})

test('counters are the sum over all workers', () => {
  const table = new BackendTable(2)
  count(table.cells.counters[0], 3, BackendCounter.bytesFromClient, 1e12)
  count(table.cells.counters[1], 3, BackendCounter.bytesFromClient, 5)
  assert.equal(table.readBackend(3, BackendCounter.bytesFromClient), 1e12 + 5)
  assert.equal(table.readBackend(3, BackendCounter.bytesFromBackend), 0)
  count(table.cells.frontendCounters[1], FRONTENDS_MAX - 1, FrontendCounter.refused)
  assert.equal(table.readFrontend(FRONTENDS_MAX - 1, FrontendCounter.refused), 1)
  count(table.cells.groupCounters[0], 5, RegionCode.full)
  count(table.cells.groupCounters[1], 5, RegionCode.full, 2)
  assert.deepEqual([table.readGroup(5, RegionCode.full), table.readGroup(5, RegionCode.nearest)], [3, 0])
})

test('an id comes to another key only when all are taken and no connection uses it, and its counters begin at 0', () => {
  const open = new Int32Array(2)
  const counters = [new Float64Array(16)]
  const ids = new IdSpace('things', 2, open, counters)
  assert.deepEqual([ids.take('a'), ids.take('b'), ids.take('b')], [0, 1, 1])
  assert.throws(() => ids.take('c'), /There are more than 2 things/)
  count(counters[0], 0, FrontendCounter.retries, 7)
  open[0] = 1
  ids.release('a')
  assert.throws(() => ids.take('c'), /There are more than 2 things/)
  open[0] = 0
  assert.equal(ids.take('c'), 0)
  assert.equal(ids.read(0, FrontendCounter.retries), 0)
  count(counters[0], 0, FrontendCounter.retries)
  assert.equal(ids.read(0, FrontendCounter.retries), 1)
})

test('the id that was released first is used again first', () => {
  const ids = new IdSpace('things', 3, new Int32Array(3), [])
  for (const key of ['a', 'b', 'c']) ids.take(key)
  for (const key of ['b', 'a', 'c']) ids.release(key)
  assert.deepEqual([ids.take('d'), ids.take('e'), ids.take('f')], [1, 0, 2])
})
