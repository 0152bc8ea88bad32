import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecked } from '../linux/run.ts'
import { HostProblems } from './host-problems.ts'

test('a problem is told when it comes and when it goes, and the host is looked at again only when rules change', async (t) => {
  const answers: (readonly string[] | Error)[] = [['one', 'two'], ['two', 'three'], new Error('no room'), []]
  let asked = 0
  const told: string[] = []
  const problems = new HostProblems(
    async () => {
      const answer = answers[asked++]
      if (answer instanceof Error) throw answer
      return answer
    },
    (level, message) => told.push(`${level}: ${message}`),
  )
  t.after(() => problems.stop())
  await problems.check([])
  assert.deepEqual(told.splice(0), ['warn: one', 'warn: two'])

  await problems.recheck()
  assert.equal(asked, 1, 'no rule was changed')
  for (const family of ['-4', '-6']) {
    await runChecked('ip', [family, 'rule', 'add', 'fwmark', '7', 'lookup', 'main'])
    await problems.recheck()
    await problems.recheck()
  }
  assert.equal(asked, 3)
  assert.deepEqual(told.splice(0), [
    'warn: three',
    'info: Resolved: one',
    'warn: This host could not be examined: no room',
  ])
  await problems.check([])
  assert.deepEqual(told, ['info: Resolved: two', 'info: Resolved: three'])
})

test('listeners that come during a check are looked at after it', async (t) => {
  const asked: number[] = []
  const problems = new HostProblems(
    async (listeners) => {
      asked.push(listeners.length)
      return []
    },
    () => {},
  )
  t.after(() => problems.stop())
  await Promise.all([problems.check([]), problems.check([])])
  assert.equal(asked.length, 2)
})
