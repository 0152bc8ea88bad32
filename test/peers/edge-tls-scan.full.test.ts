// What a scanner finds of each SSL policy: exactly the profile, but for what the edge says that it does not have.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { LEGACY_SUITES, TLS_1_3_SUITES } from '../../src/tls/cipher-suites.ts'
import { issue } from '../../src/tls/test-certificates.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { startRecordingApp } from '../rig/recording-app.ts'
import { skipWithout } from '../rig/skip.ts'
import { INTERMEDIATE, issueLeaf, LEAF, sslResources } from '../rig/ssl-resources.ts'

const APP = `${IPV4.backend}:9000`
const VERSIONS = ['TLSv1.0', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
const RSA = issue({ commonName: 'app.example', names: ['app.example'], keyKind: 'rsa', issuer: INTERMEDIATE })

const RESTRICTED = LEGACY_SUITES.filter(({ name }) => /ECDHE.*(GCM|CHACHA20)/.test(name)).map(({ name }) => name)
const MODERN = LEGACY_SUITES.filter(({ name }) => name.includes('ECDHE')).map(({ name }) => name)
const PROFILES: Readonly<Record<string, readonly string[]>> = {
  RESTRICTED,
  MODERN,
  COMPATIBLE: LEGACY_SUITES.map(({ name }) => name),
  FIPS_202205: RESTRICTED.filter((name) => name.includes('GCM')),
  CUSTOM: ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'TLS_RSA_WITH_AES_128_CBC_SHA'],
}
const POLICIES = Object.keys(PROFILES).flatMap((profile) =>
  ['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3']
    .filter((minimum) => minimum !== 'TLS_1_3' || profile === 'RESTRICTED')
    .filter((minimum) => minimum === 'TLS_1_2' || profile !== 'FIPS_202205')
    .map((minTlsVersion) => ({ profile, minTlsVersion })),
)

test('sslscan finds exactly what each policy says', { skip: skipWithout('sslscan'), timeout: 900_000 }, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  // One frontend with each kind of key: a scanner takes the suites of the certificate that it is shown.
  const described = (policy: object): object[] => {
    const certificates = { ecdsa: LEAF, rsa: { ...RSA }, other: issueLeaf('other.example') }
    return sslResources({ listen: `${IPV4.edge}:443`, endpoints: [APP], certificates, policy })
  }
  const live = await startConfiguredEdge(t, edge, described({ profile: 'MODERN', minTlsVersion: 'TLS_1_2' }))
  for (const { profile, minTlsVersion } of POLICIES) {
    await t.test(`${profile} from ${minTlsVersion}`, async () => {
      const customFeatures = profile === 'CUSTOM' ? PROFILES.CUSTOM : []
      assert.equal(await live.reload(described({ profile, minTlsVersion, customFeatures })), 'ok')
      const { stdout } = await client.run('sslscan', ['--no-colour', '--sni-name=app.example', `${IPV4.edge}:443`], {
        timeoutMs: 120_000,
      })
      const found = new Set(
        stdout.split('\n').flatMap((line) => {
          const [, version, name] = /^(?:Preferred|Accepted) +(TLSv1\.\d) +\d+ bits +(\S+)/.exec(line) ?? []
          return version === undefined ? [] : [`${version} ${name}`]
        }),
      )
      const { tls } = (await live.status()).frontends[0]
      assert.ok(tls)
      const expected = expectedOf(profile, minTlsVersion, tls.unavailable)
      assert.deepEqual([...found].sort(), expected.sort(), stdout)
      const warned = live.program
        .texts()
        .filter((line) => line.includes('this OpenSSL does not support'))
        .join('\n')
      for (const name of tls.unavailable) assert.match(warned, new RegExp(name))
    })
  }
})

function expectedOf(profile: string, minTlsVersion: string, unavailable: readonly string[]): string[] {
  const first = VERSIONS.indexOf(minTlsVersion.replace('TLS_', 'TLSv').replace('_', '.'))
  return VERSIONS.slice(first).flatMap((version) => {
    if (version === 'TLSv1.3') {
      const suites = TLS_1_3_SUITES.filter(({ name }) => profile !== 'FIPS_202205' || !name.includes('CHACHA20'))
      return suites.map(({ opensslName }) => `${version} ${opensslName}`)
    }
    return LEGACY_SUITES.filter(({ name }) => PROFILES[profile].includes(name) && !unavailable.includes(name))
      .filter(({ versions }) => version === 'TLSv1.2' || versions === 'any-before-1.3')
      .map(({ opensslName }) => `${version} ${opensslName}`)
  })
}
