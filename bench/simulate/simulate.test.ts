import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { drawChart } from './chart.ts'
import { writeReport } from './report.ts'
import type { Result } from './result.ts'
import { SMALL_SCENARIOS } from './small-scenarios.ts'
import { simulate } from './world.ts'

const results = new Map(SMALL_SCENARIOS.map((scenario) => [scenario.name, simulate(scenario)]))

function resultOf(name: string): Result {
  const result = results.get(name)
  assert.ok(result, name)
  return result
}

/** The part of the first edge's connections that a region gets, from one step up to and without another. */
function partServed(result: Result, region: number, from: number, to: number): number {
  let [here, all] = [0, 0]
  for (let step = from; step < to; step++) {
    for (let index = 0; index <= result.regions.length; index++) {
      all += result.served(step, 0, index)
      if (index === region) here += result.served(step, 0, index)
    }
  }
  return here / all
}

test('the plots of the guide are those that the policies draw: "npm run simulate -- SCENARIO --write" after a change', () => {
  for (const { name, chart } of SMALL_SCENARIOS) {
    const file = new URL(`../../../docs/guides/balancing-${name}.svg`, import.meta.url)
    assert.equal(readFileSync(file, 'utf8'), drawChart(chart(resultOf(name))), name)
  }
})

test('region-fails: connections fail until probes have found out, then the next region has them, and then the first', () => {
  const result = resultOf('region-fails')
  const failed = result.regions.length
  assert.equal(partServed(result, 0, 0, 60), 1)
  assert.equal(partServed(result, failed, 60, 70), 1)
  assert.equal(partServed(result, 1, 70, 160), 1)
  assert.equal(partServed(result, 0, 160, 240), 1)
})

test('backends-fail: nothing leaves down to 70 % healthy, then the part that is missing does', () => {
  const result = resultOf('backends-fail')
  for (let unhealthy = 0; unhealthy <= 100; unhealthy++) {
    const part = partServed(result, 0, unhealthy, unhealthy + 1)
    const expected = Math.min(1, (100 - unhealthy) / 70)
    assert.ok(Math.abs(part - expected) <= 0.02, `${unhealthy}: ${part}, ${expected}`)
  }
})

test('region-is-full: the region stays at its target, exactly the excess leaves, and everything comes back', () => {
  const result = resultOf('region-is-full')
  assert.equal(partServed(result, 1, 0, 120), 0)
  let average = 0
  for (let step = 240; step < 420; step++) {
    average += result.utilization(step, 0) / 180
    assert.ok(result.utilization(step, 0) < 0.86, `${step}: ${result.utilization(step, 0)}`)
  }
  assert.ok(Math.abs(average - 0.8) < 0.02, `${average}`)
  // 16 of 320 connections end each second, and 24 come.
  assert.ok(Math.abs(partServed(result, 1, 240, 420) - 1 / 3) < 0.03)
  assert.equal(partServed(result, 1, 450, 600), 0)
})

test('shared-target: two edges together keep within the target, fill it, and both have a part of it', () => {
  const result = resultOf('shared-target')
  for (let step = 0; step < result.steps; step++) {
    assert.ok(result.open(step, 0) <= 200, `${step}`)
    if (step >= 40) assert.ok(result.open(step, 0) > 180, `${step}: ${result.open(step, 0)}`)
  }
  assert.ok(result.openOfEdge(239, 1, 0) > 20)
})

test('the report has a line for each edge, whose parts come to all of its connections', () => {
  const report = writeReport(resultOf('region-fails'))
  assert.match(report, /^us-central1 +7200 +58\.3 % +4\.2 % +\d+ {2}europe-west1 37\.5 %$/m)
  assert.match(report, /^all edges: 7200 connections, 58\.33 % in the own region, 4\.17 % failed$/m)
})
