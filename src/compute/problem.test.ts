import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fieldPath, formatProblem, type Problem, ProblemList, quoted } from './problem.ts'
import { anyTexts } from './test-values.ts'

const problem: Problem = {
  source: 'lb.yaml',
  resource: 'backendServices/my-tcp-lb',
  path: 'backends[0].maxUtilization',
  code: 'invalid',
  rule: '1.8 is not between 0 and 1',
  remedy: 'give a part such as 0.8',
}

test('a problem is written as one line: file, resource, path, rule and remedy', () => {
  const text =
    'lb.yaml: backendServices/my-tcp-lb: backends[0].maxUtilization: 1.8 is not between 0 and 1; give a part such as 0.8'
  assert.equal(formatProblem(problem), text)
  assert.equal(
    formatProblem({ ...problem, source: '', path: '' }),
    'backendServices/my-tcp-lb: 1.8 is not between 0 and 1; give a part such as 0.8',
  )
})

test('a formatted problem is a bounded line without control characters, whatever it was made of', () => {
  fc.assert(
    fc.property(anyTexts, (text) => {
      const line = formatProblem({ ...problem, source: text, path: text, rule: quoted(text) })
      assert.doesNotMatch(line, /[\p{Cc}\p{Cs}\p{Zl}]/u)
      assert.ok(line.length < 4 * 600 * 10)
    }),
  )
})

test('a quoted value is cut, and a list or mapping only named', () => {
  assert.equal(quoted('a"b\n\u001b[31m'), '"a"b\\u{a}\\u{1b}[31m"')
  assert.equal(quoted('a-'.repeat(100)), `"${'a-'.repeat(40)}…"`)
  assert.equal(quoted(['secret']), 'a list')
  assert.equal(quoted({ secret: 1 }), 'a mapping')
  assert.equal(quoted(null), 'null')
  assert.equal(quoted(Number.NaN), 'NaN')
  assert.equal(quoted(undefined), 'undefined')
})

test('what may be a key is never shown, neither as a value nor as the name of a field', () => {
  const secrets = ['-----BEGIN PRIVATE KEY-----\nabc', 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTU']
  for (const secret of secrets) {
    assert.equal(quoted(secret), `a text of ${secret.length} characters`)
    assert.doesNotMatch(fieldPath('labels', secret), /BEGIN|MII/)
  }
})

test('the name of a field is quoted in a path unless it is a plain word', () => {
  assert.equal(fieldPath('', 'name'), 'name')
  assert.equal(fieldPath('backends[0]', 'group'), 'backends[0].group')
  assert.equal(fieldPath('labels', 'a b'), 'labels["a b"]')
  assert.equal(fieldPath('', '__proto__'), '__proto__')
  const long = 'externalManagedBackendBucketMigrationTestingPercentage'
  assert.equal(fieldPath('', long), long)
})

test('of a flood of problems the first hundred are kept and the rest counted', () => {
  const list = new ProblemList()
  for (let i = 0; i < 137; i++) list.add({ ...problem, path: `backends[${i}]` })
  const problems = list.toArray()
  assert.equal(list.count, 137)
  assert.equal(problems.length, 101)
  assert.equal(problems[99].path, 'backends[99]')
  assert.equal(problems[100].rule, 'and 37 more')
})
