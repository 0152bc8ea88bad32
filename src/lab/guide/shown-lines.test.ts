import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareShown } from './shown-lines.ts'

const PRINTED = ['Creating…', 'NAME    ZONE           STATUS', 'my-vm   us-central1-b  RUNNING', 'done.']

test('lines are found in their order, with others between them, whatever their spaces', () => {
  const { found, missing, end } = compareShown(['NAME ZONE STATUS', 'done.'], PRINTED)
  assert.deepEqual([found, missing, end], [[PRINTED[1], PRINTED[3]], undefined, 4])
  assert.equal(compareShown(['done.', 'NAME ZONE STATUS'], PRINTED).missing, 'NAME ZONE STATUS')
})

test('an ellipsis stands for anything, also for nothing with the spaces around it, and everything else for itself', () => {
  assert.deepEqual(compareShown(['my-vm … RUNNING'], PRINTED).found, [PRINTED[2]])
  assert.equal(compareShown(['EXTERNAL … RESERVED'], ['EXTERNAL RESERVED']).missing, undefined)
  for (const line of ['my-v. us-central1-b RUNNING', 'my-vm', 'vm us-central1-b RUNNING']) {
    assert.equal(compareShown([line], PRINTED).missing, line)
  }
  assert.equal(compareShown(['[ …] 0.0-1.… sec'], ['[  1] 0.0-1.5 sec']).missing, undefined)
})

test('what was found before is not found again', () => {
  const twice = ['Connection from 35.191.0.2', 'hello']
  const { end } = compareShown(['Connection from …'], twice)
  assert.equal(compareShown(['Connection from …'], twice, end).missing, 'Connection from …')
  assert.equal(compareShown(['hello'], twice, end).missing, undefined)
})
