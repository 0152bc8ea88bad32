import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail, findingsToJson, formatFindings, ok } from './finding.ts'

test('people are told the port of a finding where there are several, and programs always', () => {
  const shared = ok('networkd', 'does not run')
  const first = { ...fail('app-ipv4', 'nothing listens', 'start the app'), listener: '192.0.2.1:110' }
  const second = { ...ok('app-ipv4', 'listens'), listener: '192.0.2.1:25' }
  assert.equal(
    formatFindings([shared, first]),
    ['ok    networkd  does not run', 'fail  app-ipv4  nothing listens', '                -> start the app', ''].join(
      '\n',
    ),
  )
  const [, ...lines] = formatFindings([shared, first, second]).split('\n')
  assert.deepEqual(lines.slice(0, 3), [
    'fail  192.0.2.1:110 app-ipv4  nothing listens',
    '                              -> start the app',
    'ok    192.0.2.1:25 app-ipv4   listens',
  ])
  const { findings } = JSON.parse(findingsToJson([shared, first]))
  assert.deepEqual(
    findings.map(({ listener }: { listener?: string }) => listener),
    [undefined, '192.0.2.1:110'],
  )
})
