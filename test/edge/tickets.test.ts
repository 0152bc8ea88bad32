import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { openSession } from '../rig/openssl-client.ts'
import { skipWithout } from '../rig/skip.ts'
import { INTERMEDIATE, LEAF } from '../rig/ssl-resources.ts'
import { type Running, startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const APP = `${BACKEND}:9000`
const VERSIONS = ['tls1_2', 'tls1_3'] as const
const NAME = 'app.example'

function makeKey(): string {
  return randomBytes(80).toString('hex')
}

/** An edge with a file of ticket keys of its own. */
type KeyedEdge = {
  readonly endpoint: string
  readonly keyFile: string
  /** Writes keys, and waits until the edge has taken or refused them. */
  write(...keys: string[]): Promise<'ok' | 'failed'>
  readonly running: Running
}

/** The arguments of an edge on this port, whose clients speak TLS. */
function argumentsFor(folder: string, endpoint: string): string[] {
  const [chain, key] = [join(folder, 'chain.pem'), join(folder, 'key.pem')]
  writeFileSync(chain, LEAF.certificatePem + INTERMEDIATE.certificatePem)
  writeFileSync(key, LEAF.keyPem, { mode: 0o600 })
  return ['--listen', endpoint, '--backend', APP, '--proxy-header', 'NONE', '--tls-cert', chain, '--tls-key', key]
}

async function startEdge(t: TestContext, host: Host, port: number, keys: readonly string[]): Promise<KeyedEdge> {
  const folder = testDirectory(t)
  const [endpoint, keyFile] = [`${EDGE}:${port}`, join(folder, 'tickets')]
  writeFileSync(keyFile, keys.join('\n'), { mode: 0o600 })
  const watched = ['--tls-ticket-keys', keyFile, '--watch']
  const running = await startTruepeer(host, 'edge', [...argumentsFor(folder, endpoint), ...watched])
  return {
    endpoint,
    keyFile,
    running,
    async write(...next) {
      const { reloads: before } = (await running.status()).configuration
      writeFileSync(keyFile, next.join('\n'))
      let outcome: 'ok' | 'failed' | undefined
      await eventually('the edge has taken or refused the keys', async () => {
        const { ok, failed } = (await running.status()).configuration.reloads
        outcome = ok > before.ok ? 'ok' : failed > before.failed ? 'failed' : undefined
        return outcome !== undefined
      })
      return outcome ?? 'failed'
    },
  }
}

test('edges with the same ticket keys resume the sessions of one another, under the same name, while keys change', {
  skip: skipWithout('openssl'),
}, async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => void socket.once('data', () => socket.end('answer\n')))
  const [key, next] = [makeKey(), makeKey()]
  const [one, other] = await Promise.all([443, 444].map((port) => startEdge(t, edge, port, [key])))
  const stranger = await startEdge(t, edge, 445, [next])
  const folder = testDirectory(t)
  const sessionOf = (version: string): string => join(folder, version)
  const begin = async ({ endpoint }: KeyedEdge): Promise<void> => {
    for (const version of VERSIONS) {
      const began = await openSession(backend, endpoint, { version, name: NAME, to: sessionOf(version) })
      assert.equal(began, 'new', version)
    }
  }
  const goOn = async ({ endpoint }: KeyedEdge, expected: 'new' | 'resumed', name = NAME): Promise<void> => {
    for (const version of VERSIONS) {
      assert.equal(await openSession(backend, endpoint, { version, name, from: sessionOf(version) }), expected, version)
    }
  }
  await begin(one)
  await goOn(one, 'resumed')
  await goOn(other, 'resumed')
  await goOn(stranger, 'new')
  await goOn(other, 'new', 'other.example')
  // The next key is everywhere before it seals anywhere.
  for (const keyed of [one, other]) assert.equal(await keyed.write(key, next), 'ok')
  await goOn(other, 'resumed')
  assert.equal(await one.write(next, key), 'ok')
  await goOn(one, 'resumed')
  await begin(one)
  await goOn(other, 'resumed')
  for (const keyed of [one, other]) assert.equal(await keyed.write(next), 'ok')
  await goOn(other, 'resumed')
  assert.equal(await other.write(makeKey()), 'ok')
  await goOn(other, 'new')
  await goOn(one, 'resumed')
})

test('a file of ticket keys that is wrong, or that others can read, is refused; what was there stays', {
  skip: skipWithout('openssl'),
}, async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => void socket.once('data', () => socket.end('answer\n')))
  const key = makeKey()
  const keyed = await startEdge(t, edge, 443, [key])
  const session = join(testDirectory(t), 'session')
  const asked = { version: 'tls1_3', name: NAME } as const
  assert.equal(await openSession(backend, keyed.endpoint, { ...asked, to: session }), 'new')
  assert.equal(await keyed.write(key, 'abc'), 'failed')
  chmodSync(keyed.keyFile, 0o644)
  assert.equal(await keyed.write(makeKey()), 'failed')
  const { problems } = (await keyed.running.status()).configuration
  const told = 'the file contains ticket keys, and other users can read it'
  assert.deepEqual(problems, [`${keyed.keyFile}: ${told}; "chmod 600 ${keyed.keyFile}"`])
  assert.equal(await openSession(backend, keyed.endpoint, { ...asked, from: session }), 'resumed')
  assert.ok(!keyed.running.program.texts().join('\n').includes(key.slice(0, 32)))

  const folder = testDirectory(t)
  const args = ['edge', ...argumentsFor(folder, `${EDGE}:446`), '--tls-ticket-keys']
  for (const [name, text, message] of [
    ['none', undefined, 'none: the file cannot be read (ENOENT'],
    ['empty', '', 'empty: it contains no key; write the output of "openssl rand -hex 80" into it'],
    ['short', key.slice(1), 'short: line 1 is not a key of 160 hexadecimal digits; write the output of'],
  ] as const) {
    const path = join(folder, name)
    if (text !== undefined) writeFileSync(path, text, { mode: 0o600 })
    for (const more of [[], ['--check']]) {
      const { exitCode, stderr } = await edge.run(TRUEPEER, [...args, path, ...more], { timeoutMs: 60_000 })
      assert.equal(exitCode, 2)
      assert.ok(stderr.startsWith(`${folder}/${message}`), stderr)
      assert.ok(!stderr.includes(key.slice(1, 32)))
    }
  }
})
