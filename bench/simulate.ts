// The program behind "npm run simulate": src/balancing in a world of its own, on a virtual clock.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drawChart } from './simulate/chart.ts'
import { dayOnEarth } from './simulate/day.ts'
import { writeReport } from './simulate/report.ts'
import { SMALL_SCENARIOS } from './simulate/small-scenarios.ts'
import { simulate } from './simulate/world.ts'

const scenarios = [...SMALL_SCENARIOS, dayOnEarth()]
const usage = `usage: npm run simulate -- SCENARIO [--write]

${scenarios.map(({ name, says }) => `  ${name.padEnd(16)}${says}`).join('\n')}

Prints where the connections went. --write draws the scenario into docs/guides/balancing-SCENARIO.svg.`

const [name, ...flags] = process.argv.slice(2)
const scenario = scenarios.find((one) => one.name === name)
if (name === '--help') {
  console.log(usage)
} else if (scenario === undefined || flags.some((flag) => flag !== '--write')) {
  console.error(scenario === undefined && name !== undefined ? `there is no scenario "${name}"; ${usage}` : usage)
  process.exitCode = 2
} else {
  const result = simulate(scenario)
  console.log(writeReport(result))
  if (flags.includes('--write')) {
    const file = fileURLToPath(new URL(`../../docs/guides/balancing-${name}.svg`, import.meta.url))
    writeFileSync(file, drawChart(scenario.chart(result)))
    console.log(`wrote ${file}`)
  }
}
