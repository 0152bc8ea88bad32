// Measures inside private namespaces and writes the page; compare.ts starts it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChecked, runProgram } from '../src/linux/run.ts'
import { describeMachine, ownVersions, versionOf } from './machine.ts'
import { type Options, parseOptions } from './options.ts'
import { writePage } from './page.ts'
import { writeRatioPlot } from './ratio-plot.ts'
import type { Point, Result } from './result.ts'
import { cpus, LOAD_PROGRAM, Rig, TLS_LOAD_PROGRAM } from './rig.ts'
import { agentAsUser, allTargets, FLOOR_PROGRAM, type Target, whyMissing } from './targets.ts'
import type { Workload } from './workloads.ts'

const COMPILE_TIMEOUT_MS = 60_000

const args = process.argv.slice(2)
const options = parseOptions(args)
const gaps: string[] = []
const points: Point[] = []

if (options.renderPath === undefined) {
  writeResult(options, await measureAll())
} else {
  writeResult(options, JSON.parse(readFileSync(options.renderPath, 'utf8')) as Result)
}

function writeResult({ outputDirectory }: Options, result: Result): void {
  mkdirSync(outputDirectory, { recursive: true })
  writeFileSync(join(outputDirectory, 'performance.json'), resultText(result))
  for (const scenario of new Set(result.targets.map((target) => target.scenario))) {
    writeFileSync(join(outputDirectory, `performance-${scenario}.svg`), writeRatioPlot(result, scenario))
  }
  writeFileSync(join(outputDirectory, 'performance.md'), writePage(result))
  console.log(`written: performance.md, its plots and performance.json in ${outputDirectory}`)
}

/** One point per line, six digits per figure: a file that a reader can compare with the one before. */
function resultText({ points: all, ...rest }: Result): string {
  const digits = (_key: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)
  const lines = all.map((point) => JSON.stringify(point, digits)).join(',\n')
  return `${JSON.stringify(rest, undefined, 1).replace(/\n\}$/, '')},\n "points": [\n${lines}\n]}\n`
}

async function measureAll(): Promise<Result> {
  await compile('load.c', LOAD_PROGRAM)
  const hasTls = options.scenarios.includes('edge-tls') && (await compileWithTls())
  await compile('relay-floor.c', FLOOR_PROGRAM)
  if (cpus === undefined) note('there is one CPU only: proxy and load share it')
  const versions = await ownVersions()
  const targets: Target[] = []
  for (const target of await wantedTargets()) {
    targets.push(target)
    if (target.kind === 'peer') versions[target.program] ??= await versionOf(target)
  }
  const deadlineMs = Date.now() + options.minutesMax * 60_000
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    if (Date.now() > deadlineMs) {
      note(`--minutes ${options.minutesMax} have passed: ${repetition - 1} of ${options.repetitions} repetitions`)
      break
    }
    for (const scenario of options.scenarios) {
      if (scenario === 'edge-tls' && !hasTls) continue
      await repeat(
        targets.filter((target) => target.scenario === scenario),
        repetition,
      )
    }
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    command: ['npm run bench --', ...args.filter((arg) => !arg.startsWith('--outside-network='))].join(' '),
    machine: describeMachine(),
    versions,
    secondsPerPoint: options.secondsPerPoint,
    idleConnections: options.idleConnections,
    isPinned: cpus !== undefined,
    targets: targets
      .map(({ scenario, name, kind }) => ({ scenario, name, kind }))
      .filter((target) => points.some((p) => p.scenario === target.scenario && p.target === target.name)),
    gaps: [...new Set(gaps)],
    points,
  }
}

/** truepeer, and of the others those that are wanted and installed. */
async function wantedTargets(): Promise<readonly Target[]> {
  const names = new Set<string>()
  for (const target of allTargets('agent')) {
    const { exitCode } = await runProgram('sh', ['-c', 'command -v "$1"', 'sh', target.program])
    if (exitCode === 0) names.add(target.program)
  }
  const targets = options.scenarios.flatMap((scenario) => allTargets(scenario))
  const wanted = targets.filter((target) => {
    if (target.kind === 'truepeer') return true
    if (options.peers?.includes(target.name) === false) return false
    const reason = whyMissing(target, (name) => names.has(name))
    if (reason !== undefined) note(`${target.scenario}, ${target.name}: ${reason}`)
    return reason === undefined
  })
  if (options.user === undefined || !options.scenarios.includes('agent')) return wanted
  const [userId, groupId] = await Promise.all(['-u', '-g'].map((flag) => runChecked('id', [flag, `${options.user}`])))
  return [...wanted, agentAsUser(options.user, userId.trim(), groupId.trim())]
}

/** One repetition: all proxies of a scenario run side by side, each on its own host, and take turns. */
async function repeat(targets: readonly Target[], repetition: number): Promise<void> {
  const rigs: Rig[] = []
  try {
    for (const target of targets) {
      const rig = await start(target)
      if (rig !== undefined) rigs.push(rig)
    }
    const active = options.workloads.filter(({ command }) => command !== 'idle')
    for (const rig of active.length > 0 ? rigs : []) await warmUp(rig)
    for (const workload of active) {
      for (const rig of rigs) await measure(rig, workload, repetition)
    }
  } finally {
    for (const rig of rigs) await rig.close()
  }
  // Memory that was used once stays with a process: idle connections are measured in new ones.
  for (const workload of options.workloads.filter(({ command }) => command === 'idle')) {
    for (const target of targets) {
      if (target.isBulkOnly) continue
      const rig = await start(target)
      if (rig === undefined) continue
      await measure(rig, workload, repetition)
      await rig.close()
    }
  }
}

async function start(target: Target): Promise<Rig | undefined> {
  try {
    return await Rig.start(target)
  } catch (error) {
    note(`${target.scenario}, ${target.name}: ${messageOf(error)}`)
    return undefined
  }
}

async function warmUp(rig: Rig): Promise<void> {
  try {
    await rig.warmUp()
  } catch (error) {
    note(`${rig.target.scenario}, warm-up, ${rig.target.name}: ${messageOf(error)}`)
  }
}

async function measure(rig: Rig, workload: Workload, repetition: number): Promise<void> {
  const { scenario, name: target, isBulkOnly = false } = rig.target
  if (isBulkOnly && !workload.isBulk) return
  try {
    const measurement = await rig.measure(workload, options.secondsPerPoint)
    points.push({ scenario, target, workload: workload.name, repetition, ...measurement })
    const { cost, rate } = measurement
    const place = `${repetition}/${options.repetitions} ${scenario.padEnd(8)} ${workload.name.padEnd(8)}`
    console.log(
      `${place} ${target.padEnd(20)} ${cost.toFixed(2)} ${workload.costUnit}, ${rate.toFixed(0)} ${workload.rateUnit}`,
    )
  } catch (error) {
    note(`${scenario}, ${workload.name}, ${target}: ${messageOf(error)}`)
  }
}

async function compileWithTls(): Promise<boolean> {
  try {
    await compile('load.c', TLS_LOAD_PROGRAM, ['-DWITH_TLS'], ['-lssl', '-lcrypto'])
    return true
  } catch {
    note('edge-tls: its clients cannot be compiled; install libssl-dev')
    return false
  }
}

async function compile(
  source: string,
  program: string,
  flags: readonly string[] = [],
  libraries: readonly string[] = [],
): Promise<void> {
  // The sources are not copied to dist/, where this file is.
  const path = fileURLToPath(new URL(`../../bench/${source}`, import.meta.url))
  mkdirSync(dirname(program), { recursive: true })
  const words = ['-O2', '-Wall', '-Wextra', ...flags, '-o', program, path, ...libraries]
  await runChecked('cc', words, { timeoutMs: COMPILE_TIMEOUT_MS })
}

function note(gap: string): void {
  console.log(`not measured: ${gap}`)
  gaps.push(gap)
}

/** The first line, without the folder of this checkout: the rest of a message is the output of programs. */
function messageOf(error: unknown): string {
  const line = error instanceof Error ? error.message.split('\n')[0] : String(error)
  return line.replaceAll(fileURLToPath(new URL('../..', import.meta.url)), '')
}
