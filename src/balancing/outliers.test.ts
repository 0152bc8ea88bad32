import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type OutlierSample, type OutlierState, sweepOutliers } from './outliers.ts'
import { DEFAULT_OUTLIER_POLICY, type OutlierPolicy } from './policy.ts'
import { RandomNumbers } from './random.ts'

function sample(id: number, given: Partial<OutlierSample> = {}): OutlierSample {
  const failures = given.failures ?? given.failuresInARow ?? 0
  const broken = given.brokenInARow ?? 0
  const inARow = { failuresInARow: 0, brokenInARow: 0 }
  return { id, isServing: true, successes: 10, ...inARow, hasPassedCheck: false, ...given, failures, broken }
}

/** A service of ten backends, one sweep after the other. */
class TestDetection {
  readonly policy: OutlierPolicy
  readonly states = new Map<number, OutlierState>()
  readonly #random = new RandomNumbers(1)
  nowMs = 0

  constructor(policy: Partial<OutlierPolicy> = {}) {
    this.policy = { ...DEFAULT_OUTLIER_POLICY, ...policy }
  }

  sweep(...unusual: readonly OutlierSample[]): number[] {
    const samples = Array.from({ length: 10 }, (_, id) => unusual.find((one) => one.id === id) ?? sample(id))
    return this.sweepAll(samples)
  }

  sweepAll(samples: readonly OutlierSample[]): number[] {
    this.nowMs += this.policy.intervalMs
    return sweepOutliers(this.policy, samples, this.states, this.#random, this.nowMs)
  }

  isEjected(id: number): boolean {
    return this.states.get(id)?.ejectedAtMs !== undefined
  }

  /** Sweeps without anything unusual until the backend is back; returns the seconds. */
  secondsUntilBack(id: number): number {
    for (let seconds = 1; seconds < 1000; seconds++) {
      this.sweep()
      if (!this.isEjected(id)) return seconds
    }
    return Number.POSITIVE_INFINITY
  }
}

test("Google's defaults: three failures in a row eject, two do not; five errors are not enforced by themselves", () => {
  const detection = new TestDetection()
  assert.deepEqual(detection.sweep(sample(4, { failuresInARow: 2 })), [])
  assert.deepEqual(detection.sweep(sample(4, { failuresInARow: 3 })), [4])
  const byErrors = new TestDetection({ consecutiveGatewayFailure: 100 })
  assert.deepEqual(byErrors.sweep(sample(4, { failuresInARow: 5 })), [])
  const enforced = new TestDetection({ consecutiveGatewayFailure: 100, enforcingConsecutiveErrors: 100 })
  assert.deepEqual(enforced.sweep(sample(4, { failuresInARow: 4 })), [])
  assert.deepEqual(enforced.sweep(sample(4, { failuresInARow: 5 })), [4])
})

test('what an app breaks, which a client can make it do, ejects only where errors are enforced', () => {
  const broken = (brokenInARow: number) => sample(4, { brokenInARow, successes: 1000 })
  assert.deepEqual(new TestDetection().sweep(broken(1000)), [])
  const enforced = new TestDetection({ enforcingConsecutiveErrors: 100, enforcingConsecutiveGatewayFailure: 0 })
  assert.deepEqual(enforced.sweep(broken(4)), [])
  assert.deepEqual(enforced.sweep(broken(5)), [4])
})

test('the most that are ejected is a part of those that serve, and who does not serve is not ejected', () => {
  const failing = (id: number, isServing: boolean) => sample(id, { failuresInARow: 3, isServing })
  const detection = new TestDetection()
  assert.deepEqual(detection.sweepAll([failing(0, true), failing(1, true), failing(2, false), failing(3, false)]), [0])
  assert.deepEqual(detection.sweepAll([failing(0, false), failing(1, true), failing(2, true), failing(3, false)]), [1])
})

test('an ejection takes 30 s, the next one 30 s more, up to 300 s; each interval without one takes 30 s off', () => {
  const detection = new TestDetection()
  for (const seconds of [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300]) {
    assert.deepEqual(detection.sweep(sample(4, { failuresInARow: 3 })), [4], `${seconds}`)
    assert.equal(detection.secondsUntilBack(4), seconds)
    // A sweep is an interval that it serves: this one takes off what the next ejection adds, and no more.
    if (seconds < 300) detection.states.set(4, { ejectedAtMs: undefined, ejections: seconds / 30 + 1 })
  }
  for (let interval = 0; interval < 20; interval++) detection.sweep()
  detection.sweep(sample(4, { failuresInARow: 3 }))
  assert.equal(detection.secondsUntilBack(4), 30)
})

test('a passed health check ends an ejection', () => {
  const detection = new TestDetection()
  detection.sweep(sample(4, { failuresInARow: 3 }))
  detection.sweep(sample(4))
  assert.ok(detection.isEjected(4))
  detection.sweep(sample(4, { hasPassedCheck: true }))
  assert.ok(!detection.isEjected(4))
})

test('a success rate 1.9 standard deviations below the mean ejects, with enough backends and connections', () => {
  const busy = (id: number, failures = 0): OutlierSample => sample(id, { successes: 100 - failures, failures })
  const all = (count: number, failures: number) =>
    Array.from({ length: count }, (_, id) => busy(id, id === 2 ? failures : 1))
  assert.deepEqual(new TestDetection().sweepAll(all(10, 30)), [2])
  assert.deepEqual(new TestDetection().sweepAll(all(10, 1)), [])
  assert.deepEqual(new TestDetection({ enforcingSuccessRate: 0 }).sweepAll(all(10, 30)), [])
  // Of five one alone is at most two standard deviations away, of four fewer than 1.9, and those are too few anyway.
  assert.deepEqual(new TestDetection().sweepAll(all(5, 30)), [2])
  assert.deepEqual(new TestDetection({ successRateStdevFactor: 100 }).sweepAll(all(4, 30)), [])
  assert.deepEqual(new TestDetection({ successRateRequestVolume: 101 }).sweepAll(all(10, 30)), [])
})

test('never are more ejected than the policy allows, and a single backend never is', () => {
  const percents = fc.integer({ min: 0, max: 100 })
  const failing = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(percents, fc.array(failing, { minLength: 1, maxLength: 5 }), (maxEjectionPercent, rounds) => {
      const detection = new TestDetection({ maxEjectionPercent })
      const count = rounds[0].length
      for (const round of rounds) {
        detection.sweepAll(
          Array.from({ length: count }, (_, id) => sample(id, { failuresInARow: round[id % round.length] ? 3 : 0 })),
        )
        const ejected = [...detection.states.keys()].filter((id) => detection.isEjected(id)).length
        assert.ok(100 * ejected <= maxEjectionPercent * count, `${ejected} of ${count}`)
        if (maxEjectionPercent === 100 && round.length === count && !round.includes(false)) assert.equal(ejected, count)
      }
    }),
  )
  assert.deepEqual(new TestDetection().sweepAll([sample(0, { failuresInARow: 9 })]), [])
})

test('a backend that has left is forgotten', () => {
  const detection = new TestDetection()
  detection.sweep(sample(4, { failuresInARow: 3 }))
  detection.sweepAll([sample(1)])
  assert.deepEqual([...detection.states.keys()], [1])
})

test('an enforcement of some percent lets the others stay', () => {
  const detection = new TestDetection({ enforcingConsecutiveGatewayFailure: 30, maxEjectionPercent: 100 })
  const samples = Array.from({ length: 1000 }, (_, id) => sample(id, { failuresInARow: 3 }))
  const ejected = detection.sweepAll(samples).length
  assert.ok(ejected > 240 && ejected < 360, `${ejected}`)
})
