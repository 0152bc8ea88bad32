import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SecureVersion } from 'node:tls'
import { PROFILES, policyFeatures } from '../compute/ssl-features.ts'
import { readCertificate } from './certificate.ts'
import { type CipherSuite, LEGACY_SUITES, TLS_1_3_SUITES } from './cipher-suites.ts'
import type { ClientHello } from './client-hello.ts'
import { unavailableSuites } from './context.ts'
import { DEFAULT_POLICY, readPolicy, type SslPolicy } from './policy.ts'
import { TlsOptionsError, TlsServer, type TlsServerOptions } from './server.ts'
import { issue, serverCertificate } from './test-certificates.ts'
import { type Handshake, shakeHandsWithNode } from './test-memory-socket.ts'
import { TicketKeys } from './ticket-keys.ts'

const ECDSA = serverCertificate({ commonName: 'a.example' })
const RSA = serverCertificate({ commonName: 'a.example', keyKind: 'rsa' })

function serverOf(options: Partial<TlsServerOptions> = {}): TlsServer {
  return new TlsServer({
    name: 'my-proxy',
    certificates: [ECDSA, RSA],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 1_000,
    ...options,
  })
}

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

/** Every way in which a node client can speak: one version, one suite. */
const WAYS: readonly { readonly version: SecureVersion; readonly suite: CipherSuite }[] = VERSIONS.flatMap((version) =>
  (version === 'TLSv1.3' ? TLS_1_3_SUITES : LEGACY_SUITES)
    .filter(({ versions }) => versions !== '1.2' || version === 'TLSv1.2')
    // The client is of the same OpenSSL: what that lacks it cannot ask for.
    .filter(({ name }) => !unavailableSuites().includes(name))
    .map((suite) => ({ version, suite })),
)

function isOffered(policy: SslPolicy, version: SecureVersion, { name }: CipherSuite): boolean {
  const minVersion = `TLSv${policy.minTlsVersion.slice(4).replace('_', '.')}`.replace('v1.0', 'v1') as SecureVersion
  if (VERSIONS.indexOf(version) < VERSIONS.indexOf(minVersion)) return false
  if (version === 'TLSv1.3') return policy.profile !== 'FIPS_202205' || !name.includes('CHACHA')
  return policyFeatures(policy).includes(name)
}

const CUSTOM_FEATURES = ['TLS_RSA_WITH_AES_256_CBC_SHA', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']
const POLICIES = PROFILES.flatMap((profile) =>
  (['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3'] as const).map((minTlsVersion) => ({
    profile,
    minTlsVersion,
    customFeatures: profile === 'CUSTOM' ? CUSTOM_FEATURES : [],
  })),
).filter((policy) => readPolicy(policy, []).kind === 'terms')

for (const policy of POLICIES) {
  test(`${policy.profile} from ${policy.minTlsVersion} offers exactly what it says`, async () => {
    const server = serverOf({ policy })
    for (const { version, suite } of WAYS) {
      const { error, info } = await shakeHandsWithNode(server, {
        minVersion: version,
        maxVersion: version,
        // node's list must have one below TLS 1.3, even where the version leaves no use for it.
        ciphers: `${suite.opensslName}${version === 'TLSv1.3' ? ':AES128-SHA' : ''}:@SECLEVEL=0`,
      })
      const what = `${version} ${suite.name}`
      if (!isOffered(policy, version, suite)) {
        assert.equal(info, undefined, `${what} is offered`)
      } else {
        assert.equal(error, '', what)
        assert.deepEqual([info?.version, info?.cipher], [version, suite.opensslName])
      }
    }
    server.retire()
  })
}

test('a handshake that cannot be is named by its reason', async () => {
  const server = serverOf({ policy: { ...DEFAULT_POLICY, profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' } })
  const old = await shakeHandsWithNode(server, {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL:@SECLEVEL=0',
  })
  assert.deepEqual([old.failure, old.error], ['no-shared-version', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'])
  const weak = await shakeHandsWithNode(server, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' })
  assert.equal(weak.failure, 'no-shared-cipher')
  const fips = serverOf({ policy: { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2', customFeatures: [] } })
  const groups = await shakeHandsWithNode(fips, { ecdhCurve: 'X25519', minVersion: 'TLSv1.3' })
  assert.equal(groups.failure, 'no-shared-group')
  const distrusting = await shakeHandsWithNode(serverOf(), { rejectUnauthorized: true, servername: 'a.example' })
  assert.equal(distrusting.error, 'DEPTH_ZERO_SELF_SIGNED_CERT')
})

test('the group that is agreed on is one that the policy has', async () => {
  const server = serverOf({ policy: { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2', customFeatures: [] } })
  const { error, info } = await shakeHandsWithNode(server, { ecdhCurve: 'X25519:P-384' })
  assert.deepEqual([error, info?.version], ['', 'TLSv1.3'])
})

test('the certificate is chosen by name and by what the client can verify, and whole chains are sent', async () => {
  const root = issue({ commonName: 'Root', isAuthority: true })
  const intermediate = issue({ commonName: 'Intermediate', isAuthority: true, issuer: root })
  const leaf = issue({ commonName: 'b.example', names: ['b.example', '*.b.example'], issuer: intermediate })
  const chained = readCertificate('b', leaf.certificatePem + intermediate.certificatePem, leaf.keyPem)
  const server = serverOf({ certificates: [RSA, ECDSA, chained, serverCertificate({ commonName: 'c.example' })] })
  const subjectOf = async (servername: string, sigalgs?: string): Promise<string> => {
    const { shown, error } = await shakeHandsWithNode(server, {
      servername,
      ...(sigalgs === undefined ? {} : { sigalgs }),
      checkServerIdentity: () => undefined,
    })
    assert.equal(error, '')
    return shown
  }
  assert.equal(await subjectOf(''), 'a.example rsa')
  assert.equal(await subjectOf('nobody.example'), 'a.example rsa')
  assert.equal(await subjectOf('a.example'), 'a.example ecdsa')
  assert.equal(await subjectOf('a.example', 'rsa_pss_rsae_sha256:RSA+SHA256'), 'a.example rsa')
  assert.equal(await subjectOf('x.B.example'), 'b.example ecdsa')
  assert.equal(await subjectOf('c.example'), 'c.example ecdsa')
  const verified = await shakeHandsWithNode(server, {
    servername: 'b.example',
    ca: root.certificatePem,
    rejectUnauthorized: true,
  })
  assert.equal(verified.error, '')
  assert.equal(verified.info?.serverName, 'b.example')
})

test('the first of our protocols that the client has is agreed on; where there is none, the session goes on', async () => {
  const server = serverOf({ protocols: ['h2', 'imap'] })
  const both = await shakeHandsWithNode(server, { ALPNProtocols: ['imap', 'h2'] })
  assert.deepEqual([both.agreedProtocol, both.info?.protocol], ['h2', 'h2'])
  const other = await shakeHandsWithNode(server, { ALPNProtocols: ['pop3'] })
  assert.deepEqual([other.error, other.agreedProtocol, other.info?.protocol], ['', false, ''])
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const shake = (server: TlsServer, ticket?: Buffer): Promise<Handshake> =>
    shakeHandsWithNode(server, { minVersion: version, maxVersion: version, ...(ticket ? { session: ticket } : {}) })

  test(`${version}: a session is resumed in another worker, by another certificate, after the key was replaced`, async () => {
    const keys = new TicketKeys()
    const first = await shake(serverOf({ tickets: keys.table }))
    assert.deepEqual([first.error, first.info?.isResumed], ['', false])
    assert.ok(first.ticket)
    const second = await shake(serverOf({ tickets: keys.table }), first.ticket)
    assert.equal(second.info?.isResumed, true)
    keys.rotate()
    const third = await shake(serverOf({ tickets: keys.table, certificates: [RSA] }), first.ticket)
    assert.equal(third.info?.isResumed, true)
    // The client has got a ticket of the new key for that of the old one.
    for (let count = 0; count < 3; count++) keys.rotate()
    const fourth = await shake(serverOf({ tickets: keys.table }), third.ticket)
    assert.deepEqual([fourth.error, fourth.info?.isResumed], ['', true])
  })

  test(`${version}: a ticket is worth nothing once its key is gone, with other keys, or under another name`, async () => {
    const keys = new TicketKeys()
    const { ticket } = await shake(serverOf({ tickets: keys.table }))
    assert.ok(ticket)
    const elsewhere = await shake(serverOf({ tickets: keys.table, name: 'other-proxy' }), ticket)
    assert.deepEqual([elsewhere.error, elsewhere.info?.isResumed], ['', false])
    const otherKeys = await shake(serverOf(), ticket)
    assert.deepEqual([otherKeys.error, otherKeys.info?.isResumed], ['', false])
    for (let count = 0; count < 4; count++) keys.rotate()
    const late = await shake(serverOf({ tickets: keys.table }), ticket)
    assert.deepEqual([late.error, late.info?.isResumed], ['', false])
  })

  test(`${version}: a ticket of one name is worth nothing under another, or under none (RFC 6066 §3)`, async () => {
    const keys = new TicketKeys()
    const shakeAs = (servername: string, ticket?: Buffer): Promise<Handshake> =>
      shakeHandsWithNode(serverOf({ tickets: keys.table }), {
        minVersion: version,
        maxVersion: version,
        servername,
        ...(ticket ? { session: ticket } : {}),
      })
    const { ticket } = await shakeAs('a.example')
    assert.ok(ticket)
    // Names have no case, but only OpenSSL before 3.5 resumes under another spelling; a full handshake harms nobody.
    assert.equal((await shakeAs('A.example', ticket)).error, '')
    assert.equal((await shakeAs('a.example', ticket)).info?.isResumed, true)
    // Both names have the same certificate, as those of a wildcard have.
    for (const other of ['c.example', '']) {
      const elsewhere = await shakeAs(other, ticket)
      assert.deepEqual([elsewhere.error, elsewhere.info?.isResumed], ['', false], `under "${other}"`)
    }
    const { ticket: ofNoName } = await shakeAs('')
    assert.ok(ofNoName)
    assert.equal((await shakeAs('a.example', ofNoName)).info?.isResumed, false)
    assert.equal((await shakeAs('', ofNoName)).info?.isResumed, true)
  })
}

test('a session of TLS 1.2 is not resumed with a suite that the policy does not have any more', async () => {
  const keys = new TicketKeys()
  const restricted: SslPolicy = { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2', customFeatures: [] }
  const options = { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' } as const
  const { ticket } = await shakeHandsWithNode(serverOf({ tickets: keys.table }), options)
  assert.ok(ticket)
  const same = await shakeHandsWithNode(serverOf({ tickets: keys.table }), { ...options, session: ticket })
  assert.equal(same.info?.isResumed, true)
  const server = serverOf({ tickets: keys.table, policy: restricted })
  const other = await shakeHandsWithNode(server, { ...options, session: ticket })
  assert.equal(other.failure, 'no-shared-cipher')
})

for (const [name, weak, rule] of [
  ['a short key', { keyKind: 'rsa-1024' }, /the key of a certificate behind the first is too short for the SSL policy/],
  ['SHA-1 in its signature', { isSignedWithSha1: true }, /is signed with a digest that is too weak for the SSL policy/],
] as const) {
  test(`an intermediate with ${name} is served, or refused before it is served, as the policy has it`, async () => {
    const root = issue({ commonName: 'Root', isAuthority: true })
    const intermediate = issue({ commonName: 'Old', isAuthority: true, issuer: root, ...weak })
    const leaf = issue({ commonName: 'b.example', names: ['b.example'], issuer: intermediate })
    const chained = readCertificate('b', leaf.certificatePem + intermediate.certificatePem, leaf.keyPem)
    const { error } = await shakeHandsWithNode(serverOf({ certificates: [chained] }))
    assert.equal(error, '', 'it is served where old clients are')
    const modern: SslPolicy = { profile: 'MODERN', minTlsVersion: 'TLS_1_2', customFeatures: [] }
    let server: TlsServer
    try {
      server = serverOf({ certificates: [chained], policy: modern })
    } catch (refusal) {
      assert.match(String(refusal), rule)
      return
    }
    // OpenSSL 3.5 still takes SHA-1 here, and then in handshakes, too.
    assert.ok(!('keyKind' in weak), 'a short key is refused by every OpenSSL')
    assert.equal((await shakeHandsWithNode(server)).error, '')
  })
}

test('bytes that come with the end of the handshake are not lost', async () => {
  const { text } = await shakeHandsWithNode(serverOf())
  assert.equal(text, 'hello')
})

test('what cannot be served is refused with the name of the frontend', () => {
  const certificates = new Array(16).fill(ECDSA)
  for (const [options, problem] of [
    [{ certificates: [] }, /"my-proxy": there is no certificate/],
    [{ certificates }, /16 certificates are more than 15/],
    [{ policy: { ...DEFAULT_POLICY, minTlsVersion: 'TLS_1_3' as const } }, /RESTRICTED/],
  ] as const) {
    assert.throws(
      () => serverOf(options),
      (error: Error) => error instanceof TlsOptionsError && problem.test(error.message),
    )
  }
})

test('fifteen certificates can be served', () => {
  serverOf({ certificates: new Array(15).fill(ECDSA) }).retire()
})

test('a server that is retired serves the client that had connected before', async () => {
  const server = serverOf()
  const shaking = shakeHandsWithNode(server)
  server.retire()
  assert.equal((await shaking).error, '')
})

test('contexts are kept until the last client that has connected has said hello, and no longer', () => {
  const hello: ClientHello = {
    ...{ kind: 'hello', serverName: '', protocols: [], versions: [0x0304], cipherSuites: [0x1301] },
    ...{ signatureSchemes: [0x0403], groups: [23], hasEarlyData: false },
  }
  const server = serverOf()
  const hasContext = (): boolean => server.contextFor(hello) !== undefined
  server.acquire()
  server.release()
  assert.ok(hasContext(), 'it is in use, though nobody is connected')
  server.acquire()
  server.acquire()
  server.retire()
  server.release()
  assert.ok(hasContext())
  server.release()
  assert.ok(!hasContext())
  const unused = serverOf()
  unused.retire()
  assert.equal(unused.contextFor(hello), undefined)
})
