// The subject alternative names of a certificate (RFC 5280 §4.2.1.6): reading them, and looking for some of them.
import { X509Certificate } from 'node:crypto'

const CHECK_HOST = { subject: 'never', partialWildcards: false } as const

/** A name as node writes it: its kind ("DNS", "URI", "IP Address" and others) and its value. */
type AlternativeName = { readonly kind: string; readonly value: string }

/** Names of which a certificate has to carry at least one. */
export type AcceptedNames = {
  /** Host names; one with a wildcard in its first label matches, too (RFC 9525 §6.3). */
  readonly dnsNames: readonly string[]
  /** Matched character by character. */
  readonly uris: readonly string[]
}

/** The alternative names of a certificate, in its order. */
export function alternativeNames({ subjectAltName = '' }: X509Certificate): readonly AlternativeName[] {
  // A name with a character that could be taken for the text around it is in quotes.
  return [...subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, kind, value]) => ({
    kind,
    value: value.startsWith('"') ? String(JSON.parse(value)) : value,
  }))
}

/** Reports whether a certificate (DER) carries one of the names; its common name counts for nothing. */
export function carriesOneOf(der: Uint8Array, { dnsNames, uris }: AcceptedNames): boolean {
  const certificate = new X509Certificate(der)
  if (dnsNames.some((name) => certificate.checkHost(name, CHECK_HOST) !== undefined)) return true
  return (
    uris.length > 0 && alternativeNames(certificate).some(({ kind, value }) => kind === 'URI' && uris.includes(value))
  )
}
