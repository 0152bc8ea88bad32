import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enterService, leaveService, makeServiceCells, NO_CAP, ServiceCell } from './service-cells.ts'

test('a service has as many connections as it may and no more, and one that ends makes room', () => {
  const cells = makeServiceCells()
  assert.equal(cells[ServiceCell.openMax], NO_CAP)
  cells[ServiceCell.openMax] = 2
  assert.deepEqual([enterService(cells), enterService(cells), enterService(cells)], [true, true, false])
  assert.equal(cells[ServiceCell.open], 2)
  leaveService(cells)
  assert.deepEqual([enterService(cells), enterService(cells)], [true, false])
})
