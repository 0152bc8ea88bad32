import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policyFeatures, TLS_1_2_FEATURES } from '../compute/ssl-features.ts'
import { unavailableSuites } from './context.ts'
import { DEFAULT_POLICY, type PolicyTerms, readPolicy, type SslPolicy } from './policy.ts'

function termsOf(policy: Partial<SslPolicy>, unavailable: readonly string[] = []): PolicyTerms {
  const reading = readPolicy({ ...DEFAULT_POLICY, ...policy }, unavailable)
  assert.equal(reading.kind, 'terms')
  return reading.kind === 'terms' ? reading.terms : assert.fail()
}

function problemOf(policy: Partial<SslPolicy>): string {
  const reading = readPolicy({ ...DEFAULT_POLICY, ...policy }, [])
  return reading.kind === 'problem' ? reading.message : assert.fail('it is taken')
}

test('the profiles have 15, 10, 6 and 4 features, each more than the next', () => {
  const features = (['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205'] as const).map((profile) =>
    policyFeatures({ ...DEFAULT_POLICY, profile }),
  )
  assert.deepEqual(
    features.map(({ length }) => length),
    [15, 10, 6, 4],
  )
  for (const [index, narrower] of features.slice(1).entries()) {
    assert.ok(narrower.every((name) => features[index].includes(name)))
  }
})

test('what COMPATIBLE has and MODERN lacks are the five suites with RSA key exchange', () => {
  const modern = policyFeatures({ ...DEFAULT_POLICY, profile: 'MODERN' })
  const lacking = TLS_1_2_FEATURES.filter((name) => !modern.includes(name))
  assert.equal(lacking.length, 5)
  assert.ok(lacking.every((name) => name.startsWith('TLS_RSA_WITH_')))
})

test('the security level is 0 only where TLS below 1.2 is offered', () => {
  for (const profile of ['COMPATIBLE', 'MODERN', 'RESTRICTED'] as const) {
    for (const minTlsVersion of ['TLS_1_0', 'TLS_1_1', 'TLS_1_2'] as const) {
      const { minVersion, securityLevel } = termsOf({ profile, minTlsVersion })
      assert.equal(securityLevel, minVersion < 0x0303 ? 0 : 2)
    }
  }
  assert.equal(termsOf({}).securityLevel, 0)
})

test('RESTRICTED offers nothing below TLS 1.2, whatever minTlsVersion says: none of its suites can be used there', () => {
  assert.equal(termsOf({ profile: 'RESTRICTED', minTlsVersion: 'TLS_1_0' }).minVersion, 0x0303)
})

test('minTlsVersion TLS_1_3 leaves only the suites of TLS 1.3', () => {
  const terms = termsOf({ profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' })
  assert.deepEqual([terms.minVersion, terms.ciphers.length, terms.cipherSuites.length], [0x0304, 0, 3])
})

test('FIPS_202205 leaves out ChaCha20 and X25519, in TLS 1.3 too', () => {
  const terms = termsOf({ profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' })
  assert.deepEqual(terms.groups, ['P-256', 'P-384'])
  assert.ok(![...terms.ciphers, ...terms.cipherSuites].some(({ name }) => name.includes('CHACHA')))
  assert.equal(terms.cipherSuites.length, 2)
})

test('CUSTOM chooses among the suites below TLS 1.3 only', () => {
  const terms = termsOf({ profile: 'CUSTOM', customFeatures: ['TLS_RSA_WITH_AES_128_CBC_SHA'] })
  assert.deepEqual(
    terms.ciphers.map(({ opensslName }) => opensslName),
    ['AES128-SHA'],
  )
  assert.equal(terms.cipherSuites.length, 3)
})

test('a CUSTOM policy of which this OpenSSL has nothing offers TLS 1.3 alone', () => {
  const name = 'TLS_RSA_WITH_3DES_EDE_CBC_SHA'
  const terms = termsOf({ profile: 'CUSTOM', customFeatures: [name] }, [name])
  assert.deepEqual([terms.ciphers.length, terms.minVersion], [0, 0x0304])
})

test('policies that cannot be are refused, with the field that is wrong', () => {
  assert.match(problemOf({ profile: 'MODERN', minTlsVersion: 'TLS_1_3' }), /RESTRICTED/)
  assert.match(problemOf({ profile: 'FIPS_202205', minTlsVersion: 'TLS_1_0' }), /TLS_1_2/)
  assert.match(problemOf({ profile: 'CUSTOM' }), /at least one/)
  assert.match(problemOf({ profile: 'CUSTOM', customFeatures: ['RC4'] }), /"RC4"/)
  assert.match(problemOf({ customFeatures: ['TLS_RSA_WITH_AES_128_CBC_SHA'] }), /CUSTOM/)
})

test('the OpenSSL inside node lacks 3DES and nothing else', () => {
  assert.deepEqual(unavailableSuites(), ['TLS_RSA_WITH_3DES_EDE_CBC_SHA'])
})
