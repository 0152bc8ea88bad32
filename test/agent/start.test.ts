import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, AGENT6, APP, APP6, CLIENT, CLIENT6, headerFrom, startAgent } from '../rig/agent.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const TRUSTING = ['-4', APP, '-6', APP6, '--allow-all-subnets']
const NOBODY = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
/** Capabilities and other users mean what they say only outside of a user namespace. */

/** Sets a kernel setting of the host's network. */
async function setSetting(host: Host, name: string, value: string): Promise<void> {
  const { stderr } = await host.run('sh', ['-c', `echo ${value} > /proc/sys/net/${name}`])
  assert.equal(stderr, '')
}

for (const name of ['ipv4/ip_nonlocal_bind', 'ipv6/ip_nonlocal_bind']) {
  test(`with ${name} set, own addresses cannot be told from others: the agent refuses to start`, async (t) => {
    const { backend } = await agentHosts(t)
    await setSetting(backend, name, '1')
    const { exitCode, stderr } = await backend.run(TRUEPEER, ['agent', '-l', AGENT, ...TRUSTING])
    assert.match(stderr, new RegExp(`"/proc/sys/net/${name}" is 1.*; set it to 0`))
    assert.equal(exitCode, 1)
  })
}

test('ip_nonlocal_bind set while the agent runs has clients refused, not own addresses impersonated', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const { seen } = await startRecordingApp(backend)
  await startAgent(backend)
  await setSetting(backend, 'ipv4/ip_nonlocal_bind', '1')
  assert.equal(await exchange(edge, AGENT, [headerFrom(BACKEND), 'x']), '')
  assert.equal(seen.length, 0)
})

test('without CAP_NET_RAW the agent refuses to start and says what to give it', NEEDS_ROOT, async (t) => {
  const { backend } = await agentHosts(t)
  const agent = [TRUEPEER, 'agent', '-l', '0.0.0.0:1110', ...TRUSTING]
  for (const [name, privileges] of [
    ['root without the capability', ['--bounding-set', '-net_raw,-net_admin']],
    ['an ordinary user', NOBODY],
  ] as const) {
    const { exitCode, stderr } = await backend.run('setpriv', [...privileges, ...agent])
    assert.match(stderr, /^truepeer: .*IP_TRANSPARENT\): EPERM; run as root or give the process CAP_NET_RAW/, name)
    assert.equal(exitCode, 1, name)
  }
})

test(
  'an ordinary user with CAP_NET_RAW alone can run an agent, and no other user can share its port',
  NEEDS_ROOT,
  async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startRecordingApp(backend)
    const ambient = ['--inh-caps', '+net_raw', '--ambient-caps', '+net_raw']
    const agent = [TRUEPEER, 'agent', '-l', '0.0.0.0:1110', ...TRUSTING, '--mark', '7']
    const program = backend.start('setpriv', [...NOBODY, ...ambient, ...agent])
    await program.waitForLine(/"msg":"listening"/)
    assert.match(readFileSync(`/proc/${program.pid}/status`, 'utf8'), /^Uid:\t65534\t.*^CapEff:\t0+2000$/ms)
    for (const source of [CLIENT, CLIENT6]) {
      const answer = await exchange(edge, `${BACKEND}:1110`, [headerFrom(source, 51_001), 'x'])
      assert.equal(answer, answerOf(source === CLIENT ? `${CLIENT}:51001` : `[${CLIENT6}]:51001`, 'x'))
    }
    // Both set SO_REUSEPORT, but the kernel lets only one user share a port.
    const { exitCode, stderr } = await backend.run(TRUEPEER, ['agent', '-l', '0.0.0.0:1110', ...TRUSTING])
    assert.match(
      stderr,
      /^truepeer: Listening on "0\.0\.0\.0:1110": EADDRINUSE; another program listens there: "ss -ltnp"/,
    )
    assert.equal(exitCode, 1)
  },
)

test('what keeps a port from being opened is said with its remedy, and the status is 1', async (t) => {
  const { backend } = await agentHosts(t)
  await backend.listen('0.0.0.0:1111', () => undefined)
  const admin = join(tmpdir(), 'no-such-directory', 'admin.sock')
  for (const [args, says] of [
    [['-l', '0.0.0.0:1111'], /Listening on "0\.0\.0\.0:1111": EADDRINUSE; another program listens there/],
    [
      ['-l', '198.51.100.1:1112'],
      /Listening on "198\.51\.100\.1:1112": EADDRNOTAVAIL; the address is not on this host/,
    ],
    [['-l', '0.0.0.0:1113', '--admin', `unix:${admin}`], /The admin server cannot listen on ".*admin\.sock": /],
  ] as const) {
    const { exitCode, stdout, stderr } = await backend.run(TRUEPEER, ['agent', ...args, ...TRUSTING])
    assert.match(stderr, says)
    assert.equal(stderr.trim().split('\n').length, 1, 'one line, no stack')
    assert.doesNotMatch(stdout, /listening/)
    assert.equal(exitCode, 1)
  }
})

test('where IPv6 is disabled, IPv4 is served and an IPv6 client is refused without harm', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await setSetting(backend, 'ipv6/conf/all/disable_ipv6', '1')
  const agent = await startAgent(backend)
  const served = answerOf(`${CLIENT}:51001`, 'x')
  for (let count = 1; count <= 3; count++) {
    assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT6, 51_001), 'x']), '')
    assert.equal(await agent.metric('truepeer_connections_ended_total{reason="connect-failed"}'), count)
    assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT, 51_001), 'x']), served)
  }
  const { exitCode, stderr } = await backend.run(TRUEPEER, ['agent', '-l', AGENT6, ...TRUSTING])
  assert.match(stderr, /Listening on "\[2001:db8:10::2\]:110": EADDRNOTAVAIL/)
  assert.equal(exitCode, 1)
})

test('where IPv6 is disabled, a preserved port is no reason given for a refused IPv6 client', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await setSetting(backend, 'ipv6/conf/all/disable_ipv6', '1')
  const agent = await startTruepeer(backend, 'agent', ['-l', '0.0.0.0:110', ...TRUSTING, '--source-port', 'preserve'])
  assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT6, 51_001), 'x']), '')
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="connect-failed"}'), 1)
  assert.equal(await agent.metric('truepeer_sources_refused_total{reason="src-port-in-use"}'), 0)
})

test('who is started beside another process on the same port says whose it is', async (t) => {
  const { backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const warning = 'Another process listens on the same port'
  for (const [command, args] of [
    ['agent', ['-l', AGENT, ...TRUSTING]],
    ['edge', ['--listen', `${BACKEND}:8080`, '--backend', APP]],
  ] as const) {
    const first = await startTruepeer(backend, command, args)
    const second = await startTruepeer(backend, command, args)
    const line = await second.program.waitForLine(new RegExp(warning))
    const { listen, pid, program } = JSON.parse(line) as Readonly<Record<'listen' | 'program', string>> & {
      readonly pid: number
    }
    assert.deepEqual([listen, pid], [command === 'agent' ? AGENT : `${BACKEND}:8080`, first.program.pid])
    assert.match(program, /node|truepeer/i)
    assert.ok(!first.program.texts().some((text) => text.includes(warning)), 'its own sockets are not another process')
  }
})
