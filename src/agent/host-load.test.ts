import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryUtilization, utilizationBetween } from './host-load.ts'

test('the load of the processors is the busy part of the time between two samples', () => {
  assert.equal(utilizationBetween({ busyMs: 100, totalMs: 1_000 }, { busyMs: 350, totalMs: 2_000 }), 0.25)
  assert.equal(utilizationBetween({ busyMs: 100, totalMs: 1_000 }, { busyMs: 100, totalMs: 1_000 }), 0)
  assert.equal(utilizationBetween({ busyMs: 500, totalMs: 1_000 }, { busyMs: 100, totalMs: 2_000 }), 0)
})

test('memory that is available is not used, whatever it holds', () => {
  assert.equal(memoryUtilization('MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n'), 0.75)
})

test('a memory file that does not say counts as full: nobody should send more', () => {
  assert.equal(memoryUtilization(''), 1)
  assert.equal(memoryUtilization('MemTotal: 0 kB\nMemAvailable: 0 kB\n'), 1)
})
