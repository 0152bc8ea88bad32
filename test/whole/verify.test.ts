import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { AGENT, APP } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { interopHosts } from '../rig/interop-hosts.ts'
import { LOG_ALL } from '../rig/resources.ts'
import { INTERMEDIATE, ROOT, sslResources } from '../rig/ssl-resources.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const FRONTEND = `${IPV4.edge}:443`
const PROXY = { proxyHeader: 'PROXY_V1' }

type Json = {
  readonly client: string
  readonly app: {
    readonly kind: string
    readonly sees: string
    readonly isPortKept: boolean
    readonly header?: string
    readonly throughput: { readonly toApp: number; readonly toClient: number }
  }
  readonly problems: readonly string[]
}

test('verify tells whether the app sees this client, with an agent and without, over TLS and in the clear', async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  const folder = testDirectory(t)
  const root = join(folder, 'root.pem')
  const other = join(folder, 'other.pem')
  writeFileSync(root, ROOT.certificatePem)
  writeFileSync(other, INTERMEDIATE.certificatePem.replace(/\n..../, '\nAAAA'))
  const verify = (...args: string[]) => client.run(TRUEPEER, ['verify', ...args], { timeoutMs: 30_000 })
  const tls = ['--tls', '--ca', root, '--servername', 'app.example']

  const refused = await verify(FRONTEND, ...tls)
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /^truepeer: Connecting to "203\.0\.113\.10:443": .*ECONNREFUSED.*; is it the address/)

  const whoami = backend.start(TRUEPEER, ['whoami', '--listen', APP])
  await whoami.waitForLine(/^listening on 127\.0\.0\.1:112$/)
  await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets'])
  const description = { listen: FRONTEND, endpoints: [AGENT], proxy: PROXY, service: LOG_ALL }
  const live = await startConfiguredEdge(t, edge, sslResources(description))

  const { exitCode, stdout, stderr } = await verify(FRONTEND, ...tls)
  assert.equal(exitCode, 0, stdout + stderr)
  assert.match(stdout, /^TLS +TLSv1\.3, TLS_AES_128_GCM_SHA256, handshake in /m)
  assert.match(stdout, /^certificate +0: CN=app\.example, DNS:app\.example; issued by CN=Intermediate; until 20/m)
  assert.match(stdout, /^certificate +1: CN=Intermediate; issued by CN=Root/m)
  assert.match(stdout, /^certificate +2: CN=Root/m)
  assert.match(stdout, /^verified +yes$/m)
  assert.match(stdout, /^app +sees 209\.52\.88\.4:\d+: this client$/m)
  assert.match(stdout, /^latency +\d/m)
  assert.match(stdout, /^throughput +[1-9]\d* Mbit\/s from the app, [1-9]\d* Mbit\/s to it$/m)
  await whoami.waitForLine(/^peer 209\.52\.88\.4:\d+$/)
  // To look at the app, and for each throughput: all ended as TLS has it.
  await eventually('three records', () => live.records().length === 3)
  const ends = live.records().map(({ end }) => end)
  assert.ok(ends.includes('finished') && !ends.includes('client-truncated'), ends.join())

  const wrongName = await verify(FRONTEND, '--tls', '--ca', root, '--servername', 'other.example')
  assert.equal(wrongName.exitCode, 1)
  assert.match(wrongName.stdout, /^verified +no: .*other\.example/m)
  const noRoot = await verify(FRONTEND, '--tls', '--servername', 'app.example')
  assert.equal(noRoot.exitCode, 1)
  assert.match(noRoot.stdout, /^problem +The certificate is not verified: .*; give its root by --ca/m)
  assert.equal((await verify(FRONTEND, '--tls', '--ca', join(folder, 'nowhere'))).exitCode, 2)

  // Without the agent, the header itself reaches the app.
  const second = backend.start(TRUEPEER, ['whoami', '--listen', `${IPV4.backend}:9000`])
  await second.waitForLine(/^listening/)
  const endpoints = [`${IPV4.backend}:9000`]
  assert.equal(await live.reload(sslResources({ listen: FRONTEND, endpoints, proxy: PROXY })), 'ok')
  const bare = await verify(FRONTEND, ...tls, '--json')
  assert.equal(bare.exitCode, 1)
  const { client: own, app, problems } = JSON.parse(bare.stdout) as Json
  assert.match(app.sees, /^35\.191\.0\.9:/)
  assert.match(app.header ?? '', new RegExp(`^PROXY TCP4 209\\.52\\.88\\.4 .* ${own.replace(/.*:/, '')} 443$`))
  assert.equal(problems.length, 2)

  const plain = await verify(`${IPV4.backend}:9000`)
  assert.match(plain.stderr + plain.stdout, /Connecting to|sees 209/)
})

test('against another app verify shows what a client can see, and a backend that is gone is a problem', async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  const greeter = await backend.listen(`${IPV4.backend}:9000`, (socket) => void socket.write('* OK \u001b[2J\r\n'))
  await startTruepeer(edge, 'edge', [
    '--listen',
    FRONTEND,
    '--backend',
    `${IPV4.backend}:9000`,
    '--check-interval',
    '1h',
  ])
  const other = await client.run(TRUEPEER, ['verify', FRONTEND])
  assert.equal(other.exitCode, 0, other.stderr)
  assert.match(other.stdout, /^connected .*\napp +is not "truepeer whoami"/)
  const notTls = await client.run(TRUEPEER, ['verify', FRONTEND, '--tls'])
  assert.equal(notTls.exitCode, 1)
  assert.match(notTls.stderr, /^truepeer: The TLS handshake with .*; does the frontend speak TLS/)
  greeter.close()
  const gone = await client.run(TRUEPEER, ['verify', FRONTEND])
  assert.equal(gone.exitCode, 1)
})

test('verify fails for an app that is down, one that says nothing, and TLS that is not asked for', async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', APP, '--allow-all-subnets'])
  await startTruepeer(edge, 'edge', ['--listen', FRONTEND, '--backend', AGENT])
  const verify = (...args: string[]) => client.run(TRUEPEER, ['verify', FRONTEND, ...args], { timeoutMs: 30_000 })
  const down = await verify()
  assert.equal(down.exitCode, 1, down.stdout)
  assert.match(down.stdout, /^problem +The connection was closed before the app sent a byte; /m)
  backend.start('ncat', ['-lk', '127.0.0.1', '112', '-c', 'sleep 60'])
  await eventually('the app listens', async () => (await backend.run('ss', ['-Hltn', 'sport = :112'])).stdout !== '')
  const [silent, allowed] = await Promise.all([verify(), verify('--client-first')])
  assert.equal(silent.exitCode, 1, silent.stdout)
  assert.match(
    silent.stdout,
    /^problem +Nothing came within 6 s; is the app running\? give --tls if the frontend speaks TLS/m,
  )
  assert.deepEqual([allowed.exitCode, allowed.stdout.includes('problem')], [0, false])
})
