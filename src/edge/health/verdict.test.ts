import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { afterProbe, type HealthThresholds, NO_VERDICT } from './verdict.ts'

const DEFAULTS: HealthThresholds = { healthyThreshold: 2, unhealthyThreshold: 2 }

/** Runs probes ('+' success, '-' failure) and returns the health after each ('U' up, 'D' down). */
function healthAfter(probes: string, thresholds = DEFAULTS): string {
  let verdict = NO_VERDICT
  return Array.from(probes, (probe) => {
    verdict = afterProbe(verdict, probe === '+', thresholds)
    return verdict.isHealthy === true ? 'U' : 'D'
  }).join('')
}

test('the first probe decides', () => {
  assert.equal(NO_VERDICT.isHealthy, undefined)
  assert.equal(healthAfter('+'), 'U')
  assert.equal(healthAfter('-'), 'D')
})

test('after the first, two in a row change the health', () => {
  assert.equal(healthAfter('+--'), 'UUD')
  assert.equal(healthAfter('-++'), 'DDU')
  assert.equal(healthAfter('+--++--'), 'UUDDUUD')
})

test('a backend that flaps with every probe keeps its health', () => {
  assert.equal(healthAfter('+-+-+-+-'), 'UUUUUUUU')
  assert.equal(healthAfter('-+-+-+-+'), 'DDDDDDDD')
})

test('each direction has its own threshold', () => {
  const thresholds = { healthyThreshold: 3, unhealthyThreshold: 1 }
  assert.equal(healthAfter('+-++-+++', thresholds), 'UDDDDDDU')
})

test('the health is that of the last run of probes that was long enough', () => {
  const threshold = fc.integer({ min: 1, max: 5 })
  fc.assert(
    fc.property(threshold, threshold, fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (up, down, results) => {
      const thresholds = { healthyThreshold: up, unhealthyThreshold: down }
      const probes = results.map((result) => (result ? '+' : '-')).join('')
      let expected = probes[0] === '+' ? 'U' : 'D'
      for (let end = 2; end <= probes.length; end++) {
        if (probes.slice(1, end).endsWith('+'.repeat(up))) expected = 'U'
        if (probes.slice(1, end).endsWith('-'.repeat(down))) expected = 'D'
      }
      assert.equal(healthAfter(probes, thresholds).at(-1), expected)
    }),
  )
})
