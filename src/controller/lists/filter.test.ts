import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../model/api-error.ts'
import { readFilter } from './filter.ts'

const resource = {
  name: 'my-tcp-lb',
  timeoutSec: 300,
  id: '17583513687044263757',
  enableCDN: false,
  labels: { env: 'test', 'a-b': 'c d' },
  backends: [{ group: 'g1', maxUtilization: 0.8 }, { group: 'g2' }],
  creationTimestamp: '2026-11-22T00:00:06.000Z',
}

const wanted = [
  'name = my-tcp-lb',
  'name="my-tcp-lb"',
  "(name = 'my-tcp-lb')",
  'name != other',
  'name : TCP',
  'labels.a-b : "c D"',
  'name:my-*',
  'timeoutSec > 60',
  'id > 9',
  'timeoutSec <= 300 AND timeoutSec >= 300',
  'timeoutSec = 300.0',
  'enableCDN = false',
  'labels.env = test',
  'labels.a-b = "c d"',
  'labels.env:*',
  'backends.group = g2',
  'backends.maxUtilization < 0.9',
  '(name = other) OR (timeoutSec = 300)',
  '(name = my-tcp-lb) (timeoutSec = 300)',
  'NOT name = other',
  '-name = other',
  'NOT (name = other OR name = another)',
  'creationTimestamp > 2026-11-21',
  'name eq my-.*',
  'name eq "(my|your)-tcp-lb"',
  'name ne .*udp.*',
  'name eq ".*\\btcp\\b.*"',
  'name eq ".*\\bmy\\-tcp.*"',
  'labels.a-b eq "c\\ d"',
  '(name eq my-.*) (enableCDN eq false)',
  '',
  '  ',
]
const unwanted = [
  'name = other',
  'name = MY-TCP-LB',
  'name = *',
  'timeoutSec >= *',
  'nothing = 1',
  'nothing:*',
  'name : udp',
  'timeoutSec : 5',
  'labels.none = x',
  'timeoutSec > 300',
  'timeoutSec < 300',
  'backends.group = g3',
  'name eq tcp',
  'name eq ".*\\btc\\b.*"',
  'name eq "my.tcp\\.lb"',
  '(name = my-tcp-lb) (timeoutSec = 301)',
  '__proto__.x = 1',
]
const wrong = [
  'name',
  'name =',
  '= x',
  '(name = x',
  'name = x)',
  'name eq (',
  'name eq [',
  'name ~ x',
  'name = x OR',
  'name eq x AND name = x',
  `${'('.repeat(60)}a=b${')'.repeat(60)}`,
  'x'.repeat(9000),
  'name = "x',
]

test('filters take what they say', () => {
  assert.deepEqual(
    wanted.filter((filter) => !readFilter(filter)(resource)),
    [],
  )
  assert.deepEqual(
    unwanted.filter((filter) => readFilter(filter)(resource)),
    [],
  )
})

for (const filter of wrong) {
  test(`a filter that cannot be read is refused: ${filter.slice(0, 30)}`, () => {
    assert.throws(
      () => readFilter(filter),
      (error) => error instanceof ApiError && error.status === 400,
    )
  })
}

test('a filter whose patterns are much work for a list is refused, and not after minutes', () => {
  const filter = readFilter('(labels.text eq ".*a.{20}b") (name eq x)')
  // No order in the letters: a matcher that remembers what it has seen never sees the same twice.
  let seed = 1
  const letter = (): string => {
    // xorshift32
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return seed < 0 ? 'a' : 'b'
  }
  const startMs = performance.now()
  assert.throws(
    () => {
      for (let count = 0; count < 10_000; count++)
        filter({ labels: { text: Array.from({ length: 2_000 }, letter).join('') } })
    },
    (error) => error instanceof ApiError && error.status === 400 && /take too long/.test(error.message),
  )
  assert.ok(performance.now() - startMs < 30_000)
})
