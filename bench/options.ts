import { parseArgs } from 'node:util'
import { SCENARIOS, type Scenario } from './result.ts'
import { allWorkloads, type Workload } from './workloads.ts'

/** What the command line of the comparison says. */
export type Options = {
  readonly scenarios: readonly Scenario[]
  readonly workloads: readonly Workload[]
  readonly repetitions: number
  readonly secondsPerPoint: number
  /** Undefined: all that are installed. */
  readonly peers: readonly string[] | undefined
  readonly outputDirectory: string
  /** The user as whom the agent is measured once more in bulk, with CAP_NET_RAW and nothing else. */
  readonly user: string | undefined
  readonly idleConnections: number
  readonly minutesMax: number
  /** A result to make the page from again, instead of measuring. */
  readonly renderPath: string | undefined
}

/** The text for `--help` and for a wrong command line. */
export const USAGE = `usage: npm run bench -- [options]
  --scenario LIST          agent,edge,edge-tls: which halves of the chain (default: all)
  --workloads LIST         lat1,pp64,pp512,connrate,up1,down1,up8,down8,idle (default: all)
  --reps N                 repetitions, 1 to 99 (default 9; intervals need at least 6)
  --seconds S              per point, 0.1 to 30 (default 2)
  --peers LIST             haproxy,haproxy-splice,nginx,nginx-64k,go-mmproxy,floor (default: all that are installed)
  --user NAME              measures the agent in bulk also as this user with CAP_NET_RAW
  --idle-connections N     10 to 20000 (default 3000)
  --minutes N              begins no further repetition after that (default 120)
  --out DIR                for performance.md, performance.json and the plots (default docs)
  --render FILE            writes the page again from a performance.json; measures nothing`

/** @throws Error with one sentence when the arguments make no sense */
export function parseOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    // The last is added on the way into the namespaces.
    args: args.filter((arg) => !arg.startsWith('--outside-network=')),
    options: {
      ...{ scenario: text, workloads: text, reps: text, seconds: text, peers: text, user: text, out: text },
      ...{ 'idle-connections': text, minutes: text, render: text },
    },
  })
  const idleConnections = numberIn('--idle-connections', values['idle-connections'] ?? '3000', 10, 20_000)
  const workloads = allWorkloads(idleConnections)
  return {
    scenarios: choose('--scenario', values.scenario ?? SCENARIOS.join(), SCENARIOS),
    workloads: choose(
      '--workloads',
      values.workloads,
      workloads.map((workload) => workload.name),
    ).flatMap((name) => workloads.filter((workload) => workload.name === name)),
    repetitions: Math.round(numberIn('--reps', values.reps ?? '9', 1, 99)),
    secondsPerPoint: numberIn('--seconds', values.seconds ?? '2', 0.1, 30),
    peers: values.peers?.split(','),
    outputDirectory: values.out ?? 'docs',
    user: values.user,
    idleConnections,
    minutesMax: numberIn('--minutes', values.minutes ?? '120', 1, 1_440),
    renderPath: values.render,
  }
}

function numberIn(flag: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= low && value <= high) return value
  throw new Error(`${flag} "${text}" is not a number from ${low} to ${high}`)
}

function choose<T extends string>(flag: string, text: string | undefined, known: readonly T[]): readonly T[] {
  if (text === undefined) return known
  return text.split(',').map((word) => {
    const found = known.find((name) => name === word)
    if (found === undefined) throw new Error(`${flag} "${word}" is none of ${known.join(', ')}`)
    return found
  })
}
