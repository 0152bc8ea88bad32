import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backendName, fileText, groupEndpoints } from './configuration.ts'

const SCALE = { backends: 1_003, groups: 10, frontends: 7, services: 3, workers: 2 }

test('every backend is in one group, and no two share an endpoint', () => {
  const endpoints = groupEndpoints(SCALE).flat().map(backendName)
  assert.equal(endpoints.length, SCALE.backends)
  assert.equal(new Set(endpoints).size, SCALE.backends)
})

test('two files differ in what their variants say, and in nothing else', () => {
  const lines = (idleSeconds: number, lacksLastBackend: boolean): readonly string[] =>
    fileText(SCALE, { idleSeconds, lacksLastBackend }).split(/(?<=[}\]],)/)
  const [before, other, shorter] = [lines(600, false), lines(601, false), lines(600, true)]
  assert.equal(before.filter((line, index) => line !== other[index]).length, 1)
  assert.equal(before.length - shorter.length, 1)
})
