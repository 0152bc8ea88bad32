import { parseArgs } from 'node:util'

/** What the command line of the benchmark says. */
export type ChoiceOptions = { readonly repetitions: number; readonly secondsPerPoint: number }

/** The text for `--help` and for a wrong command line. */
export const CHOICE_USAGE = `usage: npm run bench:choice -- [options]
What a new connection costs an edge with 1, 100 and 1000 backends in 50 groups, by ROUND_ROBIN and by MAGLEV.
  --reps N       repetitions, 1 to 99 (default 9; intervals need at least 6)
  --seconds S    per point, 0.1 to 30 (default 2)`

/** @throws Error with one sentence when the arguments make no sense */
export function parseChoiceOptions(args: readonly string[]): ChoiceOptions {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    // The last is added on the way into the namespaces.
    args: args.filter((arg) => !arg.startsWith('--outside-network=')),
    options: { reps: text, seconds: text },
  })
  const numberIn = (flag: string, given: string, low: number, high: number): number => {
    const value = Number(given)
    if (given.trim() !== '' && value >= low && value <= high) return value
    throw new Error(`${flag} "${given}" is not a number from ${low} to ${high}`)
  }
  return {
    repetitions: Math.round(numberIn('--reps', values.reps ?? '9', 1, 99)),
    secondsPerPoint: numberIn('--seconds', values.seconds ?? '2', 0.1, 30),
  }
}
