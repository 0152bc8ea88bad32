// SSL policies as Google Compute Engine defines them (cloud.google.com/load-balancing/docs/ssl-policies-concepts).

import {
  type MinTlsVersion,
  type Profile,
  policyFeatures,
  profileFeatures13,
  TLS_1_2_FEATURES,
} from '../compute/ssl-features.ts'
import { type CipherSuite, LEGACY_SUITES, TLS_1_3_SUITES } from './cipher-suites.ts'

/** An SSL policy, in the words of the resource. */
export type SslPolicy = {
  readonly profile: Profile
  readonly minTlsVersion: MinTlsVersion
  /** The suites of CUSTOM by their registered names; those of TLS 1.3 are always offered. */
  readonly customFeatures: readonly string[]
}

/** What a target proxy without a policy gets. */
export const DEFAULT_POLICY: SslPolicy = { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [] }

/** What a policy means for a server. */
export type PolicyTerms = {
  /** The oldest version that is really offered: one that no suite of the policy can use is not. */
  readonly minVersion: number
  /** For TLS 1.2 and below, by preference. */
  readonly ciphers: readonly CipherSuite[]
  /** For TLS 1.3, by preference. */
  readonly cipherSuites: readonly CipherSuite[]
  /** Key exchange groups by preference, in OpenSSL's words. */
  readonly groups: readonly string[]
  /** SSL_CTX_set_security_level(3): 0 only where TLS below 1.2 is offered, which signs with SHA-1 and MD5. */
  readonly securityLevel: 0 | 2
}

/** A policy's terms, or what is wrong with it as one sentence. */
export type PolicyReading = { readonly kind: 'terms'; readonly terms: PolicyTerms } | PolicyProblem
export type PolicyProblem = { readonly kind: 'problem'; readonly message: string }

const GROUPS = ['X25519', 'P-256', 'P-384']
const FIPS_GROUPS = ['P-256', 'P-384']
const TLS_1_2 = 0x0303
const TLS_1_3 = 0x0304
const VERSIONS: Readonly<Record<MinTlsVersion, number>> = {
  TLS_1_0: 0x0301,
  TLS_1_1: 0x0302,
  TLS_1_2,
  TLS_1_3,
}

/**
 * Says what a server offers under `policy`.
 *
 * `unavailable` are suites (by registered name) that this OpenSSL does not have; they are not part of the terms.
 */
export function readPolicy(policy: SslPolicy, unavailable: readonly string[]): PolicyReading {
  const message = problemOf(policy)
  if (message !== undefined) return { kind: 'problem', message }
  const isFips = policy.profile === 'FIPS_202205'
  const features = policyFeatures(policy)
  const features13 = profileFeatures13(policy.profile)
  const askedVersion = VERSIONS[policy.minTlsVersion]
  const ciphers = LEGACY_SUITES.filter(
    ({ name }) => askedVersion < TLS_1_3 && features.includes(name) && !unavailable.includes(name),
  )
  const oldestUsed = oldestVersion(ciphers)
  const minVersion = Math.max(askedVersion, oldestUsed)
  return {
    kind: 'terms',
    terms: {
      minVersion,
      ciphers,
      cipherSuites: TLS_1_3_SUITES.filter(({ name }) => features13.includes(name)),
      groups: isFips ? FIPS_GROUPS : GROUPS,
      securityLevel: minVersion < TLS_1_2 ? 0 : 2,
    },
  }
}

function problemOf({ profile, minTlsVersion, customFeatures }: SslPolicy): string | undefined {
  if (minTlsVersion === 'TLS_1_3' && profile !== 'RESTRICTED') {
    return `minTlsVersion "TLS_1_3" needs the profile "RESTRICTED", not "${profile}"`
  }
  if (profile === 'FIPS_202205' && minTlsVersion !== 'TLS_1_2') {
    return `the profile "FIPS_202205" needs minTlsVersion "TLS_1_2", not "${minTlsVersion}"`
  }
  if (profile !== 'CUSTOM') {
    return customFeatures.length === 0 ? undefined : `customFeatures need the profile "CUSTOM", not "${profile}"`
  }
  if (customFeatures.length === 0) return 'the profile "CUSTOM" needs at least one of customFeatures'
  const unknown = customFeatures.find((name) => !TLS_1_2_FEATURES.some((known) => known === name))
  return unknown === undefined ? undefined : `customFeatures has "${unknown}", which is not a feature`
}

function oldestVersion(ciphers: readonly CipherSuite[]): number {
  if (ciphers.length === 0) return TLS_1_3
  return ciphers.some(({ versions }) => versions === 'any-before-1.3') ? VERSIONS.TLS_1_0 : TLS_1_2
}
