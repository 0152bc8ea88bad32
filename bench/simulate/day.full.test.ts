import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { drawChart } from './chart.ts'
import { dayOnEarth } from './day.ts'
import { simulate } from './world.ts'

test('a day on Earth: the plot of the guide is what the policies draw, and few connections leave a region with room', () => {
  const scenario = dayOnEarth()
  const result = simulate(scenario)
  const file = new URL('../../../docs/guides/balancing-day.svg', import.meta.url)
  assert.equal(readFileSync(file, 'utf8'), drawChart(scenario.chart(result)))
  let [all, home] = [0, 0]
  for (const [edge, { region: own }] of scenario.edges.entries()) {
    for (const [index, region] of result.regions.entries()) {
      const served = result.sum((step) => result.served(step, edge, index))
      all += served
      if (region === own) home += served
    }
  }
  assert.ok(home / all > 0.99, `${home / all}`)
})
