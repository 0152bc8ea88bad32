import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { reuseParts } from './reuse.ts'
import type { Snapshot } from './snapshot.ts'
import { snapshots, testFrontend, testService, testSnapshot } from './test-snapshot.ts'

function copyOf(snapshot: Snapshot): Snapshot {
  return structuredClone(snapshot)
}

test('what is the same is the same object, also after it was in a file, and what differs is new', () => {
  const before = testSnapshot([testFrontend()], [testService(), testService({ name: 'other' })])
  const after: Snapshot = JSON.parse(
    JSON.stringify({ ...before, services: [before.services[0], testService({ name: 'other', idleTimeoutMs: 1 })] }),
  )
  const reused = reuseParts(before, after)
  assert.equal(reused.frontends[0], before.frontends[0])
  assert.equal(reused.services[0], before.services[0])
  assert.equal(reused.services[1], after.services[1])
})

test('a snapshot says the same with the parts of any other', () => {
  fc.assert(
    fc.property(snapshots, snapshots, (before, after) => {
      assert.deepEqual(copyOf(reuseParts(before, copyOf(after))), copyOf(after))
    }),
  )
})
