import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { readProxyHeader } from '../../src/proxy-protocol/read-proxy-header.ts'
import { readClientTls } from '../../src/proxy-protocol/tls-tlv.ts'
import { readTlvs } from '../../src/proxy-protocol/tlv.ts'
import { type Issued, issue } from '../../src/tls/test-certificates.ts'
import { testDirectory } from '../rig/directory.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { exchange, readUntilClosed, startRecordingApp } from '../rig/recording-app.ts'
import { LOG_ALL } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import {
  connectTls,
  finish,
  INTERMEDIATE,
  issueLeaf,
  LEAF,
  ROOT,
  receivedBy,
  type SslDescription,
  secure,
  shownName,
  sslResources,
} from '../rig/ssl-resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const FRONTEND = `${IPV4.edge}:443`
const APP = `${IPV4.backend}:9000`
const OTHER_APP = `${IPV4.backend}:9001`
const DAY_MS = 86_400_000

function described(more: Partial<SslDescription> = {}): object[] {
  return sslResources({ listen: FRONTEND, endpoints: [APP], ...more })
}

/** The records of an edge, with all their fields. */
function fieldsOf({ program }: LiveEdge): Record<string, unknown>[] {
  return program
    .texts()
    .filter((line) => line.includes('"msg":"connection"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

type RecordFields = Readonly<Record<string, unknown>>

/** The first record for which `isIt` holds, once it is in the log. */
async function recordWhere(live: LiveEdge, isIt: (fields: RecordFields) => boolean): Promise<RecordFields> {
  await eventually('the record is in the log', () => fieldsOf(live).some(isIt))
  return fieldsOf(live).find(isIt) ?? {}
}

function warningsOf({ program }: LiveEdge): string[] {
  return program
    .texts()
    .map((line) => JSON.parse(line) as { readonly level: string | number; readonly msg: string })
    .filter(({ msg }) => /^(Certificate|SSL policy|The default SSL policy)/.test(msg))
    .map(({ msg }) => msg)
}

test('a target SSL proxy serves its certificates by name with the whole chain, and records what was agreed on', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  const certificates = { mine: LEAF, star: issueLeaf('*.star.example'), other: issueLeaf('other.example') }
  const proxy = { proxyHeader: 'PROXY_V1', alpnProtocols: ['imap', 'pop3'] }
  const live = await startConfiguredEdge(t, edge, described({ certificates, proxy, service: LOG_ALL }))
  for (const [servername, shown] of [
    ['app.example', 'app.example'],
    ['a.star.example', '*.star.example'],
    ['OTHER.example', 'other.example'],
    ['unknown.example', 'app.example'],
  ] as const) {
    // That the client knows only the root proves the chain.
    const tls = await connectTls(client, FRONTEND, { servername, checkServerIdentity: () => undefined })
    assert.deepEqual([shownName(tls), tls.authorized], [shown, true])
    await finish(tls)
  }
  const tls = await connectTls(client, FRONTEND, { ALPNProtocols: ['pop3', 'imap'], maxVersion: 'TLSv1.2' })
  assert.equal(tls.alpnProtocol, 'imap')
  const { localPort } = tls
  const answer = await finish(tls, 'hello')
  assert.equal(receivedBy(answer).toString(), `PROXY TCP4 ${IPV4.client} ${IPV4.edge} ${localPort} 443\r\nhello`)
  const record = await recordWhere(live, ({ protocol }) => protocol !== undefined)
  const { end, tlsVersion, tlsCipher, serverName, protocol, isResumed } = record
  assert.deepEqual(
    { end, tlsVersion, tlsCipher, serverName, protocol, isResumed },
    {
      end: 'finished',
      tlsVersion: 'TLSv1.2',
      tlsCipher: 'ECDHE-ECDSA-AES128-GCM-SHA256',
      serverName: 'app.example',
      protocol: 'imap',
      isResumed: false,
    },
  )
})

test('a reload changes certificates and policy for new clients; a wrong one names resource and field and changes nothing', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  const live = await startConfiguredEdge(t, edge, described())
  const old = await connectTls(client, FRONTEND, { maxVersion: 'TLSv1.2' })
  const stranger = { ...LEAF, keyPem: issue().keyPem }
  const broken = { ...LEAF, certificatePem: LEAF.certificatePem.replace(/\n..../, '\nAAAA') }
  for (const [certificates, problem] of [
    [{ mine: stranger }, /sslCertificates\/mine: privateKey: the private key does not belong/],
    [{ mine: LEAF, also: broken }, /sslCertificates\/also: certificate: certificate 1 of the chain cannot be read/],
  ] as const) {
    assert.equal(await live.reload(described({ certificates })), 'failed')
    const { problems } = (await live.status()).configuration
    assert.match(problems.join('\n'), problem)
    assert.doesNotMatch(live.program.texts().join('\n'), /BEGIN/)
  }
  const encrypted = LEAF.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString()
  const both = { mine: { ...LEAF, keyPem: encrypted }, also: broken }
  assert.equal(await live.reload(described({ certificates: both })), 'failed')
  const told = (await live.status()).configuration.problems.join('\n')
  assert.match(told, /mine: privateKey: .*openssl pkey/)
  assert.match(told, /also: certificate:/)
  assert.equal(shownName(await connectTls(client, FRONTEND)), 'app.example')

  const certificates = { renewed: issueLeaf('renewed.example', { names: ['app.example'] }) }
  const policy = { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' }
  assert.equal(await live.reload(described({ certificates, policy })), 'ok')
  const changed = await connectTls(client, FRONTEND)
  assert.deepEqual([shownName(changed), changed.getProtocol()], ['renewed.example', 'TLSv1.3'])
  await assert.rejects(connectTls(client, FRONTEND, { maxVersion: 'TLSv1.2' }), /version/i)
  // The connection that began under the former policy goes on.
  assert.match(await finish(old, 'still here'), / /)
})

test('who is in the handshake while a reload replaces the service of its port is led to the one that is there now', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP, OTHER_APP])
  const live = await startConfiguredEdge(t, edge, described({ proxy: { proxyHeader: 'NONE' } }))
  const [early, late] = [await client.connect({ to: FRONTEND }), await client.connect({ to: FRONTEND })]
  await eventually('both are waited for', async () => JSON.parse(await live.read('/connections')).length === 2)
  const replaced = JSON.stringify(described({ endpoints: [OTHER_APP], proxy: { proxyHeader: 'PROXY_V1' } }))
  assert.equal(await live.reload(replaced.replaceAll(/(?<="|\/)app"/g, 'other"')), 'ok')
  const [{ service }] = (await live.status()).frontends
  assert.equal(service, 'other')
  assert.match(receivedBy(await finish(await secure(early), 'hello')).toString(), /^PROXY TCP4 .*\r\nhello$/)
  assert.equal(await live.reload([]), 'ok')
  assert.equal(receivedBy(await finish(await secure(late), 'hello')).toString(), 'hello')
})

test('an expired certificate and a missing cipher suite are warnings in log, metric and status', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  const times = { notBefore: new Date(Date.now() - 3 * DAY_MS), notAfter: new Date(Date.now() - 2 * DAY_MS) }
  const certificates = { mine: LEAF, past: issueLeaf('past.example', times) }
  const policy = { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0' }
  const live = await startConfiguredEdge(t, edge, described({ certificates, policy }))
  const past = await connectTls(client, FRONTEND, { servername: 'past.example', rejectUnauthorized: false })
  assert.equal(shownName(past), 'past.example')
  assert.equal(String(past.authorizationError), 'CERT_HAS_EXPIRED')
  await finish(past)
  const days = async (name: string): Promise<number> =>
    (await live.metric(`truepeer_certificate_expiry_seconds{certificate="${name}"}`)) / 86_400
  assert.ok(Math.abs((await days('past')) + 2) < 0.1)
  assert.ok(Math.abs((await days('mine')) - 30) < 0.1)
  await live.reload(described({ certificates, policy, proxy: { proxyHeader: 'PROXY_V1' } }))
  // Each is said once, whatever is reloaded.
  const warnings = warningsOf(live)
  assert.equal(warnings.length, 2, warnings.join('\n'))
  assert.match(warnings[0], /^Certificate "past": it expired on .*; it is still served$/)
  assert.match(warnings[1], /^SSL policy "my-ssl-policy": this OpenSSL does not support TLS_RSA_WITH_3DES_EDE_CBC_SHA/)
  const { tls } = (await live.status()).frontends[0]
  assert.ok(tls)
  assert.equal(tls.minVersion, 'TLSv1')
  assert.ok(!tls.cipherSuites.includes('TLS_RSA_WITH_3DES_EDE_CBC_SHA'))
  const { stdout } = await edge.run(TRUEPEER, ['status', '--admin', live.admin])
  assert.match(stdout, /^past +rule-proxy +ecdsa-p256 .* -[23] +past\.example$/m)
  assert.match(stdout, /past: it expired on/)
})

test('behind a load balancer, its header stands before the handshake; who sends none is refused', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startRecordingApp(backend, [APP])
  const proxy = { proxyHeader: 'PROXY_V2' }
  const live = await startConfiguredEdge(t, edge, described({ proxy }), [
    '--accept-proxy',
    `${IPV4.client}/32`,
    '-v',
    '2',
  ])
  for (const isTogether of [true, false]) {
    const socket = await client.connect({ to: FRONTEND })
    socket.setNoDelay(true)
    socket.cork()
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.8 1007 443\r\n')
    if (isTogether) process.nextTick(() => socket.uncork())
    else {
      socket.uncork()
      await eventually('the header has been read', async () =>
        (await live.read('/connections')).includes('"Handshaking"'),
      )
    }
    const answer = receivedBy(await finish(await secure(socket), 'hello'))
    const header = readProxyHeader(answer, 0, answer.length, { v2LengthMax: 65_535 })
    assert.ok(header.kind === 'proxied')
    assert.equal(header.source.port, 1007)
    assert.equal(answer.subarray(header.bytesRead).toString(), 'hello')
    assert.equal(readClientTls(readTlvs(answer, header.tlvStart, header.tlvEnd))?.version, 'TLSv1.3')
  }
  await assert.rejects(connectTls(client, FRONTEND))
  await recordWhere(live, ({ end }) => end === 'header-malformed')
})

/** An app that speaks TLS; it answers a finished connection as the recording app does. */
async function startSecureApp(host: Host, endpoint: string, { certificatePem, keyPem }: Issued, hasHeader: boolean) {
  const secureContext = createSecureContext({ cert: certificatePem, key: keyPem })
  const onConnection = async (socket: Socket): Promise<void> => {
    let header = ''
    socket.on('error', () => undefined)
    while (hasHeader && !header.endsWith('\r\n')) {
      const byte = socket.read(1) as Buffer | null
      if (byte === null) await once(socket, 'readable')
      else header += byte.toString('latin1')
    }
    const tls = new TLSSocket(socket, { isServer: true, secureContext })
    tls.on('error', () => undefined)
    const chunks: Buffer[] = [Buffer.from(header)]
    tls.on('data', (chunk: Buffer) => chunks.push(chunk))
    tls.on('end', () => tls.end(`x ${Buffer.concat(chunks).toString('hex')}`))
  }
  await host.listen(endpoint, (socket) => void onConnection(socket).catch(() => undefined))
}

for (const [place, sni] of [
  ['BEFORE_TLS', 'inside.example'],
  ['INSIDE_TLS', 'inside.example'],
] as const) {
  test(`TLS on both sides, the header ${place}, the backend's certificate verified`, async (t) => {
    const { client, edge, backend } = await edgeHosts(t)
    const inside = issue({ commonName: 'inside.example', names: ['inside.example'], issuer: ROOT })
    await startSecureApp(backend, APP, inside, place === 'BEFORE_TLS')
    const roots = { sni, certificateAuthorities: ROOT.certificatePem, proxyHeaderPlace: place }
    const service = { protocol: 'SSL', tlsSettings: roots, ...LOG_ALL }
    const live = await startConfiguredEdge(t, edge, described({ service, proxy: { proxyHeader: 'PROXY_V1' } }))
    const tls = await connectTls(client, FRONTEND)
    const { localPort } = tls
    const received = receivedBy(await finish(tls, 'hello')).toString()
    assert.equal(received, `PROXY TCP4 ${IPV4.client} ${IPV4.edge} ${localPort} 443\r\nhello`)

    const wrong = { ...service, tlsSettings: { ...roots, certificateAuthorities: INTERMEDIATE.certificatePem } }
    assert.equal(await live.reload(described({ service: wrong, proxy: { proxyHeader: 'PROXY_V1' } })), 'ok')
    const refused = await connectTls(client, FRONTEND)
    assert.equal((await readUntilClosed(refused)).length, 0)
    const { refusal } = await recordWhere(live, ({ end }) => end === 'backend-handshake-failed')
    assert.equal(refusal, 'certificate-invalid')
  })
}

test("a backend's certificate has to carry one of subjectAltNames, and the name that is asked for counts no more", async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const uris = ['spiffe://example/app']
  const inside = issue({ commonName: 'inside.example', names: ['inside.example'], uris, issuer: ROOT })
  await startSecureApp(backend, APP, inside, false)
  const serviceWith = (...subjectAltNames: readonly object[]) => ({
    protocol: 'SSL',
    tlsSettings: { sni: 'inside.example', certificateAuthorities: ROOT.certificatePem, subjectAltNames },
    ...LOG_ALL,
  })
  const other = { dnsName: 'other.example' }
  const uri = { uniformResourceIdentifier: uris[0] }
  const live = await startConfiguredEdge(t, edge, described({ service: serviceWith(other, uri) }))
  assert.equal(receivedBy(await finish(await connectTls(client, FRONTEND), 'hello')).toString(), 'hello')

  assert.equal(await live.reload(described({ service: serviceWith(other) })), 'ok')
  const refused = await connectTls(client, FRONTEND)
  assert.equal((await readUntilClosed(refused)).length, 0)
  const { refusal } = await recordWhere(live, ({ end }) => end === 'backend-handshake-failed')
  assert.equal(refusal, 'certificate-invalid')

  assert.equal(await live.reload(described({ service: serviceWith({}) })), 'failed')
  const { problems } = (await live.status()).configuration
  assert.match(problems.join(), /backendServices\/app: tlsSettings\.subjectAltNames\[0\]: it contains no name; give/)
})

test('a backend whose TLS fails is passed over for the next one', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const plain = `${IPV4.backend}:9001`
  await backend.listen(plain, (socket) => void socket.end('220 no TLS here\r\n'))
  await startSecureApp(backend, APP, LEAF, false)
  const service = { protocol: 'SSL', ...LOG_ALL }
  const live = await startConfiguredEdge(t, edge, described({ endpoints: [plain, APP], service }))
  for (let count = 0; count < 4; count++) {
    assert.equal(receivedBy(await finish(await connectTls(client, FRONTEND), 'hello')).toString(), 'hello')
  }
  assert.ok((await live.backend(`app/us-central1-b/group/${plain}`)).connectFailures > 0)
  await eventually('four records', () => fieldsOf(live).length === 4)
  assert.ok(fieldsOf(live).every(({ end, refusal }) => end === 'finished' && refusal === undefined))
})

test('a TCP frontend re-encrypts towards its backends, too', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startSecureApp(backend, APP, LEAF, false)
  const [, , ...rest] = described({ service: { protocol: 'SSL' } })
  const rule = {
    kind: 'compute#forwardingRule',
    name: 'rule',
    IPAddress: IPV4.edge,
    portRange: '110-110',
    target: 'tcp',
  }
  const proxy = { kind: 'compute#targetTcpProxy', name: 'tcp', service: 'app' }
  await startConfiguredEdge(t, edge, [rule, proxy, ...rest])
  assert.equal(receivedBy(await exchange(client, `${IPV4.edge}:110`, 'hello')).toString(), 'hello')
})

test('early data is refused: tickets allow none, and a client that has some to send falls back to a handshake', {
  skip: skipWithout('openssl'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await backend.listen(APP, (socket) => void socket.once('data', () => socket.end('answer\n')))
  await startConfiguredEdge(t, edge, described())
  const folder = testDirectory(t)
  const [session, early] = [join(folder, 'session.pem'), join(folder, 'early')]
  writeFileSync(early, 'early')
  const options = ['s_client', '-connect', FRONTEND, '-tls1_3', '-servername', 'app.example', '-ign_eof']
  const first = await client.run('openssl', [...options, '-sess_out', session], { input: 'hello\n' })
  assert.match(first.stdout, /Max Early Data: 0/)
  const second = await client.run('openssl', [...options, '-sess_in', session, '-early_data', early], {
    input: 'hello\n',
  })
  assert.match(second.stdout, /^Reused, TLSv1\.3/m, second.stderr)
  assert.match(second.stdout, /Early data was not sent|Early data was rejected/)
  assert.match(second.stdout, /^answer$/m)
})
