import { defineResource } from './resource.ts'
import { list, oneOf, optional, outputOnly } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'
import { MIN_TLS_VERSIONS, PROFILES, TLS_1_2_FEATURES, TLS_1_3_FEATURES } from './ssl-features.ts'

/** SSL policies (`compute#sslPolicy`). */
export const sslPolicies = defineResource(
  {
    kind: 'compute#sslPolicy',
    scopes: ['global', 'region'],
    description: 'Versions of TLS and cipher suites that clients may use.',
  },
  {
    profile: oneOf(
      'The cipher suites: those for old clients, those for current clients, the strictest, those of FIPS, or a list of your own.',
      [...PROFILES],
      { default: serverDefaults.sslPolicies.profile },
    ),
    minTlsVersion: oneOf('Oldest version of TLS.', [...MIN_TLS_VERSIONS], {
      default: serverDefaults.sslPolicies.minTlsVersion,
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
    enabledFeatures: outputOnly('What the policy enables.'),
    warnings: outputOnly('Warnings of a server.'),
  },
  {
    rules: (rule) => [
      rule(['profile', 'minTlsVersion'], ({ profile, minTlsVersion }, report) => {
        if (minTlsVersion === 'TLS_1_3' && profile !== 'RESTRICTED') {
          report('minTlsVersion', `TLS_1_3 cannot be used with the profile ${profile}`, 'give RESTRICTED as profile')
        } else if (profile === 'FIPS_202205' && minTlsVersion !== 'TLS_1_2') {
          report('minTlsVersion', `${minTlsVersion} cannot be used with the profile FIPS_202205`, 'give TLS_1_2')
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
