import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AGENT, AGENT6, APP, APP6, CLIENT, headerFrom, startAgent } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, EDGE, EDGE6 } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const UNTRUSTED = 'truepeer_connections_ended_total{reason="untrusted-peer"}'
const ADDRESSES = ['-l', AGENT, '-4', APP, '-6', APP6]
const SERVED = answerOf(`${CLIENT}:51001`, 'x')
const REQUEST = [headerFrom(CLIENT, 51_001), 'x']

/** What must never be taken for a list of trusted edges, with what the message has to say. */
const BAD_LISTS: readonly { readonly name: string; readonly make: (path: string) => void; readonly says: RegExp }[] = [
  { name: 'missing', make: () => undefined, says: /"[^"]*list" cannot be read.*ENOENT.*; give a readable file/ },
  {
    name: 'empty',
    make: (path) => writeFileSync(path, ''),
    says: /list" contains no subnet; write .*--allow-all-subnets/,
  },
  {
    name: 'comments only',
    make: (path) => writeFileSync(path, '# edges\n\n   # 10.0.0.0/8\n'),
    says: /list" contains no subnet/,
  },
  {
    name: 'partly wrong',
    make: (path) => writeFileSync(path, `# edges\n${EDGE}\n\n10.0.0.0/33\n`),
    says: /Not a subnet: .*list:4: "10\.0\.0\.0\/33"; write one per line, such as/,
  },
  {
    name: 'with a host name',
    make: (path) => writeFileSync(path, `${EDGE}/32, edge.example`),
    says: /list:1: "35\.191\.0\.9\/32, edge\.example"/,
  },
  { name: 'a directory', make: (path) => mkdirSync(path), says: /"[^"]*list" cannot be read.*EISDIR/ },
]

test('an agent without a usable list of trusted edges refuses to start and says what to do', async (t) => {
  const { backend } = await agentHosts(t)
  const path = join(testDirectory(t), 'list')
  for (const { name, make, says } of BAD_LISTS) {
    make(path)
    const { exitCode, stdout, stderr } = await backend.run(TRUEPEER, ['agent', ...ADDRESSES, '--allowed-subnets', path])
    assert.match(stderr, says, name)
    assert.equal(exitCode, 1, name)
    assert.doesNotMatch(stdout, /listening/, name)
    rmSync(path, { recursive: true, force: true })
  }
  const unsaid = await backend.run(TRUEPEER, ['agent', ...ADDRESSES])
  assert.match(unsaid.stderr, /--allowed-subnets FILE .* or --allow-all-subnets/)
  assert.equal(unsaid.exitCode, 2)
})

test('SIGHUP with an unusable list keeps the one before and logs an error; nobody loses a connection', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const path = join(testDirectory(t), 'list')
  writeFileSync(path, `${EDGE}/32\n`)
  const everywhere = ['-l', '[::]:110', '-4', APP, '-6', APP6]
  const { program, metric } = await startTruepeer(backend, 'agent', [...everywhere, '--allowed-subnets', path])
  const established = await edge.connect({ to: AGENT })
  established.write(headerFrom(CLIENT, 51_000))

  for (const { name, make, says } of BAD_LISTS) {
    rmSync(path, { recursive: true, force: true })
    make(path)
    const from = program.output.length
    program.signal('SIGHUP')
    const line = await program.waitForLine(/The reload failed/, { from })
    const { level, msg } = JSON.parse(line) as { readonly level: string; readonly msg: string }
    assert.equal(level, 'error', name)
    assert.match(msg, says, name)
    assert.equal(await exchange(edge, AGENT, REQUEST), SERVED, `${name}: the edge is still trusted`)
    assert.equal(await exchange(edge, AGENT6, REQUEST), '', `${name}: nobody else is`)
  }

  rmSync(path, { recursive: true, force: true })
  writeFileSync(path, `${EDGE6}/128 # only this one\n`)
  const from = program.output.length
  program.signal('SIGHUP')
  await program.waitForLine(/"msg":"reloaded"/, { from })
  await eventually('the list is in force', async () => (await exchange(edge, AGENT, REQUEST)) === '')
  assert.ok((await metric(UNTRUSTED)) > 0)
  const answer = new Promise<string>((resolve) => established.once('data', (chunk) => resolve(chunk.toString())))
  established.end('still here')
  assert.equal(await answer, answerOf(`${CLIENT}:51000`, 'still here'))
})

test('untrusted peers are closed without a byte, counted, told of in one line, and do not reach the app', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const { seen } = await startRecordingApp(backend)
  const path = join(testDirectory(t), 'list')
  writeFileSync(path, '35.191.0.0/29\n2001:db8:36::/48\n')
  const { program, metric } = await startAgent(backend, ['--allowed-subnets', path])
  const lines = program.output.length
  for (let count = 1; count <= 3; count++) {
    assert.equal(await exchange(edge, AGENT, REQUEST), '')
    assert.equal(await metric(UNTRUSTED), count)
  }
  assert.equal(seen.length, 0)
  const told = program.texts(lines)
  assert.equal(told.length, 1, told.join('\n'))
  assert.match(told[0], /"end":"untrusted-peer"/)
})

test('a listener on [::] matches IPv4 edges as IPv4, and an IPv6 list does not admit them', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const path = join(testDirectory(t), 'list')
  const addresses = ['-l', '[::]:110', '-4', APP, '-6', APP6, '--allowed-subnets', path]
  for (const { list, isIpv4Served, isIpv6Served } of [
    { list: '35.191.0.0/16', isIpv4Served: true, isIpv6Served: false },
    { list: '::ffff:35.191.0.0/112', isIpv4Served: true, isIpv6Served: false },
    { list: '::/0', isIpv4Served: false, isIpv6Served: true },
  ]) {
    writeFileSync(path, list)
    const { program } = await startTruepeer(backend, 'agent', addresses)
    assert.equal(await exchange(edge, AGENT, REQUEST), isIpv4Served ? SERVED : '', `IPv4 with ${list}`)
    assert.equal(await exchange(edge, AGENT6, REQUEST), isIpv6Served ? SERVED : '', `IPv6 with ${list}`)
    await program.stop()
  }
})
