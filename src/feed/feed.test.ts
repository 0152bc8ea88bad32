import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isEdgeCount, isQuestion } from './feed.ts'

test('a place among edges is one of as many as there are', () => {
  for (const place of [
    { count: 1, index: 0 },
    { count: 3, index: 2 },
    { count: 1_000_000, index: 999_999 },
  ]) {
    assert.ok(isEdgeCount(place), JSON.stringify(place))
  }
  for (const place of [
    { count: 0, index: 0 },
    { count: 1, index: 1 },
    { count: 10, index: 999_999 },
    { count: 2, index: -1 },
    { count: 2, index: 0.5 },
    { count: Number.POSITIVE_INFINITY, index: 0 },
    { count: 2 },
    null,
  ]) {
    assert.ok(!isEdgeCount(place), JSON.stringify(place))
  }
})

test('a question has the id of one, and texts that are no longer than what can be asked about', () => {
  const question = { id: crypto.randomUUID(), client: '192.0.2.7', frontend: 'rule' }
  assert.ok(isQuestion(question))
  assert.ok(isQuestion({ ...question, frontend: undefined }))
  const ids = [undefined, '', '..', '\ud800', `${question.id}0`, question.id.replace('-', '/'), 7]
  const texts = ['', 'x'.repeat(129), 7, null, {}]
  for (const wrong of [
    ...ids.map((id) => ({ id })),
    ...texts.map((client) => ({ client })),
    ...texts.map((frontend) => ({ frontend })),
  ]) {
    assert.ok(!isQuestion({ ...question, ...wrong }), JSON.stringify(wrong))
  }
})
