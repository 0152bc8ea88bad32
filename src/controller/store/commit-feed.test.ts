import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitFeed } from './commit-feed.ts'

test('a follower that throws keeps nobody from hearing of a commit, and ends the process afterwards', (t) => {
  const later: (() => void)[] = []
  t.mock.method(globalThis, 'queueMicrotask', (callback: () => void) => later.push(callback))
  const feed = new CommitFeed()
  const mistake = new Error('a mistake')
  const heard: number[] = []
  feed.follow(() => {
    throw mistake
  })
  feed.follow(({ revision }) => heard.push(revision))
  feed.tell({ revision: 1, changes: [], operation: undefined })
  feed.tell({ revision: 2, changes: [], operation: undefined })
  assert.deepEqual(heard, [1, 2])
  assert.equal(later.length, 2)
  assert.throws(later[0], mistake)
})
