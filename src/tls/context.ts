import type { TlsContextHandle } from '../linux/native.ts'
import { type ContextTerms, contextCiphers, freeContext, makeContext, OpensslError } from '../linux/openssl.ts'
import { type CipherSuite, LEGACY_SUITES } from './cipher-suites.ts'
import type { PolicyTerms } from './policy.ts'

let unavailable: readonly string[] | undefined

/**
 * The suites, by registered name, that the OpenSSL inside node does not have, whatever is asked of it: it is asked once.
 *
 * Node builds OpenSSL without weak ciphers, among them 3DES.
 */
export function unavailableSuites(): readonly string[] {
  unavailable ??= LEGACY_SUITES.filter((suite) => !isAvailable(suite)).map(({ name }) => name)
  return unavailable
}

function isAvailable(suite: CipherSuite): boolean {
  let context: TlsContextHandle
  try {
    context = makeContext(true, {
      minVersion: 0x0301,
      ciphers: suite.opensslName,
      cipherSuites: 'TLS_AES_128_GCM_SHA256',
      groups: 'P-256',
      securityLevel: 0,
    })
  } catch (error) {
    // "no cipher match": OpenSSL knows none of the list.
    if (error instanceof OpensslError) return false
    throw error
  }
  const isThere = contextCiphers(context).includes(suite.id)
  freeContext(context)
  return isThere
}

/** Puts a policy's terms into OpenSSL's words. */
export function contextTerms(terms: PolicyTerms): ContextTerms {
  return {
    minVersion: terms.minVersion,
    ciphers: terms.ciphers.map(({ opensslName }) => opensslName).join(':'),
    cipherSuites: terms.cipherSuites.map(({ opensslName }) => opensslName).join(':'),
    groups: terms.groups.join(':'),
    securityLevel: terms.securityLevel,
  }
}
