import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** How large the load balancer is that is measured. */
export type Scale = {
  readonly backends: number
  readonly groups: number
  readonly frontends: number
  readonly services: number
  readonly workers: number
}

/** What the command line of the benchmark says. */
export type ScaleOptions = {
  /** Directories of built checkouts, measured in turn. */
  readonly checkouts: readonly string[]
  readonly scale: Scale
  readonly repetitions: number
  /** Changes of each kind in a repetition. */
  readonly changes: number
  /** Changes of one backend's health in a repetition. */
  readonly rounds: number
  /** For how long an edge is watched that has nothing to do. */
  readonly quietSeconds: number
  readonly hasController: boolean
  /** No further repetition begins after that. */
  readonly minutesMax: number
  readonly jsonPath: string | undefined
}

/** The text for `--help` and for a wrong command line. */
export const SCALE_USAGE = `usage: npm run bench:scale -- [options]
  --checkout DIR      a built checkout to measure; again for another, to compare both (default: this one)
  --backends N        in all services together, 10 to 65000 (default 10000)
  --groups N          dealt to the services in turn (default 10)
  --frontends N       dealt to the services in turn, at most 4000 (default 100)
  --services N        backend services (default 1)
  --workers N         of the edge (default 2)
  --reps N            repetitions, in each of which the checkouts take turns (default 3)
  --changes N         changes of each kind in a repetition (default 3)
  --rounds N          changes of one backend's health in a repetition (default 20)
  --quiet-seconds S   for how long an edge with nothing to do is watched (default 20)
  --no-controller     leaves out what needs a controller
  --minutes N         begins no further repetition after that (default 30)
  --json FILE         writes every single figure there`

const THIS_CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url))
const PROGRAM = 'bin/truepeer'
const BUILT_PROGRAM = 'dist/src/bin/truepeer.js'

/** @throws Error with one sentence when the arguments make no sense */
export function parseScaleOptions(args: readonly string[]): ScaleOptions {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    // The last is added on the way into the namespaces.
    args: args.filter((arg) => !arg.startsWith('--outside-network=')),
    options: {
      ...{ backends: text, groups: text, frontends: text, services: text, workers: text },
      ...{ reps: text, changes: text, rounds: text, 'quiet-seconds': text, minutes: text, json: text },
      'no-controller': { type: 'boolean' },
      checkout: { type: 'string', multiple: true },
    },
  })
  const services = wholeIn('--services', values.services ?? '1', 1, 4_000)
  const groups = wholeIn('--groups', values.groups ?? String(Math.max(10, services)), services, 10_000)
  return {
    checkouts: (values.checkout ?? [THIS_CHECKOUT]).map(builtCheckout),
    scale: {
      services,
      groups,
      backends: wholeIn('--backends', values.backends ?? '10000', Math.max(10, groups), 65_000),
      frontends: wholeIn('--frontends', values.frontends ?? String(Math.max(100, services)), services, 4_000),
      workers: wholeIn('--workers', values.workers ?? '2', 1, 64),
    },
    repetitions: wholeIn('--reps', values.reps ?? '3', 1, 99),
    changes: wholeIn('--changes', values.changes ?? '3', 1, 99),
    rounds: wholeIn('--rounds', values.rounds ?? '20', 1, 999),
    quietSeconds: wholeIn('--quiet-seconds', values['quiet-seconds'] ?? '20', 1, 600),
    hasController: values['no-controller'] !== true,
    minutesMax: wholeIn('--minutes', values.minutes ?? '30', 1, 1_440),
    jsonPath: values.json,
  }
}

function builtCheckout(directory: string): string {
  const path = resolve(directory)
  if (!existsSync(join(path, PROGRAM))) throw new Error(`--checkout "${directory}" has no ${PROGRAM}`)
  if (existsSync(join(path, BUILT_PROGRAM))) return path
  throw new Error(`--checkout "${directory}" is not built; run "npm ci && npm run build" there`)
}

function wholeIn(flag: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= low && value <= high) return value
  throw new Error(`${flag} "${text}" is not a whole number from ${low} to ${high}`)
}
