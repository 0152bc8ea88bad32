import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Point } from './result.ts'
import { compareCosts, judgeRatios, median, medianInterval } from './statistics.ts'

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

test('the median is the middle value, or the mean of the two in the middle, in whatever order they come', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([10, 2, 4, 3]), 3.5)
})

test('the interval is that of the sign test: 95 % tables give these ranks', () => {
  // Order statistics for the median, two-sided 95 %: n, rank of the lower limit.
  for (const [count, rank] of [
    [6, 1],
    [8, 1],
    [9, 2],
    [11, 2],
    [12, 3],
    [20, 6],
    [30, 10],
  ] as const) {
    assert.deepEqual(medianInterval(upTo(count)), { low: rank, high: count + 1 - rank }, `${count} values`)
  }
})

test('five values are too few for an interval', () => {
  assert.equal(medianInterval(upTo(5)), undefined)
  assert.equal(judgeRatios([0.1, 0.1, 0.1, 0.1, 0.1]).verdict, 'not resolved')
})

test('"ahead" needs the whole interval below 1, "behind" the whole of it above', () => {
  assert.equal(judgeRatios([0.5, 0.6, 0.5, 0.7, 0.6, 0.5]).verdict, 'ahead')
  assert.equal(judgeRatios([0.5, 0.6, 0.5, 0.7, 0.6, 1.0]).verdict, 'not resolved')
  assert.equal(judgeRatios([1.5, 1.6, 1.5, 1.7, 1.6, 1.1]).verdict, 'behind')
  assert.equal(judgeRatios([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.4]).verdict, 'ahead', 'one outlier of nine')
})

test('costs are compared within their repetition, scenario and workload; what has no partner does not count', () => {
  const point = (target: string, repetition: number, cost: number, workload = 'up1'): Point => ({
    ...{ scenario: 'agent', target, workload, repetition, cost },
    ...{ rate: 1, p50Us: 0, p99Us: 0, errorCount: 0, stealShare: 0 },
  })
  const points = [
    ...[point('truepeer', 1, 10), point('peer', 1, 20), point('truepeer', 2, 30), point('peer', 2, 40)],
    ...[point('truepeer', 3, 1), point('peer', 4, 1), point('truepeer', 1, 9, 'up8'), point('peer', 1, 3, 'up8')],
    ...[point('truepeer', 5, 7), point('peer', 5, 0)],
  ]
  const ratio = compareCosts(points, { scenario: 'agent', workload: 'up1', subject: 'truepeer', other: 'peer' })
  assert.deepEqual(ratio, { median: 0.625, interval: undefined, pairCount: 2, verdict: 'not resolved' })
  assert.equal(
    compareCosts(points, { scenario: 'edge', workload: 'up1', subject: 'truepeer', other: 'peer' }),
    undefined,
  )
})
