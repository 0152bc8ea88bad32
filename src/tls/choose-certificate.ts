import type { CipherSuite } from './cipher-suites.ts'
import type { ClientHello } from './client-hello.ts'

/** What kind of key a certificate has; of RSA the size does not matter here. */
export type KeyKind = 'rsa' | 'ecdsa-p256' | 'ecdsa-p384'

/** What the choice depends on; names are in lower case, `*.example.com` stands for one label. */
export type CertificateTraits = { readonly names: readonly string[]; readonly keyKind: KeyKind }

/** How a connection will be signed, as far as the choice depends on it. */
export type SigningTerms = {
  /** The suites of TLS 1.2 and below that the server offers. */
  readonly ciphers: readonly CipherSuite[]
}

const TLS_1_2 = 0x0303
const TLS_1_3 = 0x0304

/** Signature schemes (RFC 8446 §4.2.3) that each kind of key can make in TLS 1.3. */
const SCHEMES: Readonly<Record<KeyKind, readonly number[]>> = {
  rsa: [0x0804, 0x0805, 0x0806],
  'ecdsa-p256': [0x0403],
  'ecdsa-p384': [0x0503],
}
/** In TLS 1.2 the curve and the hash are not tied: SHA-256, SHA-384, SHA-512, SHA-224, SHA-1. */
const ECDSA_SCHEMES = [0x0403, 0x0503, 0x0603, 0x0303, 0x0203]
const RSA_SCHEMES = [0x0401, 0x0501, 0x0601, 0x0301, 0x0201, ...SCHEMES.rsa]
const CURVES: Readonly<Record<KeyKind, number>> = { rsa: 0, 'ecdsa-p256': 23, 'ecdsa-p384': 24 }

/** Finds certificates by name; made once for each set of certificates. */
export class CertificateChoice {
  readonly #certificates: readonly CertificateTraits[]
  readonly #byName = new Map<string, number[]>()
  readonly #terms: SigningTerms

  /** @param certificates the first is the default */
  constructor(certificates: readonly CertificateTraits[], terms: SigningTerms) {
    this.#certificates = certificates
    this.#terms = terms
    for (const [index, { names }] of certificates.entries()) {
      for (const name of new Set(names)) this.#byName.set(name, [...(this.#byName.get(name) ?? []), index])
    }
    for (const indexes of this.#byName.values()) indexes.sort((a, b) => this.#rank(a) - this.#rank(b) || a - b)
  }

  /**
   * The index of the certificate for a client.
   *
   * The longest name that matches decides, then ECDSA before RSA, then the order in which they were given; the first
   * certificate serves who asks for no name or for an unknown one. One whose key the client cannot verify is passed over
   * as long as there is another.
   */
  choose(hello: ClientHello): number {
    const { serverName } = hello
    if (serverName !== '') {
      const chosen = this.#firstUsable(serverName, hello) ?? this.#firstUsable(wildcardOf(serverName), hello)
      if (chosen !== undefined) return chosen
      const named = this.#byName.get(serverName)?.[0] ?? this.#byName.get(wildcardOf(serverName))?.[0]
      if (named !== undefined) return named
    }
    const usable = this.#certificates.findIndex(({ keyKind }) => canVerify(hello, keyKind, this.#terms))
    return Math.max(usable, 0)
  }

  #firstUsable(name: string, hello: ClientHello): number | undefined {
    const indexes = this.#byName.get(name)
    return indexes?.find((index) => canVerify(hello, this.#certificates[index].keyKind, this.#terms))
  }

  #rank(index: number): number {
    return this.#certificates[index].keyKind === 'rsa' ? 1 : 0
  }
}

/** The wildcard that covers `name`: its first label stands for the star (RFC 6125 §6.4.3). */
function wildcardOf(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? '' : `*${name.slice(dot)}`
}

/** Reports whether a client can take a server with such a key. */
export function canVerify(hello: ClientHello, keyKind: KeyKind, terms: SigningTerms): boolean {
  const { signatureSchemes: schemes, groups, versions, cipherSuites } = hello
  if (versions.includes(TLS_1_3)) return SCHEMES[keyKind].some((scheme) => schemes.includes(scheme))
  // Numbers that no version has are there so that servers learn to pass over them (RFC 8701).
  const version = Math.max(...versions.filter((offered) => offered < TLS_1_3), 0)
  const isRsa = keyKind === 'rsa'
  const hasSuite = terms.ciphers.some(
    ({ authentication, id, versions: usedBy }) =>
      authentication === (isRsa ? 'rsa' : 'ecdsa') &&
      cipherSuites.includes(id) &&
      (version >= TLS_1_2 || usedBy === 'any-before-1.3'),
  )
  if (!hasSuite) return false
  if (!isRsa && groups.length > 0 && !groups.includes(CURVES[keyKind])) return false
  if (version < TLS_1_2 || schemes.length === 0) return true
  return (isRsa ? RSA_SCHEMES : ECDSA_SCHEMES).some((scheme) => schemes.includes(scheme))
}
