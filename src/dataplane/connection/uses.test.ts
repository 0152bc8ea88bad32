import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Uses } from './uses.ts'

function start() {
  const calls: string[] = []
  return { calls, uses: new Uses(() => calls.push('closed')) }
}

test('what is retired is closed at once when nobody uses it, and only once', () => {
  const { calls, uses } = start()
  uses.acquire()
  uses.release()
  assert.deepEqual(calls, [])
  uses.retire()
  uses.retire()
  assert.deepEqual(calls, ['closed'])
})

test('what is retired is closed with the end of its last use', () => {
  const { calls, uses } = start()
  uses.acquire()
  uses.acquire()
  uses.retire()
  uses.release()
  assert.deepEqual(calls, [])
  uses.release()
  assert.deepEqual(calls, ['closed'])
})
