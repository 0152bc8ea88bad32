import type { OutlierPolicy } from './policy.ts'
import type { RandomNumbers } from './random.ts'

/** What was seen of a backend of a service since the last sweep. */
export type OutlierSample = {
  readonly id: number
  /** It gets connections, or would if it were not ejected. */
  readonly isServing: boolean
  /** Attempts to connect that succeeded, and those that were refused or timed out. */
  readonly successes: number
  readonly failures: number
  /** Failures to connect without a success between them; they may have begun before the last sweep, but after an ejection. */
  readonly failuresInARow: number
  /** Connections that the backend broke before it had said a byte; in a row: without one between them that it answered. */
  readonly broken: number
  readonly brokenInARow: number
  /** An active health check has succeeded. */
  readonly hasPassedCheck: boolean
}

/** What is remembered of a backend from one sweep to the next. */
export type OutlierState = {
  /** undefined: it is not ejected. */
  ejectedAtMs: number | undefined
  /** So many base ejection times the next ejection adds to: grows with each, shrinks with each interval without one. */
  ejections: number
}

/** No ejection is longer, unless `baseEjectionTime` is: Envoy's default, for which Google has no field. */
const EJECTION_TIME_MAX_MS = 300_000

/**
 * Ejects backends that fail more than others, and takes them back in time: Envoy's outlier detection as a pure function
 * but for `states`, which it keeps up to date. To be called every `intervalMs` with a sample of every backend.
 *
 * A backend is ejected for the base time, the second time for twice that, and so on; each interval that it serves takes
 * one time away again, and a passed health check ends an ejection. No more are ejected of those that serve than
 * `maxEjectionPercent` allows.
 *
 * A client can make an app break its connection, so that only `consecutiveErrors` counts those, which ejects nobody unless
 * an operator enforces it.
 *
 * @returns the ids of those that this sweep has ejected: their failures in a row begin at 0 again
 */
export function sweepOutliers(
  policy: OutlierPolicy,
  samples: readonly OutlierSample[],
  states: Map<number, OutlierState>,
  random: RandomNumbers,
  nowMs: number,
): number[] {
  const stateOf = (id: number): OutlierState => stateOfBackend(states, id)
  forgetOthers(samples, states)
  for (const sample of samples) takeBack(policy, sample, stateOf(sample.id), nowMs)
  const serving = samples.filter(({ isServing }) => isServing)
  let ejected = serving.filter(({ id }) => stateOf(id).ejectedAtMs !== undefined).length
  const isEnforced = (percent: number): boolean => random.below(100) < percent
  const leastSuccessRate = successRateBound(policy, samples)
  const newlyEjected: number[] = []
  for (const sample of serving) {
    const state = stateOf(sample.id)
    if (state.ejectedAtMs !== undefined || !isOutlier(policy, sample, leastSuccessRate, isEnforced)) continue
    if (100 * (ejected + 1) > policy.maxEjectionPercent * serving.length) break
    state.ejectedAtMs = nowMs
    if (state.ejections * policy.baseEjectionTimeMs < EJECTION_TIME_MAX_MS) state.ejections++
    ejected++
    newlyEjected.push(sample.id)
  }
  return newlyEjected
}

/** For how long a backend with this state is ejected, unless a health check takes it back before. */
export function ejectionMs(policy: OutlierPolicy, { ejections }: OutlierState): number {
  const longest = Math.max(EJECTION_TIME_MAX_MS, policy.baseEjectionTimeMs)
  return Math.min(longest, ejections * policy.baseEjectionTimeMs)
}

function takeBack(policy: OutlierPolicy, { hasPassedCheck }: OutlierSample, state: OutlierState, nowMs: number): void {
  if (state.ejectedAtMs === undefined) {
    state.ejections = Math.max(0, state.ejections - 1)
    return
  }
  if (hasPassedCheck || nowMs - state.ejectedAtMs >= ejectionMs(policy, state)) state.ejectedAtMs = undefined
}

function isOutlier(
  policy: OutlierPolicy,
  sample: OutlierSample,
  leastSuccessRate: number,
  isEnforced: (percent: number) => boolean,
): boolean {
  const { failures, failuresInARow, broken, brokenInARow } = sample
  if (failures + broken === 0) return false
  const errorsInARow = Math.max(failuresInARow, brokenInARow)
  return (
    (failuresInARow >= policy.consecutiveGatewayFailure && isEnforced(policy.enforcingConsecutiveGatewayFailure)) ||
    (errorsInARow >= policy.consecutiveErrors && isEnforced(policy.enforcingConsecutiveErrors)) ||
    (hasVolume(policy, sample) && rateOf(sample) < leastSuccessRate && isEnforced(policy.enforcingSuccessRate))
  )
}

/** The success rate that is too low: so many standard deviations below the mean; none with too few backends. */
function successRateBound(policy: OutlierPolicy, samples: readonly OutlierSample[]): number {
  const rates = samples.filter((sample) => hasVolume(policy, sample)).map(rateOf)
  if (rates.length === 0 || rates.length < policy.successRateMinimumHosts) return Number.NEGATIVE_INFINITY
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length
  return mean - (Math.sqrt(variance) * policy.successRateStdevFactor) / 1000
}

function hasVolume({ successRateRequestVolume }: OutlierPolicy, { successes, failures }: OutlierSample): boolean {
  return successes + failures >= Math.max(1, successRateRequestVolume)
}

function rateOf({ successes, failures }: OutlierSample): number {
  return successes / (successes + failures)
}

function stateOfBackend(states: Map<number, OutlierState>, id: number): OutlierState {
  const known = states.get(id)
  if (known !== undefined) return known
  const state = { ejectedAtMs: undefined, ejections: 0 }
  states.set(id, state)
  return state
}

function forgetOthers(samples: readonly OutlierSample[], states: Map<number, OutlierState>): void {
  const ids = new Set(samples.map(({ id }) => id))
  for (const id of states.keys()) if (!ids.has(id)) states.delete(id)
}
