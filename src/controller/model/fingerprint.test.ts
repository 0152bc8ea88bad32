import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from './api-error.ts'
import { checkFingerprint, fingerprintOf } from './fingerprint.ts'

test('a fingerprint is of the value, whatever the order of its fields, and of nothing less', () => {
  const value = { b: [1, 2, { d: 1, c: 2 }], a: { y: null, x: '' } }
  const fingerprint = fingerprintOf(value)
  assert.match(fingerprint, /^[A-Za-z0-9+/]{11}=$/, 'eight bytes in base64, which gcloud decodes')
  assert.equal(fingerprintOf({ a: { x: '', y: null }, b: [1, 2, { c: 2, d: 1 }] }), fingerprint)
  for (const other of [
    { ...value, a: {} },
    { ...value, b: [2, 1, { c: 2, d: 1 }] },
    { ...value, c: 0 },
    undefined,
    null,
    [],
  ]) {
    assert.notEqual(fingerprintOf(other), fingerprint)
  }
})

test('a change is refused that was made on top of something else, and only then', () => {
  const current = 'a+b/c+d/e+f='
  for (const given of [undefined, null, '', current, 'a-b_c-d_e-f=']) checkFingerprint('fingerprint', given, current)
  for (const [given, value] of [
    ['AAAAAAAAAAA=', "'AAAAAAAAAAA='"],
    [current.slice(1), `'${current.slice(1)}'`],
    [7, 'what was given'],
    [{}, 'what was given'],
    [false, 'what was given'],
  ] as const) {
    assert.throws(
      () => checkFingerprint('labelFingerprint', given, current),
      (error) =>
        error instanceof ApiError &&
        error.status === 412 &&
        error.details[0]?.reason === 'conditionNotMet' &&
        error.message.startsWith(`Invalid fingerprint: ${value} in 'labelFingerprint' is not `),
    )
  }
})
