// Rows 9 to 11, 14, 18 and 24 of the guide: the SSL proxy from a file of resources, and clients that are not ours.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { AGENT, APP } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { type InteropHosts, interopHosts } from '../rig/interop-hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { INTERMEDIATE, LEAF, ROOT } from '../rig/ssl-resources.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const PORT = 110
const FRONTEND = `${IPV4.edge}:${PORT}`

/** The guide's file, with a health check every second and real certificates in place of its own. */
function sslGuideText(): string {
  const path = fileURLToPath(new URL('../../../docs/examples/guide-ssl.yaml', import.meta.url))
  const indented = (pem: string): string => pem.trim().replaceAll('\n', '\n  ')
  return readFileSync(path, 'utf8')
    .replace('checkIntervalSec: 5', 'checkIntervalSec: 1')
    .replace('timeoutSec: 5', 'timeoutSec: 1')
    .replace('PEM OF fullchain.pem', indented(LEAF.certificatePem + INTERMEDIATE.certificatePem))
    .replace('PEM OF privkey.pem', indented(LEAF.keyPem))
}

/** Waits until the edge sends clients to the backend: its health check succeeds, and its agent says that the app listens. */
function untilServed(live: LiveEdge): Promise<void> {
  return eventually(
    'the backend gets connections',
    async () => {
      const { availability } = await live.backend('my-tcp-lb/us-central1-b/my-instance-group/my-backend')
      return availability === 'up'
    },
    15_000,
  )
}

/** The guide's chain with its agent; the app is started by each test. */
async function guideHosts(t: TestContext): Promise<InteropHosts & { readonly live: LiveEdge; readonly root: string }> {
  const hosts = await interopHosts(t, { hasApp: false })
  await startTruepeer(hosts.backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets'])
  const live = await startConfiguredEdge(t, hosts.edge, sslGuideText())
  const root = join(testDirectory(t), 'root.pem')
  writeFileSync(root, ROOT.certificatePem)
  return { ...hosts, live, root }
}

const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.minimum_version = ssl.TLSVersion.TLSv1_2
with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname='app.example') as tls:
        print(tls.version(), tls.cipher()[0], dict(x[0] for x in tls.getpeercert()['issuer'])['commonName'], flush=True)
        tls.sendall(b'Hello, world\\n')
`

test('rows 9 to 11, 14 and 18: s_client sees the chain from the root to the leaf, and both profiles of clients', {
  skip: skipWithout('openssl', 'ncat'),
}, async (t) => {
  const { client, backend, root, live } = await guideHosts(t)
  backend.start('ncat', ['-lk', '127.0.0.1', '112'])
  await untilServed(live)
  const options = ['-connect', FRONTEND, '-servername', 'app.example', '-CAfile', root, '-verify_return_error']
  for (const [args, version] of [
    [['-tls1_3'], 'TLSv1.3'],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA'], 'TLSv1.2'],
    [['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], 'TLSv1'],
  ] as const) {
    const { stdout, stderr } = await client.run('openssl', ['s_client', ...options, '-showcerts', ...args], {
      input: 'Q\n',
    })
    assert.match(stdout, /Verify return code: 0 \(ok\)/, stdout + stderr)
    assert.match(stdout, new RegExp(`New, \\S+, Cipher is [^(]|Protocol *: ${version}`))
    // What is sent: the leaf and the intermediate.
    assert.equal(stdout.match(/BEGIN CERTIFICATE/g)?.length, 2)
    assert.match(
      stdout,
      / 0 s:CN ?= ?app\.example\n +i:CN ?= ?Intermediate[\s\S]* 1 s:CN ?= ?Intermediate\n +i:CN ?= ?Root/,
    )
  }
  const refused = await client.run('openssl', ['s_client', ...options, '-tls1_2', '-cipher', 'AES128-SHA'], {
    input: 'Q\n',
  })
  assert.match(refused.stdout, /Cipher is \(NONE\)/, 'what MODERN does not have')
})

test("row 24: ncat behind the agent shows the client's own address, and no PROXY line before the message", {
  skip: skipWithout('ncat', 'python3', 'curl'),
}, async (t) => {
  const { client, backend, root, live } = await guideHosts(t)
  const app = backend.start('ncat', ['-v', '-l', '-k', '127.0.0.1', '112'])
  await app.waitForLine(/Listening on 127\.0\.0\.1:112/)
  await untilServed(live)
  const { stdout, stderr } = await client.run('python3', ['-c', PYTHON, root, IPV4.edge, `${PORT}`])
  assert.match(stdout, /^TLSv1\.3 TLS_AES_\S+ Intermediate$/m, stderr)
  await app.waitForLine(new RegExp(`onnection from ${IPV4.client.replaceAll('.', '\\.')}`))
  await app.waitForLine(/^Hello, world$/)
  assert.ok(
    app.texts().every((line) => !line.includes('PROXY ')),
    app.texts().join('\n'),
  )
  const asked = client.run('curl', [
    '-sS',
    '--max-time',
    '5',
    '--cacert',
    root,
    '--resolve',
    `app.example:${PORT}:${IPV4.edge}`,
    `https://app.example:${PORT}/`,
  ])
  await app.waitForLine(/^GET \/ HTTP\/1\.1$/)
  app.kill()
  const { stderr: told } = await asked
  assert.doesNotMatch(told, /certificate|SSL/i)
  const status = await client.run(TRUEPEER, ['status', '--admin', live.admin])
  assert.match(status.stdout, /^my-ssl-cert +my-ssl-lb-target-proxy +ecdsa-p256 /m)
})

test('row 14: address and port of rule 13 are a conflict while it exists', async (t) => {
  const { edge } = await interopHosts(t, { hasApp: false })
  const file = join(testDirectory(t), 'both.yaml')
  const tcp = `
---
kind: compute#forwardingRule
name: my-tcp-lb-ipv4-forwarding-rule
IPAddress: ${IPV4.edge}
portRange: 110-110
target: my-tcp-lb-target-proxy
---
kind: compute#targetTcpProxy
name: my-tcp-lb-target-proxy
service: my-tcp-lb
`
  writeFileSync(file, sslGuideText() + tcp, { mode: 0o600 })
  const { exitCode, stderr } = await edge.run(TRUEPEER, ['edge', '--config', file, '--check'])
  assert.equal(exitCode, 2)
  assert.match(stderr, /203\.0\.113\.10:110 is also the address and port of forwardingRules\/my-/)
})
