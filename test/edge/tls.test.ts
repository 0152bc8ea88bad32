import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Host } from '../../src/lab/host.ts'
import { readProxyHeader } from '../../src/proxy-protocol/read-proxy-header.ts'
import { readAuthority } from '../../src/proxy-protocol/text-tlvs.ts'
import { readClientTls } from '../../src/proxy-protocol/tls-tlv.ts'
import { readTlvs } from '../../src/proxy-protocol/tlv.ts'
import { type Issued, issue } from '../../src/tls/test-certificates.ts'
import { testDirectory } from '../rig/directory.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { readUntilClosed, startRecordingApp } from '../rig/recording-app.ts'
import { type Running, startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

// Clients are on the host "backend" and the app is on the same one: the edge stands between.
const APP = `${BACKEND}:9000`
const FRONTEND = `${EDGE}:443`
const USUAL = ['--listen', FRONTEND, '--backend', APP, '--check-interval', '1h', '--check-timeout', '1s']

const ROOT = issue({ commonName: 'Root', isAuthority: true })
const INTERMEDIATE = issue({ commonName: 'Intermediate', isAuthority: true, issuer: ROOT })
const LEAF = issue({ commonName: 'app.example', names: ['app.example'], issuer: INTERMEDIATE })

/** Writes a pair to files of its own; returns the flags that name them. */
function pairFlags(t: TestContext, chainPem: string, { keyPem }: Pick<Issued, 'keyPem'>): string[] {
  const folder = testDirectory(t)
  writeFileSync(join(folder, 'chain.pem'), chainPem)
  writeFileSync(join(folder, 'key.pem'), keyPem, { mode: 0o600 })
  return ['--tls-cert', join(folder, 'chain.pem'), '--tls-key', join(folder, 'key.pem')]
}

function startEdge(t: TestContext, host: Host, ...args: string[]): Promise<Running> {
  const chain = LEAF.certificatePem + INTERMEDIATE.certificatePem
  return startTruepeer(host, 'edge', [...USUAL, ...pairFlags(t, chain, LEAF), ...args])
}

async function connectTls(from: Host, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    socket: await from.connect({ to: FRONTEND }),
    ca: ROOT.certificatePem,
    servername: 'app.example',
    ...options,
  })
  await once(socket, 'secureConnect')
  return socket
}

/** Ends a connection in order. */
async function finished(client: TLSSocket): Promise<void> {
  const answer = readUntilClosed(client)
  client.end()
  await answer
}

function issuerOf(client: TLSSocket): string {
  return String(client.getPeerCertificate().issuer.CN)
}

/** What the recording app has received, out of its answer: "192.0.2.1:80 <hexadecimal>". */
function receivedBy(answer: Buffer): Buffer {
  return Buffer.from(answer.toString().replace(/^\S+ /, ''), 'hex')
}

test('a client that knows only the root is served, and the app gets PROXY_V1 and the bytes in the clear', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  const { metric } = await startEdge(t, edge)
  const client = await connectTls(backend)
  const answer = readUntilClosed(client)
  client.end('hello')
  const { localAddress, localPort } = client
  assert.equal(receivedBy(await answer).toString(), `PROXY TCP4 ${localAddress} ${EDGE} ${localPort} 443\r\nhello`)
  assert.equal(await metric('truepeer_tls_handshakes_total{version="TLSv1.3"}'), 1)
})

test('PROXY_V2 tells version, cipher and the name that the client asked for', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await startEdge(t, edge, '--proxy-header', 'PROXY_V2')
  const client = await connectTls(backend, { maxVersion: 'TLSv1.2' })
  const { localPort } = client
  const answer = readUntilClosed(client)
  client.end('hello')
  const received = receivedBy(await answer)
  const header = readProxyHeader(received, 0, received.length, { v2LengthMax: 65_535 })
  assert.ok(header.kind === 'proxied')
  assert.equal(received.subarray(header.bytesRead).toString(), 'hello')
  assert.equal(header.source.port, localPort)
  const tlvs = readTlvs(received, header.tlvStart, header.tlvEnd)
  assert.equal(readAuthority(tlvs), 'app.example')
  const tls = readClientTls(tlvs)
  assert.deepEqual([tls?.version, tls?.cipher], ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'])
})

test('--tls-alpn lets clients agree on a protocol; who has none in common is served without', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await startEdge(t, edge, '--tls-alpn', 'postgresql', '--tls-alpn', 'imap')
  for (const [ALPNProtocols, agreed] of [
    [['imap', 'postgresql'], 'postgresql'],
    [['imap'], 'imap'],
    [['h2'], false],
    [[], false],
  ] as const) {
    const client = await connectTls(backend, { ALPNProtocols: [...ALPNProtocols] })
    assert.equal(client.alpnProtocol, agreed)
    client.destroy()
  }
})

test('a session is resumed by another worker', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  const { metric } = await startEdge(t, edge, '--workers', '2')
  const first = await connectTls(backend)
  // It comes with the first bytes of the app.
  const given = once(first, 'session')
  await finished(first)
  const [ticket] = (await given) as [Buffer]
  // Which worker accepts is the kernel's choice: among so many, both have had one.
  for (let count = 0; count < 16; count++) {
    const next = await connectTls(backend, { session: ticket })
    assert.equal(next.isSessionReused(), true)
    await finished(next)
  }
  assert.equal(await metric('truepeer_tls_resumptions_total{version="TLSv1.3"}'), 16)
})

test('the edge does not start with a certificate that it cannot serve, and says which file and why', async (t) => {
  const { edge } = await agentHosts(t)
  const other = issue()
  const encrypted = LEAF.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString()
  for (const [chainPem, key, args, problem] of [
    [LEAF.certificatePem, other, [], /key\.pem: sslCertificates\/edge: privateKey: .* does not belong to the first/],
    [LEAF.certificatePem + ROOT.certificatePem, LEAF, [], /chain\.pem: .* certificate: the chain is out of order/],
    ['', LEAF, [], /chain\.pem: .* certificate: /],
    [LEAF.certificatePem, { keyPem: encrypted }, [], /key\.pem: .* decrypt it with "openssl pkey/],
    [LEAF.certificatePem, LEAF, ['--tls-min-version', '1.3'], /give --tls-profile RESTRICTED/],
    [LEAF.certificatePem, LEAF, ['--tls-key', '/nowhere'], /give a --tls-key for each --tls-cert/],
  ] as const) {
    for (const more of [[], ['--check']]) {
      const all = ['edge', ...USUAL, ...pairFlags(t, chainPem, key), ...args, ...more]
      const { exitCode, stderr } = await edge.run(TRUEPEER, all)
      assert.match(stderr, problem)
      assert.equal(exitCode, 2)
    }
  }
})

test('a key that others can read is refused, as a file of its own and inside a configuration', async (t) => {
  const { edge } = await agentHosts(t)
  const flags = pairFlags(t, LEAF.certificatePem, LEAF)
  const key = flags[3]
  chmodSync(key, 0o640)
  const { exitCode, stderr } = await edge.run(TRUEPEER, ['edge', ...USUAL, ...flags])
  assert.match(stderr, /key\.pem: .*other users can read it; "chmod 600 .*key\.pem"/)
  assert.equal(exitCode, 2)
  chmodSync(flags[1], 0o644)
  const swapped = await edge.run(TRUEPEER, ['edge', ...USUAL, '--tls-cert', key, '--tls-key', flags[1], '--check'])
  assert.match(swapped.stderr, /privateKey: .*this is a certificate in PEM/)
  assert.doesNotMatch(swapped.stderr, /other users can read it/)
  const file = join(dirname(key), 'lb.yaml')
  const certificate = { kind: 'compute#sslCertificate', name: 'mine', certificate: LEAF.certificatePem }
  writeFileSync(file, JSON.stringify({ ...certificate, privateKey: LEAF.keyPem }), { mode: 0o644 })
  const refused = await edge.run(TRUEPEER, ['edge', '--config', file, '--check'])
  assert.match(refused.stderr, /lb\.yaml: .*other users can read it; "chmod 600 /)
  assert.equal(refused.exitCode, 2)
  assert.doesNotMatch(refused.stderr, /BEGIN/)
  chmodSync(file, 0o600)
  assert.equal((await edge.run(TRUEPEER, ['edge', '--config', file, '--check'])).exitCode, 0)
})

test('SIGHUP reads the files again: new clients get the new certificate, and a wrong one changes nothing', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  const flags = pairFlags(t, LEAF.certificatePem + INTERMEDIATE.certificatePem, LEAF)
  const { program } = await startTruepeer(edge, 'edge', [...USUAL, ...flags])
  const [, chainFile, , keyFile] = flags
  const first = await connectTls(backend)
  const next = issue({ commonName: 'app.example', names: ['app.example'], issuer: ROOT })
  writeFileSync(chainFile, next.certificatePem)
  program.signal('SIGHUP')
  await program.waitForLine(/"The reload failed; the old configuration is still in use"/)
  const kept = await connectTls(backend)
  assert.equal(issuerOf(kept), 'Intermediate')
  await finished(kept)
  writeFileSync(keyFile, next.keyPem)
  program.signal('SIGHUP')
  await program.waitForLine(/"configuration applied"/)
  const changed = await connectTls(backend)
  assert.equal(issuerOf(changed), 'Root')
  await finished(changed)
  // The connection that began with the former certificate goes on.
  await finished(first)
})

/** The issuer in the certificate that a new client is shown; its chain may be short. */
async function shownIssuer(from: Host): Promise<string> {
  const client = await connectTls(from, { rejectUnauthorized: false })
  const issuer = issuerOf(client)
  await finished(client)
  return issuer
}

/** Puts a file or a link in the place of another one, in one step. */
function replaceBy(path: string, make: (path: string) => void): void {
  make(`${path}.new`)
  renameSync(`${path}.new`, path)
}

test('with --watch a renewed pair is applied however it is put there, and one that does not fit changes nothing', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  // As certbot lays out its files: live/chain.pem -> ../archive/chain1.pem, which is switched to chain2.pem.
  const root = testDirectory(t)
  for (const folder of ['live', 'archive']) mkdirSync(join(root, folder))
  const [chain, key] = [join(root, 'live', 'chain.pem'), join(root, 'live', 'key.pem')]
  const archive = (version: number, { certificatePem, keyPem }: Issued): void => {
    writeFileSync(join(root, 'archive', `chain${version}.pem`), certificatePem)
    writeFileSync(join(root, 'archive', `key${version}.pem`), keyPem, { mode: 0o600 })
  }
  const linkTo = (path: string, name: string) => replaceBy(path, (link) => symlinkSync(`../archive/${name}`, link))
  const leafOf = (issuer: Issued) => issue({ commonName: 'app.example', names: ['app.example'], issuer })
  const [first, second, third] = [leafOf(ROOT), leafOf(INTERMEDIATE), leafOf(ROOT)]
  archive(1, first)
  linkTo(chain, 'chain1.pem')
  linkTo(key, 'key1.pem')
  const files = ['--tls-cert', chain, '--tls-key', key, '--watch']
  const { program } = await startTruepeer(edge, 'edge', [...USUAL, ...files])
  const told = async (line: RegExp, change: () => void): Promise<void> => {
    const from = program.output.length
    change()
    await program.waitForLine(line, { from, timeoutMs: 5_000 })
  }
  const applied = (change: () => void) => told(/"configuration applied"/, change)
  const refused = async (problem: RegExp, change: () => void): Promise<void> => {
    const from = program.output.length
    await told(/"The reload failed; the old configuration is still in use"/, change)
    await program.waitForLine(problem, { from })
  }
  assert.equal(await shownIssuer(backend), 'Root')

  // Links that are switched, one of them too late: tried again when the other one has come.
  archive(2, second)
  await refused(/key\.pem: .*does not belong to the first certificate/, () => linkTo(chain, 'chain2.pem'))
  assert.equal(await shownIssuer(backend), 'Root')
  await applied(() => linkTo(key, 'key2.pem'))
  assert.equal(await shownIssuer(backend), 'Intermediate')

  // Renamed into place, both at once.
  await applied(() => {
    replaceBy(chain, (path) => writeFileSync(path, third.certificatePem))
    replaceBy(key, (path) => writeFileSync(path, third.keyPem, { mode: 0o600 }))
  })
  assert.equal(await shownIssuer(backend), 'Root')

  // Half of a file, then all of it; a key that others may read until they may not.
  const both = second.certificatePem + INTERMEDIATE.certificatePem
  await refused(/chain\.pem: .*a block/, () => writeFileSync(chain, both.slice(0, -100)))
  await refused(/key\.pem: .*does not belong/, () => writeFileSync(chain, both))
  await refused(/key\.pem: .*"chmod 600 /, () => {
    chmodSync(key, 0o640)
    writeFileSync(key, second.keyPem)
  })
  assert.equal(await shownIssuer(backend), 'Root')
  await applied(() => chmodSync(key, 0o600))
  assert.equal(await shownIssuer(backend), 'Intermediate')
})
