import assert from 'node:assert/strict'
import { test } from 'node:test'
import { availableFeatures, enabledFeatures } from './ssl-features.ts'

function featuresOf(profile: Parameters<typeof enabledFeatures>[0]['profile']): readonly string[] {
  return enabledFeatures({ profile, customFeatures: [] })
}

test('each profile turns on what the stricter one does, and more', () => {
  const [restricted, modern, compatible] = (['RESTRICTED', 'MODERN', 'COMPATIBLE'] as const).map(featuresOf)
  assert.deepEqual([restricted.length, modern.length, compatible.length], [9, 13, 18])
  assert.ok(restricted.every((name) => modern.includes(name) && !name.includes('CBC')))
  assert.ok(modern.every((name) => compatible.includes(name) && !name.startsWith('TLS_RSA')))
  assert.deepEqual(compatible, availableFeatures.toSorted())
})

test('FIPS_202205 has AES-GCM with ephemeral keys alone', () => {
  assert.deepEqual(featuresOf('FIPS_202205'), [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
    'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  ])
})

test('a CUSTOM profile has its own list, in order', () => {
  const customFeatures = ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']
  assert.deepEqual(enabledFeatures({ profile: 'CUSTOM', customFeatures }), customFeatures.toSorted())
})
