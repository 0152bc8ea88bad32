/** When a backend counts as up and when as down (Compute Engine's healthyThreshold and unhealthyThreshold). */
export type HealthThresholds = {
  /** Successes in a row that make an unhealthy backend healthy. */
  readonly healthyThreshold: number
  /** Failures in a row that make a healthy backend unhealthy. */
  readonly unhealthyThreshold: number
}

/** What the probes of a backend have said so far: nothing before the first. */
export type Verdict = {
  readonly isHealthy: boolean | undefined
  /** Results in a row that speak against `isHealthy`. */
  readonly against: number
}

export const NO_VERDICT: Verdict = { isHealthy: undefined, against: 0 }

/** The verdict after one more probe: the first result decides, later changes need their threshold. */
export function afterProbe(verdict: Verdict, hasSucceeded: boolean, thresholds: HealthThresholds): Verdict {
  if (verdict.isHealthy === undefined) return { isHealthy: hasSucceeded, against: 0 }
  if (verdict.isHealthy === hasSucceeded) return { isHealthy: hasSucceeded, against: 0 }
  const needed = hasSucceeded ? thresholds.healthyThreshold : thresholds.unhealthyThreshold
  const against = verdict.against + 1
  return against >= needed ? { isHealthy: hasSucceeded, against: 0 } : { isHealthy: verdict.isHealthy, against }
}
