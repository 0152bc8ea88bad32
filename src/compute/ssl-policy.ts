import { defineResource } from './resource.ts'
import { list, oneOf, optional, outputOnly } from './schema.ts'

/** Always on where TLS 1.3 is; accepted in a CUSTOM profile, and without effect there. */
const TLS_1_3_FEATURES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'] as const
const TLS_1_2_FEATURES = [
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

/** SSL policies (`compute#sslPolicy`). */
export const sslPolicies = defineResource(
  {
    kind: 'compute#sslPolicy',
    scopes: ['global', 'region'],
    description: 'Versions of TLS and cipher suites that clients may use.',
  },
  {
    profile: oneOf(
      'Which cipher suites: for old clients, for current ones, the strictest, those of FIPS, or a list of your own.',
      ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205', 'CUSTOM'],
      { default: 'COMPATIBLE' },
    ),
    minTlsVersion: oneOf('Oldest version of TLS.', ['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3'], {
      default: 'TLS_1_0',
    }),
    customFeatures: list(
      'Cipher suites of the CUSTOM profile.',
      oneOf('A cipher suite.', [...TLS_1_2_FEATURES, ...TLS_1_3_FEATURES]),
      { default: [] },
    ),
    postQuantumKeyExchange: optional(
      oneOf('Key exchange of TLS 1.3 against quantum computers.', ['DEFAULT'], {
        unsupported: ['ENABLED', 'DEFERRED'],
        remedy: 'give DEFAULT or remove it',
      }),
    ),
    enabledFeatures: outputOnly('What the policy turns on.'),
    warnings: outputOnly('What a server thinks of the policy.'),
  },
  {
    rules: (rule) => [
      rule(['profile', 'minTlsVersion'], ({ profile, minTlsVersion }, report) => {
        if (minTlsVersion === 'TLS_1_3' && profile !== 'RESTRICTED') {
          report('minTlsVersion', `TLS_1_3 does not go with the profile ${profile}`, 'give RESTRICTED as profile')
        } else if (profile === 'FIPS_202205' && minTlsVersion !== 'TLS_1_2') {
          report('minTlsVersion', `${minTlsVersion} does not go with the profile FIPS_202205`, 'give TLS_1_2')
        }
      }),
      rule(['profile', 'customFeatures'], ({ profile, customFeatures }, report) => {
        const chosen = customFeatures.filter((feature) => TLS_1_2_FEATURES.some((name) => name === feature))
        const example = TLS_1_2_FEATURES[3]
        if (profile === 'CUSTOM' && chosen.length === 0) {
          const problem = 'the profile CUSTOM has no cipher suite for TLS 1.2'
          report('customFeatures', problem, `list at least one, such as ${example}`, 'required')
        } else if (profile !== 'CUSTOM' && customFeatures.length > 0) {
          report(
            'customFeatures',
            `the profile ${profile} has no list of its own`,
            'remove it, or give CUSTOM as profile',
          )
        }
      }),
    ],
  },
)
