/** How the server proves who it is: by the key of its certificate; in TLS 1.3 any suite goes with any key. */
export type SuiteAuthentication = 'ecdsa' | 'rsa' | 'any'

/** A cipher suite with its number and its names. */
export type CipherSuite = {
  /** As registered at IANA, in two bytes. */
  readonly id: number
  /** The registered name, which is also Google's name of the feature. */
  readonly name: string
  /** OpenSSL's name; in TLS 1.3 the registered one. */
  readonly opensslName: string
  readonly authentication: SuiteAuthentication
  /** The versions that can use it. */
  readonly versions: 'any-before-1.3' | '1.2' | '1.3'
}

function suite(
  id: number,
  name: string,
  opensslName: string,
  authentication: SuiteAuthentication,
  versions: CipherSuite['versions'],
): CipherSuite {
  return { id, name, opensslName, authentication, versions }
}

/** The suites of TLS 1.2 and below that SSL policies know, in the order in which a server prefers them. */
export const LEGACY_SUITES: readonly CipherSuite[] = [
  suite(0xc02b, 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ecdsa', '1.2'),
  suite(0xc02f, 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'rsa', '1.2'),
  suite(0xc02c, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ecdsa', '1.2'),
  suite(0xc030, 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384', 'rsa', '1.2'),
  suite(0xcca9, 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ecdsa', '1.2'),
  suite(0xcca8, 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305', 'rsa', '1.2'),
  suite(0xc009, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA', 'ecdsa', 'any-before-1.3'),
  suite(0xc013, 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA', 'rsa', 'any-before-1.3'),
  suite(0xc00a, 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA', 'ecdsa', 'any-before-1.3'),
  suite(0xc014, 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA', 'rsa', 'any-before-1.3'),
  suite(0x009c, 'TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256', 'rsa', '1.2'),
  suite(0x009d, 'TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384', 'rsa', '1.2'),
  suite(0x002f, 'TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA', 'rsa', 'any-before-1.3'),
  suite(0x0035, 'TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA', 'rsa', 'any-before-1.3'),
  suite(0x000a, 'TLS_RSA_WITH_3DES_EDE_CBC_SHA', 'DES-CBC3-SHA', 'rsa', 'any-before-1.3'),
]

/** The suites of TLS 1.3, in the order in which a server prefers them. */
export const TLS_1_3_SUITES: readonly CipherSuite[] = [
  suite(0x1301, 'TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256', 'any', '1.3'),
  suite(0x1302, 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384', 'any', '1.3'),
  suite(0x1303, 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_CHACHA20_POLY1305_SHA256', 'any', '1.3'),
]

const NAMES = new Map([...LEGACY_SUITES, ...TLS_1_3_SUITES].map(({ id, opensslName }) => [id, opensslName]))

/** OpenSSL's name of a suite; its number in hexadecimal when it is none of ours. */
export function cipherName(id: number): string {
  return NAMES.get(id) ?? `0x${id.toString(16).padStart(4, '0')}`
}
