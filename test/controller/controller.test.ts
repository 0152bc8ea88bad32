import assert from 'node:assert/strict'
import { copyFileSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createToken } from '../../src/controller/store/tokens.ts'
import { Program } from '../../src/lab/program.ts'
import { type RunResult, runProgram } from '../../src/linux/run.ts'
import { type Issued, issue } from '../../src/tls/test-certificates.ts'
import { assertMetrics, metricIn } from '../rig/admin.ts'
import { makeCertificate } from '../rig/certificate.ts'
import { type Answer, type LiveController, PROJECT, startController } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

/** The exit code of curl for a certificate of an authority that it does not know. */
const CURL_UNKNOWN_AUTHORITY = 60
const COLLECTION = `${PROJECT}/global/healthChecks`

function truepeer(...args: string[]): Promise<RunResult> {
  return runProgram(TRUEPEER, args, { timeoutMs: 30_000 })
}

async function started(t: TestContext, directory: string, args: readonly string[] = []): Promise<LiveController> {
  const controller = await startController(undefined, directory, args)
  t.after(() => controller.program.kill())
  return controller
}

async function insert(controller: LiveController, name: string): Promise<void> {
  const body = { name, type: 'TCP', tcpHealthCheck: { port: 80 } }
  assert.equal((await controller.ask('POST', COLLECTION, body)).status, 200)
}

async function names(controller: LiveController): Promise<string[]> {
  const { body } = await controller.ask('GET', COLLECTION)
  return ((body as { items?: { name: string }[] }).items ?? []).map(({ name }) => name)
}

test('a second controller on a directory is refused, also after the first was killed and started again', async (t) => {
  const directory = join(testDirectory(t), 'data')
  for (let round = 0; round < 2; round++) {
    const controller = await started(t, directory)
    const second = await truepeer('controller', '--data', directory, '--listen', '127.0.0.1:0')
    assert.equal(second.exitCode, 1)
    assert.match(second.stderr, /^truepeer: --data ".*" is in use by another controller; stop it, or give each/)
    await insert(controller, `round-${round}`)
    controller.program.signal('SIGKILL')
    await controller.program.exited
  }
})

test('a new store is begun only when somebody says so', async (t) => {
  const directory = join(testDirectory(t), 'data')
  const token = ['controller', 'token', 'create', '--data', directory, '--user', 'alice', '--role', 'viewer']
  for (const words of [['controller', '--data', directory, '--listen', '127.0.0.1:0'], token]) {
    const { exitCode, stderr } = await truepeer(...words)
    assert.equal(exitCode, 1)
    assert.match(
      stderr,
      /controller\.db" does not exist; give the --data of the controller, or --create to begin a new one\n$/,
    )
    assert.ok(!existsSync(directory))
  }
  assert.match((await truepeer(...token, '--create')).stdout, /^tp_/)
  const program = new Program(TRUEPEER, ['controller', '--data', directory, '--listen', '127.0.0.1:0'])
  t.after(() => program.kill())
  await program.waitForLine(/"msg":"listening"/)
})

test('SIGTERM ends a controller with status 0, at once when nobody asks anything', async (t) => {
  const controller = await started(t, join(testDirectory(t), 'data'))
  const startedMs = performance.now()
  assert.deepEqual(await controller.program.stop(), { exitCode: 0, signal: undefined })
  assert.ok(performance.now() - startedMs < 2_000)
})

test('a backup of a running controller is restored in its place, and what came after it is gone', async (t) => {
  const folder = testDirectory(t)
  const [directory, file] = [join(folder, 'data'), join(folder, 'backup.db')]
  const first = await started(t, directory)
  await insert(first, 'before')
  assert.equal((await truepeer('controller', 'backup', '--data', directory, '--to', file)).exitCode, 0)
  await insert(first, 'after')
  const restore = ['controller', 'restore', '--data', directory, '--from', file, '--overwrite']
  assert.match((await truepeer(...restore)).stderr, /in use by another controller/)
  assert.deepEqual(await names(first), ['after', 'before'])
  await first.program.stop()
  assert.deepEqual(await truepeer(...restore), { exitCode: 0, signal: undefined, stdout: '', stderr: '' })
  const second = await started(t, directory)
  assert.deepEqual(await names(second), ['before'])
})

test('a chain out of order is refused when it is inserted, before an edge would meet it', async (t) => {
  const controller = await started(t, join(testDirectory(t), 'data'))
  const root = issue({ commonName: 'root', isAuthority: true })
  const authority = issue({ commonName: 'authority', isAuthority: true, issuer: root })
  const leaf = issue({ issuer: authority })
  const insertChain = (...chain: readonly Issued[]): Promise<Answer> => {
    const certificate = chain.map(({ certificatePem }) => certificatePem).join('')
    const body = { name: 'c', certificate, privateKey: leaf.keyPem }
    return controller.ask('POST', `${PROJECT}/global/sslCertificates`, body)
  }
  const refused = await insertChain(leaf, root, authority)
  assert.equal(refused.status, 400)
  assert.match(
    JSON.stringify(refused.body),
    /'resource.certificate': ''. the chain is out of order: certificate 2 did not/,
  )
  assert.equal((await insertChain(leaf, authority, root)).status, 200)
})

test('a token lets its user in until it is revoked, without a restart', async (t) => {
  const directory = join(testDirectory(t), 'data')
  const controller = await started(t, directory, ['--listen', '127.0.0.1:0'])
  const [line] = controller.program.texts().filter((text) => text.includes('"msg":"listening"'))
  const [url] = (JSON.parse(line) as { readonly urls: readonly string[] }).urls
  const create = ['controller', 'token', 'create', '--data', directory, '--user', 'alice', '--role', 'viewer']
  const token = (await truepeer(...create)).stdout.trim()
  const post = (name: string): Promise<Response> =>
    fetch(`${url}${COLLECTION}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, type: 'TCP', tcpHealthCheck: { port: 80 } }),
    })
  const get = (): Promise<Response> => fetch(`${url}${COLLECTION}`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal((await get()).status, 200)
  assert.equal((await post('by-viewer')).status, 403)
  const { stdout } = await truepeer('controller', 'token', 'list', '--data', directory)
  const [id] = stdout.split('\n')[1].split(/\s/)
  assert.match(stdout, /^[0-9a-f]{12} {2}viewer {2}alice {2}20/m)
  assert.equal((await truepeer('controller', 'token', 'revoke', '--data', directory, '--id', id)).exitCode, 0)
  assert.equal((await get()).status, 401)
  assert.ok(!controller.program.texts().join().includes(token.slice(16)))
})

test('a key that others can read, a pair that does not fit, and a port in use, end the start with the remedy', async (t) => {
  const folder = testDirectory(t)
  const directory = join(folder, 'data')
  const [cert, key] = await makeCertificate(folder, '127.0.0.1')
  await runProgram('chmod', ['644', key])
  const tls = ['--tls-cert', cert, '--tls-key', key]
  const readable = await truepeer('controller', '--data', directory, '--listen', '0.0.0.0:0', ...tls)
  assert.deepEqual([readable.exitCode, readable.stderr.includes(`run "chmod 600 ${key}"`)], [2, true])
  await runProgram('chmod', ['600', key])
  const [otherCert, otherKey] = await makeCertificate(testDirectory(t), '127.0.0.1')
  await runProgram('truncate', ['--size=100', otherKey])
  for (const [pair, message] of [
    [['--tls-cert', otherCert, '--tls-key', key], /--tls-key ".*": the private key does not belong to the first cert/],
    [['--tls-cert', cert, '--tls-key', otherKey], /--tls-key ".*": the PEM of the key has no end; give the whole file/],
    [['--tls-cert', key, '--tls-key', cert], /--tls-cert ".*": it is a private key in PEM, and not a certificate; /],
    [['--tls-cert', key, '--tls-key', key], /--tls-cert ".*": it is a private key in PEM, and not a certificate; /],
  ] as const) {
    const { exitCode, stderr } = await truepeer('controller', '--data', directory, '--listen', '0.0.0.0:0', ...pair)
    assert.match(stderr, message)
    assert.equal(exitCode, 2)
  }
  const controller = await started(t, directory, ['--listen', '127.0.0.1:18080'])
  const inUse = await truepeer('controller', '--data', join(folder, 'other'), '--create', '--listen', '127.0.0.1:18080')
  assert.equal(inUse.exitCode, 1)
  assert.match(inUse.stderr, /^truepeer: The controller cannot listen on "127.0.0.1:18080": .*EADDRINUSE/)
  await controller.program.stop()
})

test('an edge follows over TLS with a token of its own, with no other, and not past a certificate it cannot trust', async (t) => {
  const folder = testDirectory(t)
  const directory = join(folder, 'data')
  const [cert, key] = await makeCertificate(folder, '127.0.0.1')
  const tls = ['--tls-cert', cert, '--tls-key', key]
  // Not loopback by its name, so that tokens are needed, and reached by it all the same.
  const controller = await started(t, directory, ['--listen', '0.0.0.0:18443', ...tls])
  const follow = (user: string, role: 'edge' | 'operator', args: readonly string[]): Program => {
    const tokenFile = join(folder, `${user}-${role}`)
    writeFileSync(tokenFile, createToken(directory, { user, role }), { mode: 0o600 })
    const where = ['--controller', 'https://127.0.0.1:18443', '--name', 'edge-1', '--state', join(folder, 'state')]
    const edge = new Program(TRUEPEER, ['edge', ...where, '--token-file', tokenFile, ...args])
    t.after(() => edge.kill())
    return edge
  }
  const trusted = ['--controller-ca', cert]
  await follow('edge-1', 'edge', trusted).waitForLine(/following the controller/)
  await follow('edge-2', 'edge', trusted).waitForLine(/status 403: This token may not speak/)
  await follow('edge-1', 'operator', trusted).waitForLine(/status 403/)
  await follow('edge-1', 'edge', []).waitForLine(/self-signed certificate; give the authority .*--controller-ca/)
  assert.equal((await controller.ask('GET', '/truepeer/v1/edges')).status, 200)
})

test('SIGHUP reads the certificate again; one that is no good leaves the old one in use', async (t) => {
  const folder = testDirectory(t)
  const [cert, key] = await makeCertificate(folder, '127.0.0.1')
  const [newCert, newKey] = await makeCertificate(testDirectory(t), '127.0.0.1')
  // Loopback by itself has the certificate that was given.
  const tls = ['--listen', '127.0.0.1:18444', '--tls-cert', cert, '--tls-key', key]
  const controller = await started(t, join(folder, 'data'), tls)
  /** What curl says of the controller, trusting this certificate alone: 0 when it is the one in use. */
  const curl = async (trusted: string): Promise<number | undefined> =>
    (await runProgram('curl', ['--silent', '--cacert', trusted, 'https://127.0.0.1:18444/'], { timeoutMs: 10_000 }))
      .exitCode
  const old = join(folder, 'old.crt')
  copyFileSync(cert, old)
  assert.deepEqual([await curl(old), await curl(newCert)], [0, CURL_UNKNOWN_AUTHORITY])
  copyFileSync(newCert, cert)
  copyFileSync(newKey, key)
  controller.program.signal('SIGHUP')
  await controller.program.waitForLine(/certificate read again/)
  assert.deepEqual([await curl(old), await curl(newCert)], [CURL_UNKNOWN_AUTHORITY, 0])
  writeFileSync(cert, 'no certificate\n')
  controller.program.signal('SIGHUP')
  await controller.program.waitForLine(/The reload failed; the old certificate is still in use/)
  assert.equal(await curl(newCert), 0)
  assert.equal((await controller.ask('GET', COLLECTION)).status, 200, 'the UNIX socket goes without')
})

test('--admin shows metrics of what was answered, of the store and of the edges, and whether it is ready', async (t) => {
  const folder = testDirectory(t)
  const socketPath = join(folder, 'admin.sock')
  const controller = await started(t, join(folder, 'data'), ['--admin', `unix:${socketPath}`])
  const page = async (path: string): Promise<{ readonly status: number; readonly text: string }> => {
    const args = ['--silent', '--unix-socket', socketPath, '--write-out', '\n%{http_code}', `http://x${path}`]
    const { stdout } = await runProgram('curl', args, { timeoutMs: 10_000 })
    const end = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(end + 1)), text: stdout.slice(0, end) }
  }
  assert.equal(statSync(socketPath).mode & 0o777, 0o600)
  assert.deepEqual(await page('/healthz'), { status: 200, text: 'ok\n' })
  assert.deepEqual(await page('/readyz'), { status: 200, text: 'ready\n' })
  assert.equal((await page('/connections')).status, 404)
  await insert(controller, 'hc')
  assert.equal((await controller.ask('GET', `${COLLECTION}/none`)).status, 404)
  const report = { health: {}, sources: [], applied: { generation: 'another', version: 9 } }
  assert.equal((await controller.ask('POST', '/truepeer/v1/edges/e1/status', report)).status, 200)
  const metrics = (await page('/metrics')).text
  assertMetrics(metrics, {
    'truepeer_controller_requests_total{method="healthChecks.insert",code="200"}': 1,
    'truepeer_controller_requests_total{method="healthChecks.get",code="404"}': 1,
    'truepeer_controller_requests_total{method="truepeer",code="200"}': 1,
    'truepeer_controller_request_seconds_count{method="healthChecks.insert"}': 1,
    'truepeer_controller_resources{collection="healthChecks"}': 1,
    'truepeer_controller_operations{state="done"}': 1,
    // The first change made the project.
    truepeer_controller_revision: 2,
    'truepeer_controller_edge_connected{edge="e1"}': 0,
    'truepeer_controller_edge_revision{edge="e1"}': 0,
  })
  assert.ok(metricIn(metrics, 'truepeer_controller_database_bytes') > 4096)
})
