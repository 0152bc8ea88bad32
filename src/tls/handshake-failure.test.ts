import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handshakeFailure } from './handshake-failure.ts'

/** Alerts of RFC 8446 §6, by number; OpenSSL's reasons begin at 1,000 with them. */
const ALERT_NAMES: Readonly<Record<number, string>> = {
  0: 'close_notify',
  20: 'bad_record_mac',
  40: 'handshake_failure',
  47: 'illegal_parameter',
  71: 'insufficient_security',
  80: 'internal_error',
  116: 'certificate_required',
  255: 'the last one that there can be',
}
const CERTIFICATE_ALERTS = [42, 43, 44, 45, 46, 48]

test('a peer that refuses our certificate, or our version, is told apart from one that says something else', () => {
  for (const alert of CERTIFICATE_ALERTS)
    assert.equal(handshakeFailure(1_000 + alert), 'certificate-refused', `${alert}`)
  assert.equal(handshakeFailure(1_070), 'no-shared-version')
  for (const [alert, name] of Object.entries(ALERT_NAMES)) {
    assert.equal(handshakeFailure(1_000 + Number(alert)), 'alert', name)
  }
})

test('what is neither an alert nor a reason that we know is a violation of the protocol', () => {
  for (const reason of [0, 1, 999, 1_256, 5_000]) assert.equal(handshakeFailure(reason), 'protocol-error', `${reason}`)
})

// openssl/sslerr.h of OpenSSL 3.0 and 3.5: these numbers do not change.
for (const [failure, reasons] of [
  ['no-shared-version', [166, 191, 258, 259, 396]],
  ['no-shared-cipher', [181, 193]],
  ['no-shared-group', [101, 295, 410]],
  ['no-shared-signature', [118, 333, 376]],
  ['certificate-invalid', [134]],
] as const) {
  test(`OpenSSL's reasons ${reasons.join(', ')} are ${failure}`, () => {
    for (const reason of reasons) assert.equal(handshakeFailure(reason), failure)
  })
}
