// Rows 9 to 11, 14 and 18 of the guide by Google's own gcloud: from a certificate to a TLS client whose address the app sees.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Issued } from '../../src/tls/test-certificates.ts'
import { AGENT, APP } from '../rig/agent.ts'
import { startFollowingEdge } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { type InteropHosts, interopHosts } from '../rig/interop-hosts.ts'
import { connectTls, INTERMEDIATE, issueLeaf, LEAF, ROOT, shownName } from '../rig/ssl-resources.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'
import { type Gcloud, guideRows, noGcloud, withGcloud } from './gcloud.ts'

/** The guide's rule for TLS; row 13 has port 110. */
const FRONTEND = `${IPV4.edge}:995`
const POLICY = 'my-ssl-policy'
const PROXY = 'my-ssl-lb-target-proxy'
/** What MODERN has and RESTRICTED has not. */
const TLS10: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }
const CBC: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }
const GCM: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }
/** What COMPATIBLE has and MODERN has not. */
const STATIC_RSA: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }
const FOLLOW_MS_MAX = 2_000

test('the SSL proxy of the guide, by gcloud, with an agent; handshakes follow the policy and the certificate', {
  skip: noGcloud,
}, async (t) => {
  await withGcloud(async (gcloud, { unix }) => {
    const hosts = await interopHosts(t, { hasApp: false })
    const directory = testDirectory(t)
    await startPrograms(hosts, unix, directory)
    await t.test('rows 1 to 14, without those for plain TCP', () => create(t, gcloud, directory))
    await t.test('row 18: truepeer verify', () => verify(hosts, directory))
    await t.test('row 18: the whole chain, and what the policy says', () => handshakes(hosts))
    const early = await open(hosts, TLS10)
    await t.test('ssl-policies update', (inner) => updatePolicy(inner, hosts, gcloud))
    await t.test('target-ssl-proxies update, another certificate', (inner) =>
      updateCertificate(inner, hosts, gcloud, directory),
    )
    await t.test('two certificates, chosen by name', (inner) => chooseByName(inner, hosts, gcloud))
    await t.test('target-ssl-proxies update, no policy', (inner) => clearPolicy(inner, hosts, gcloud))
    await t.test('a connection from before all that goes on', async () => {
      early.socket.write('ping still\n')
      assert.match(String(await once(early.socket, 'data')), /^pong still\n/)
      early.socket.destroy()
    })
  })
})

/** The app, the agent and the edge; the last two know nothing but where the controller is. */
async function startPrograms({ backend, edge }: InteropHosts, controller: string, directory: string): Promise<void> {
  const whoami = backend.start(TRUEPEER, ['whoami', '--listen', APP])
  await whoami.waitForLine(/^listening on/)
  const follows = ['--controller', controller, '--instance', 'my-backend', '--state', join(directory, 'my-backend')]
  await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, ...follows], { ready: /following the controller/ })
  await startFollowingEdge(edge, controller, join(directory, 'edge-1'), ['--zone', 'us-central1-b'])
}

async function create(t: TestContext, gcloud: Gcloud, directory: string): Promise<void> {
  writeFileSync(join(directory, 'root.pem'), ROOT.certificatePem)
  const isOfTcp = /^(target-tcp-proxies|firewall-rules|addresses list|forwarding-rules create my-tcp)/
  const startedMs = performance.now()
  const rows = guideRows(certificateFiles(directory, LEAF)).filter(([args]) => !isOfTcp.test(args.join(' ')))
  for (const [args, output] of rows) assert.match(await gcloud.succeed(...args), output, args.join(' '))
  t.diagnostic(`${rows.length} commands in ${Math.round(performance.now() - startedMs)} ms`)
}

/** Writes the two files of row 9. */
function certificateFiles(
  directory: string,
  leaf: Issued,
): { readonly certificate: string; readonly privateKey: string } {
  const files = { certificate: join(directory, 'fullchain.pem'), privateKey: join(directory, 'privkey.pem') }
  writeFileSync(files.certificate, leaf.certificatePem + INTERMEDIATE.certificatePem)
  writeFileSync(files.privateKey, leaf.keyPem, { mode: 0o600 })
  return files
}

async function verify({ client }: InteropHosts, directory: string): Promise<void> {
  const tls = ['--tls', '--ca', join(directory, 'root.pem'), '--servername', 'app.example']
  let said = ''
  // The agent may have refused the first probes: it trusts the edge only once the controller has named it.
  await eventually(
    'verify finds nothing wrong',
    async () => {
      const { exitCode, stdout, stderr } = await client.run(TRUEPEER, ['verify', FRONTEND, ...tls], {
        timeoutMs: 30_000,
      })
      said = stdout + stderr
      return exitCode === 0
    },
    30_000,
  ).catch((error: unknown) => assert.fail(`${error}\n${said}`))
  assert.match(said, /^certificate +0: CN=app\.example, .*\n.*1: CN=Intermediate; issued by CN=Root.*\n.*2: CN=Root/m)
  assert.match(said, /^verified +yes$/m)
  assert.match(said, new RegExp(`^app +sees ${IPV4.client}:\\d+: this client$`, 'm'))
}

/** A client that is connected, and the peer that the app has told it. */
type Client = { readonly socket: TLSSocket; readonly peer: string }

async function open({ client }: InteropHosts, options: ConnectionOptions = {}): Promise<Client> {
  const socket = await connectTls(client, FRONTEND, options)
  return { socket, peer: String(await once(socket, 'data')).trim() }
}

/** Makes one handshake; undefined: it was refused. The app has to see the client in any case. */
async function shake(
  hosts: InteropHosts,
  options: ConnectionOptions = {},
): Promise<{ readonly protocol: string | null; readonly name: string; readonly fingerprint: string } | undefined> {
  const opened = await open(hosts, options).catch((error: NodeJS.ErrnoException) => {
    assert.match(String(error.code), /^ERR_SSL_/, String(error))
    return undefined
  })
  if (opened === undefined) return undefined
  const { socket, peer } = opened
  assert.match(peer, new RegExp(` ${IPV4.client}:\\d+$`))
  const { fingerprint256: fingerprint } = socket.getPeerCertificate()
  const found = { protocol: socket.getProtocol(), name: shownName(socket), fingerprint }
  socket.destroy()
  return found
}

async function handshakes(hosts: InteropHosts): Promise<void> {
  assert.equal((await shake(hosts))?.protocol, 'TLSv1.3')
  assert.equal((await shake(hosts, TLS10))?.protocol, 'TLSv1')
  assert.equal((await shake(hosts, CBC))?.protocol, 'TLSv1.2')
  assert.equal(await shake(hosts, STATIC_RSA), undefined)
  // The client knows the root only: without the intermediate it could not have verified the leaf.
  const { socket } = await open(hosts)
  const leaf = socket.getPeerCertificate(true)
  assert.equal(socket.authorized, true)
  const chain = [leaf, leaf.issuerCertificate, leaf.issuerCertificate.issuerCertificate]
  assert.deepEqual(
    chain.map(({ subject }) => subject.CN),
    ['app.example', 'Intermediate', 'Root'],
  )
  socket.destroy()
}

/** Waits until new handshakes are as they have to be, for as long as an edge may take. */
async function follows(t: TestContext, what: string, isSo: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now()
  await eventually(what, isSo, FOLLOW_MS_MAX)
  t.diagnostic(`${what}: ${Math.round(performance.now() - startedMs)} ms after gcloud has returned`)
}

async function updatePolicy(t: TestContext, hosts: InteropHosts, gcloud: Gcloud): Promise<void> {
  await gcloud.succeed('ssl-policies', 'update', POLICY, '--profile', 'RESTRICTED', '--min-tls-version', '1.2')
  await follows(t, 'TLS 1.0 is refused', async () => (await shake(hosts, TLS10)) === undefined)
  assert.equal(await shake(hosts, CBC), undefined)
  assert.equal((await shake(hosts, GCM))?.protocol, 'TLSv1.2')
  assert.equal((await shake(hosts))?.protocol, 'TLSv1.3')
}

async function updateCertificate(
  t: TestContext,
  hosts: InteropHosts,
  gcloud: Gcloud,
  directory: string,
): Promise<void> {
  const before = (await shake(hosts))?.fingerprint
  const files = certificateFiles(directory, issueLeaf('new.example', { names: ['app.example', 'new.example'] }))
  const pem = ['--certificate', files.certificate, '--private-key', files.privateKey]
  assert.match(await gcloud.succeed('ssl-certificates', 'create', 'my-new-cert', ...pem), /my-new-cert +SELF_MANAGED/)
  assert.equal((await shake(hosts))?.fingerprint, before, 'one that no proxy names is served nowhere')
  await gcloud.succeed('target-ssl-proxies', 'update', PROXY, '--ssl-certificates', 'my-new-cert')
  await follows(t, 'the new certificate is shown', async () => (await shake(hosts))?.name === 'new.example')
  assert.notEqual((await shake(hosts))?.fingerprint, before)
  assert.match(await gcloud.fail('ssl-certificates', 'delete', 'my-new-cert'), /is already being used by/)
}

async function chooseByName(t: TestContext, hosts: InteropHosts, gcloud: Gcloud): Promise<void> {
  await gcloud.succeed('target-ssl-proxies', 'update', PROXY, '--ssl-certificates', 'my-ssl-cert,my-new-cert')
  await follows(t, 'the first one is the default', async () => (await shake(hosts))?.name === 'app.example')
  assert.equal((await shake(hosts, { servername: 'new.example' }))?.name, 'new.example')
  await gcloud.succeed('target-ssl-proxies', 'update', PROXY, '--ssl-certificates', 'my-new-cert')
  assert.match(await gcloud.succeed('ssl-certificates', 'delete', 'my-ssl-cert'), /Deleted \[/)
}

async function clearPolicy(t: TestContext, hosts: InteropHosts, gcloud: Gcloud): Promise<void> {
  await gcloud.succeed('target-ssl-proxies', 'update', PROXY, '--clear-ssl-policy')
  await follows(t, 'TLS 1.0 is back', async () => (await shake(hosts, TLS10))?.protocol === 'TLSv1')
  await gcloud.succeed('target-ssl-proxies', 'update', PROXY, '--ssl-policy', POLICY)
  await follows(t, 'the policy is back', async () => (await shake(hosts, TLS10)) === undefined)
  assert.match(await gcloud.fail('ssl-policies', 'delete', POLICY), /is already being used by/)
}
