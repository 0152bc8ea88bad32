import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeNewestCells, NewestSockets } from './newest-sockets.ts'

test('a worker is overtaken by another one that has opened a socket since, for that flow alone', () => {
  const cells = makeNewestCells(2)
  const [one, other] = [new NewestSockets(cells, 0), new NewestSockets(cells, 1)]
  const cell = one.claim(7)
  const second = one.claim(8)
  assert.notEqual(cell, second)
  assert.ok(!one.isOvertaken(cell))
  assert.equal(other.claim(7), cell)
  assert.ok(one.isOvertaken(cell))
  assert.ok(!one.isOvertaken(second))
  one.claimCell(cell)
  assert.deepEqual([one.isOvertaken(cell), other.isOvertaken(cell)], [false, true])
})

test('a single worker is overtaken by nobody', () => {
  const only = new NewestSockets(makeNewestCells(1), 0)
  assert.equal(only.claim(7), -1)
  assert.ok(!only.isOvertaken(-1))
})
