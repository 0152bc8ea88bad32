/** When a backend counts as up and when as down (Compute Engine's healthyThreshold and unhealthyThreshold). */
export type HealthThresholds = {
  /** Successes in a row that make an unhealthy backend healthy. */
  readonly healthyThreshold: number
  /** Failures in a row that make a healthy backend unhealthy. */
  readonly unhealthyThreshold: number
}

/** What is known of a backend: nothing before the first probe. */
export type HealthState = {
  readonly isHealthy: boolean | undefined
  /** Results in a row that speak against `isHealthy`. */
  readonly against: number
}

export const UNKNOWN_HEALTH: HealthState = { isHealthy: undefined, against: 0 }

/** The state after one more probe: the first result decides, later changes need their threshold. */
export function afterProbe(state: HealthState, hasSucceeded: boolean, thresholds: HealthThresholds): HealthState {
  if (state.isHealthy === undefined) return { isHealthy: hasSucceeded, against: 0 }
  if (state.isHealthy === hasSucceeded) return { isHealthy: hasSucceeded, against: 0 }
  const needed = hasSucceeded ? thresholds.healthyThreshold : thresholds.unhealthyThreshold
  const against = state.against + 1
  return against >= needed ? { isHealthy: hasSucceeded, against: 0 } : { isHealthy: state.isHealthy, against }
}
