/** How many application protocols a target SSL proxy can offer. */
export const ALPN_PROTOCOLS_MAX = 16
/** RFC 7301 §3.1: the length of a name is in one byte. */
export const ALPN_PROTOCOL_LENGTH_MAX = 255
export const ALPN_PROTOCOL_PATTERN = '^[!-~]+$'

// What SSL policies and target SSL proxies are made of, as Google Compute Engine defines them
// (cloud.google.com/load-balancing/docs/ssl-policies-concepts). It is apart from the resources, because the data
// plane reads it too and shall not load the schemas.

/** A target proxy takes as many certificates. */
export const CERTIFICATES_MAX = 15

/** The values of a policy's `profile`. */
export const PROFILES = ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205', 'CUSTOM'] as const
export type Profile = (typeof PROFILES)[number]

/** The values of a policy's `minTlsVersion`. */
export const MIN_TLS_VERSIONS = ['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3'] as const
export type MinTlsVersion = (typeof MIN_TLS_VERSIONS)[number]

/** Always on where TLS 1.3 is; accepted in a CUSTOM profile, and without effect there. */
export const TLS_1_3_FEATURES = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const

/** The cipher suites of TLS 1.2 and below: RESTRICTED has the first 6, MODERN the first 10, COMPATIBLE all. */
export const TLS_1_2_FEATURES = [
  'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA',
  'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA',
  'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA',
  'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
  'TLS_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_RSA_WITH_AES_128_CBC_SHA',
  'TLS_RSA_WITH_AES_256_CBC_SHA',
  'TLS_RSA_WITH_3DES_EDE_CBC_SHA',
] as const

/** What SSL policies say of cipher suites. */
export type FeatureChoice = { readonly profile: Profile; readonly customFeatures: readonly string[] }

/** The cipher suites that a policy turns on for TLS 1.2 and below. */
export function policyFeatures({ profile, customFeatures }: FeatureChoice): readonly string[] {
  switch (profile) {
    case 'RESTRICTED':
      return TLS_1_2_FEATURES.slice(0, 6)
    case 'MODERN':
      return TLS_1_2_FEATURES.slice(0, 10)
    case 'COMPATIBLE':
      return TLS_1_2_FEATURES
    case 'FIPS_202205':
      return TLS_1_2_FEATURES.filter((name) => name.includes('ECDHE') && name.includes('GCM'))
    case 'CUSTOM':
      return customFeatures
  }
}

/** The cipher suites of TLS 1.3 that go with a profile. */
export function profileFeatures13(profile: Profile): readonly string[] {
  return TLS_1_3_FEATURES.filter((name) => profile !== 'FIPS_202205' || !name.includes('CHACHA20'))
}

/** Every cipher suite that a CUSTOM profile may list (`sslPolicies.listAvailableFeatures`). */
export const availableFeatures: readonly string[] = [...TLS_1_2_FEATURES, ...TLS_1_3_FEATURES]

/** All cipher suites that a policy turns on, in the order of their names (`enabledFeatures`). */
export function enabledFeatures(policy: FeatureChoice): readonly string[] {
  const always = policy.profile === 'CUSTOM' ? [] : profileFeatures13(policy.profile)
  return [...policyFeatures(policy), ...always].toSorted()
}
