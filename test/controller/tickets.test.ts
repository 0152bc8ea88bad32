import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram } from '../../src/linux/run.ts'
import {
  change,
  edgeIsAt,
  edgesOf,
  insertChain,
  insertRule,
  PROJECT,
  startController,
  startFollowingEdge,
} from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { openSession } from '../rig/openssl-client.ts'
import { skipWithout } from '../rig/skip.ts'
import { INTERMEDIATE, LEAF } from '../rig/ssl-resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const ADDRESS = '203.0.113.10'
const APP_PORT = 9000
const NAME = 'app.example'

test('edges of one controller resume the sessions of one another, also after it was started again; nobody else sees the keys', {
  skip: skipWithout('openssl'),
}, async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(`${BACKEND}:${APP_PORT}`, (socket) => void socket.once('data', () => socket.end('answer\n')))
  const folder = testDirectory(t)
  const data = join(folder, 'data')
  const start = () => startController(undefined, data, ['--addresses', ADDRESS])
  let controller = await start()
  t.after(() => controller.program.kill())
  await insertChain(controller, BACKEND, APP_PORT)
  await change(controller, 'POST', 'global/sslCertificates', {
    name: 'certificate',
    certificate: LEAF.certificatePem + INTERMEDIATE.certificatePem,
    privateKey: LEAF.keyPem,
  })
  await change(controller, 'POST', 'global/targetSslProxies', {
    name: 'secure',
    service: 'global/backendServices/service',
    sslCertificates: ['global/sslCertificates/certificate'],
  })
  await insertRule(controller, 'rule', ADDRESS, 443, 'targetSslProxies/secure')
  // Two hosts that have the same address, as behind a router that spreads connections over them.
  const edges = await Promise.all(
    [edge, backend].map((host, index) => {
      const args = ['--assign-addresses', '--name', `edge-${index + 1}`]
      return startFollowingEdge(host, controller.url, join(folder, `edge-${index + 1}`), args)
    }),
  )
  await eventually('both edges have applied the configuration', async () => {
    const items = await edgesOf(controller)
    return items.filter(({ report }) => (report?.applied.version ?? 0) > 0).length === 2
  })
  const sessions = [join(folder, 'tls1_2'), join(folder, 'tls1_3')]
  const meet = async (host: typeof edge, index: 0 | 1, files: { from?: string; to?: string }, name = NAME) =>
    openSession(host, `${ADDRESS}:443`, { version: index === 0 ? 'tls1_2' : 'tls1_3', name, ...files })
  for (const index of [0, 1] as const) {
    const session = sessions[index]
    assert.equal(await meet(edge, index, { to: session }), 'new')
    assert.equal(await meet(backend, index, { from: session }), 'resumed')
    assert.equal(await meet(backend, index, { from: session }, 'other.example'), 'new')
  }

  const keyFile = join(data, 'ticket-keys.json')
  assert.equal(statSync(keyFile).mode & 0o777, 0o600)
  const { keys } = JSON.parse(readFileSync(keyFile, 'utf8')) as { readonly keys: readonly string[] }
  assert.equal(keys.length, 2)
  const backup = join(folder, 'backup')
  await runProgram(TRUEPEER, ['controller', 'backup', '--data', data, '--to', backup], { timeoutMs: 60_000 })
  const answers = await Promise.all(
    ['/truepeer/v1/edges', '/truepeer/v1/audit?count=1000', PROJECT, `${PROJECT}/global/operations`].map(async (path) =>
      JSON.stringify((await controller.ask('GET', path)).body),
    ),
  )
  const states = edges.map((_, index) => join(folder, `edge-${index + 1}`))
  const files = states.flatMap((state) => readdirSync(state).map((name) => readFileSync(join(state, name), 'latin1')))
  const logs = [controller, ...edges].map(({ program }) => program.texts().join('\n'))
  const seen = [readFileSync(backup, 'latin1'), ...answers, ...files, ...logs].join('\n').toLowerCase()
  for (const key of keys) {
    for (const part of [key.slice(0, 32), key.slice(32, 96), key.slice(96)]) assert.ok(!seen.includes(part))
    assert.ok(!seen.includes(Buffer.from(key, 'hex').toString('latin1').toLowerCase()))
  }

  const [first] = edges
  for (const { program } of [controller, first]) {
    program.signal('SIGTERM')
    await program.exited
  }
  controller = await start()
  const args = ['--assign-addresses', '--name', 'edge-1']
  const later = await startFollowingEdge(edge, controller.url, join(folder, 'edge-1'), args)
  await edgeIsAt(controller, ({ report }) => report !== undefined)
  assert.ok(later.program.isRunning)
  for (const index of [0, 1] as const) assert.equal(await meet(edge, index, { from: sessions[index] }), 'resumed')
})
