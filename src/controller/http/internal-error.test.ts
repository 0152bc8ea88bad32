import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogFields } from '../../telemetry/log.ts'
import { logInternalError } from './internal-error.ts'

test('the cause is one record with method and path, and a private key in it is left out', () => {
  const records: (readonly [level: string, message: string, fields: LogFields | undefined])[] = []
  const log = (...record: (typeof records)[number]): void => void records.push(record)
  const key = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----'
  logInternalError(log, new Error(`cannot read "${key}"`), { method: 'POST', path: `/${'x'.repeat(1000)}` })
  logInternalError(log, `a text: ${key.slice(0, 40)}`, { method: 'GET', path: '/y' })
  assert.equal(records.length, 2)
  const [[level, message, fields], [, text]] = records
  assert.deepEqual([level, message], ['error', 'cannot read "(a private key, left out)"'])
  assert.equal(fields?.method, 'POST')
  assert.equal(String(fields?.path).length, 301)
  assert.match(String(fields?.stack), /internal-error\.test/)
  assert.doesNotMatch(JSON.stringify(records), /MHcCAQEE/)
  assert.equal(text, 'a text: (a private key, left out)')
})
