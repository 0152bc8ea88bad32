// Measures inside private namespaces and prints the table; ../scale.ts starts it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describeMachine } from '../machine.ts'
import { startApp } from './clients.ts'
import { IDLE_SECONDS } from './configuration.ts'
import { FIGURES, type Figure, type Sample } from './figures.ts'
import { MeasuredController } from './measured-controller.ts'
import { parseScaleOptions } from './options.ts'
import { measureWithController, measureWithFile } from './scenarios.ts'
import { scaleTable } from './table.ts'

const options = parseScaleOptions(process.argv.slice(2))
const names = options.checkouts.map((path, index) => (index === 0 ? '' : `${index + 1}:`) + basename(path))
const samples: Sample[] = []
const controllers: MeasuredController[] = []
const root = mkdtempSync(join(tmpdir(), 'truepeer-scale-'))
const app = await startApp()
try {
  for (const [index, checkout] of options.checkouts.entries()) {
    if (!options.hasController) continue
    say(`${names[index]}: filling its controller`)
    controllers.push(await MeasuredController.start(checkout, folderFor(`controller-${index}`), options.scale))
  }
  const deadlineMs = performance.now() + options.minutesMax * 60_000
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    if (performance.now() > deadlineMs) {
      say(`--minutes ${options.minutesMax} have passed: ${repetition - 1} of ${options.repetitions} repetitions`)
      break
    }
    await repeat(repetition)
  }
} finally {
  for (const controller of controllers) await controller.stop()
  app.close()
  rmSync(root, { recursive: true })
}
const { scale } = options
say(
  `\n${scale.backends} backends in ${scale.groups} groups of ${scale.services} services, ${scale.frontends} frontends, ${scale.workers} workers`,
)
say(`medians of ${new Set(samples.map(({ repetition }) => repetition)).size} repetitions\n`)
say(scaleTable(names, samples))

/** Writes what there is so far: a run that is ended early is not lost. */
function save(): void {
  if (options.jsonPath === undefined) return
  const surroundings = { date: new Date().toISOString(), machine: describeMachine(), node: process.version }
  const result = { ...surroundings, ...options, names, figures: FIGURES, samples }
  writeFileSync(options.jsonPath, `${JSON.stringify(result, undefined, 1)}\n`)
}

/** The checkouts take turns, scenario by scenario. */
async function repeat(repetition: number): Promise<void> {
  const quiet: number[] = []
  const sceneOf = (index: number, kind: string) => ({
    options,
    folder: folderFor(`${kind}-${index}-${repetition}`),
    record: (figure: Figure, value: number) => void samples.push({ checkout: names[index], repetition, figure, value }),
  })
  for (const [index, checkout] of options.checkouts.entries()) {
    say(`${repetition}/${options.repetitions} ${names[index]}: from a file`)
    quiet.push(await measureWithFile(checkout, sceneOf(index, 'file')))
    save()
  }
  for (const [index, controller] of controllers.entries()) {
    say(`${repetition}/${options.repetitions} ${names[index]}: from a controller`)
    // The timeout before is another one, so that every change is one.
    const firstIdleSeconds = IDLE_SECONDS + repetition * 1_000
    const before = { quietFile: quiet[index], firstIdleSeconds }
    await measureWithController(options.checkouts[index], controller, sceneOf(index, 'follower'), before)
    save()
  }
}

function folderFor(name: string): string {
  const folder = join(root, name)
  mkdirSync(folder)
  return folder
}

function say(line: string): void {
  console.log(line)
}
