import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PortCells } from './port-cells.ts'

test('a port has one cell as long as it is configured or has connections', () => {
  const cells = new PortCells()
  const [first, second] = [cells.of('first'), cells.of('second')]
  assert.notEqual(first, second)
  second[0] = 1
  cells.keep(new Set())
  assert.equal(cells.of('second'), second, 'it has a connection')
  const anew = cells.of('first')
  assert.notEqual(anew, first)
  second[0] = 0
  cells.keep(new Set(['first']))
  assert.equal(cells.of('first'), anew)
  assert.notEqual(cells.of('second'), second)
})
