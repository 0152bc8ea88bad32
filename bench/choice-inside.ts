// Measures inside private namespaces; choice.ts starts it.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChecked } from '../src/linux/run.ts'
import { parseChoiceOptions } from './choice-options.ts'
import { choiceTargets } from './choice-targets.ts'
import type { Point } from './result.ts'
import { LOAD_PROGRAM, Rig } from './rig.ts'
import { compareCosts, median } from './statistics.ts'
import { allWorkloads } from './workloads.ts'

const COMPILE_TIMEOUT_MS = 60_000

const { repetitions, secondsPerPoint } = parseChoiceOptions(process.argv.slice(2))
const workload = allWorkloads(1).find(({ name }) => name === 'connrate')
if (workload === undefined) throw new Error('There is no workload "connrate"')
const source = fileURLToPath(new URL('../../bench/load.c', import.meta.url))
mkdirSync(dirname(LOAD_PROGRAM), { recursive: true })
await runChecked('cc', ['-O2', '-Wall', '-Wextra', '-o', LOAD_PROGRAM, source], { timeoutMs: COMPILE_TIMEOUT_MS })

const targets = choiceTargets()
const points: Point[] = []
for (let repetition = 1; repetition <= repetitions; repetition++) {
  const rigs: Rig[] = []
  try {
    for (const target of targets) rigs.push(await Rig.start(target))
    for (const rig of rigs) await rig.warmUp()
    for (const rig of rigs) {
      const measurement = await rig.measure(workload, secondsPerPoint)
      const { name, scenario } = rig.target
      points.push({ scenario, target: name, workload: workload.name, repetition, ...measurement })
      console.log(`${repetition}/${repetitions} ${name.padEnd(17)} ${measurement.cost.toFixed(2)} ${workload.costUnit}`)
    }
  } finally {
    for (const rig of rigs) await rig.close()
  }
}

const [first, ...others] = targets.map(({ name }) => name)
const costOf = (name: string): number => median(points.filter(({ target }) => target === name).map(({ cost }) => cost))
console.log(`\n${first}: ${costOf(first).toFixed(2)} ${workload.costUnit}`)
for (const subject of others) {
  const ratio = compareCosts(points, { scenario: 'edge', workload: workload.name, subject, other: first })
  if (ratio === undefined) continue
  const { interval, verdict } = ratio
  const bounds = interval === undefined ? '' : `, ${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`
  console.log(`${subject}: ${costOf(subject).toFixed(2)}, ${ratio.median.toFixed(3)} times${bounds}: ${verdict}`)
}
