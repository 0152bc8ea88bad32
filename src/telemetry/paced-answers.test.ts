import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { PacedAnswers } from './paced-answers.ts'

function busyFor(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

test('who asks meanwhile gets what is made after he has asked, and all of them the same', async () => {
  const paced = new PacedAnswers<number>()
  let made = 0
  const make = (): number => ++made
  const first = paced.take('a', make)
  assert.equal(await first, 1)
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => paced.take('a', make))), [2, 2, 2])
  assert.deepEqual(await Promise.all([paced.take('a', make), paced.take('b', make)]), [3, 4])
})

test('what takes long is followed by a rest of four times as long, whoever asks', async () => {
  const paced = new PacedAnswers<number>()
  const began: number[] = []
  const make = (): number => {
    began.push(performance.now())
    busyFor(20)
    return began.length
  }
  for (let count = 0; count < 3; count++) await paced.take('a', make)
  for (const index of [1, 2]) assert.ok(began[index] - began[index - 1] >= 99, `${began[index] - began[index - 1]} ms`)
})

test('an answer that fails is told to those who asked for it, and holds up nobody', async () => {
  const paced = new PacedAnswers<number>()
  const failing = paced.take('a', async () => {
    await setImmediate()
    throw new Error('no')
  })
  const next = paced.take('b', () => 1)
  await assert.rejects(failing, /no/)
  assert.equal(await next, 1)
})
