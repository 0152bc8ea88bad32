import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { WhyAnswer } from '../../telemetry/edge-why.ts'
import { Questions } from './questions.ts'

const ANSWER: WhyAnswer = { kind: 'explained', explanations: [] }

/** Questions at a controller that takes what `post` takes. */
function start(t: TestContext, post: (path: string) => Promise<void>, explain = (): WhyAnswer | undefined => ANSWER) {
  const end = new AbortController()
  t.after(() => end.abort())
  const problems: unknown[] = []
  const questions = new Questions({
    client: { post },
    pathOf: (id) => `/${id}`,
    explain,
    log: (_level, _message, fields) => problems.push(fields?.problem),
    signal: end.signal,
  })
  const ask = (id: number): Promise<void> => questions.take({ id: `${id}`, client: '192.0.2.7', frontend: undefined })
  return { ask, problems }
}

test('questions are answered one after the other, and those beyond a bound not at all, which is logged once', async (t) => {
  const paths: string[] = []
  let open = 0
  let openMax = 0
  const { ask, problems } = start(t, async (path) => {
    open += 1
    openMax = Math.max(openMax, open)
    await new Promise((resolve) => setImmediate(resolve))
    open -= 1
    paths.push(path)
  })
  const all = Array.from({ length: 60_000 }, (_, id) => ask(id))
  await Promise.all(all)
  // The first is on its way when the others come.
  assert.deepEqual(paths.slice(0, 3), ['/0', '/1', '/2'])
  assert.equal(paths.length, 21)
  assert.equal(openMax, 1)
  assert.deepEqual(problems, ['more than 20 questions wait for an answer'])
  await ask(7)
  assert.equal(paths.at(-1), '/7')
})

test('what cannot be sent is logged once while the reason is the same, and again after an answer that was sent', async (t) => {
  const outcomes = ['refused', 'refused', '', 'refused']
  const { ask, problems } = start(t, () => {
    const problem = outcomes.shift() ?? ''
    return problem === '' ? Promise.resolve() : Promise.reject(new Error(problem))
  })
  await ask(1)
  await ask(2)
  assert.deepEqual(problems, ['refused'])
  await ask(3)
  await ask(4)
  assert.deepEqual(problems, ['refused', 'refused'])
})

test('an explanation that fails, or of nobody, is not sent, and the next question is answered', async (t) => {
  const paths: string[] = []
  const answers: (WhyAnswer | undefined)[] = [undefined, ANSWER]
  const { ask, problems } = start(
    t,
    async (path) => void paths.push(path),
    () => {
      if (answers.length === 0) throw new Error('broken')
      return answers.shift()
    },
  )
  for (const id of [1, 2, 3]) await ask(id)
  assert.deepEqual(paths, ['/2'])
  assert.deepEqual(problems, ['broken'])
})
