import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sample } from './figures.ts'
import { scaleTable } from './table.ts'

function sample(checkout: string, value: number): Sample {
  return { checkout, repetition: 1, figure: 'serviceBytes', value }
}

test('a row has the median of each checkout, and of two the ratio', () => {
  const samples = [sample('a', 4), sample('a', 8), sample('a', 5), sample('b', 0.5)]
  const [head, row, ...rest] = scaleTable(['a', 'b'], samples).split('\n')
  assert.match(head, /^ +unit +a +b +ratio$/)
  assert.match(row, /MB +5\.000 +0\.500 +0\.100$/)
  assert.deepEqual(rest, [], 'figures without samples are left out')
})

test('there is no ratio to a figure of nothing, nor for one checkout or three', () => {
  assert.match(scaleTable(['a', 'b'], [sample('a', 0), sample('b', 1)]), /0\.000 +1\.000 *$/)
  assert.doesNotMatch(scaleTable(['a'], [sample('a', 1)]), /ratio/)
  assert.doesNotMatch(scaleTable(['a', 'b', 'c'], [sample('a', 1)]), /ratio/)
})
