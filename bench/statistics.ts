import type { Point, Scenario } from './result.ts'

/** What paired measurements say of the ratio truepeer / other; below 1 truepeer is cheaper. */
export type Ratio = {
  readonly median: number
  /** Holds the true median with at least 95 % confidence; undefined when there are too few pairs to say so. */
  readonly interval: { readonly low: number; readonly high: number } | undefined
  readonly pairCount: number
  readonly verdict: 'ahead' | 'behind' | 'not resolved'
}

const CONFIDENCE = 0.95

/** The median of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * The interval of the median that the sign test does not reject: between two order statistics, whatever the
 * distribution. Six values are the fewest that give one.
 */
export function medianInterval(values: readonly number[]): { low: number; high: number } | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  // The chance that at most `rank` values lie below the true median is a sum of binomial probabilities.
  let probability = 0.5 ** sorted.length
  let tail = 0
  let rank = -1
  for (let k = 0; k < sorted.length; k++) {
    tail += probability
    if (2 * tail > 1 - CONFIDENCE) break
    rank = k
    probability *= (sorted.length - k) / (k + 1)
  }
  return rank < 0 ? undefined : { low: sorted[rank], high: sorted[sorted.length - 1 - rank] }
}

/** Judges ratios: "ahead" only if the whole interval lies below 1, "behind" only if it lies above. */
export function judgeRatios(ratios: readonly number[]): Ratio {
  const interval = medianInterval(ratios)
  let verdict: Ratio['verdict'] = 'not resolved'
  if (interval !== undefined && interval.high < 1) verdict = 'ahead'
  if (interval !== undefined && interval.low > 1) verdict = 'behind'
  return { median: median(ratios), interval, pairCount: ratios.length, verdict }
}

/** Compares the costs of two targets, pair by pair of the same repetition; undefined without a pair. */
export function compareCosts(
  points: readonly Point[],
  where: { readonly scenario: Scenario; readonly workload: string; readonly subject: string; readonly other: string },
): Ratio | undefined {
  const here = points.filter((point) => point.scenario === where.scenario && point.workload === where.workload)
  const others = new Map(here.flatMap((p) => (p.target === where.other ? [[p.repetition, p.cost] as const] : [])))
  const ratios = here.flatMap((point) => {
    const other = others.get(point.repetition)
    // A cost of zero is one below the resolution of the clock: no ratio can be made of it.
    return point.target === where.subject && other !== undefined && other > 0 && point.cost > 0
      ? [point.cost / other]
      : []
  })
  return ratios.length === 0 ? undefined : judgeRatios(ratios)
}
