// The ways of docs/guides/install.md to run an agent as an ordinary user; the one with CAP_NET_RAW alone, on a port
// that is everyone's, is in agent-start.test.ts.
import assert from 'node:assert/strict'
import { chmodSync, chownSync, copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import { runProgram } from '../../src/linux/run.ts'
import { AGENT, APP, APP6, CLIENT, CLIENT6, headerFrom } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { agentHosts } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const USER = 65_534
const GROUP = 65_534
const OTHER_USER = 65_533
const ARGUMENTS = ['agent', '-l', AGENT, '-4', APP, '-6', APP6, '--allow-all-subnets']
/** CAP_NET_BIND_SERVICE is bit 10 and CAP_NET_RAW bit 13 (capabilities(7)). */
const BOTH = /^CapEff:\t0+2400$/m

/** Words for setpriv(1) that make it another user. */
function asUser(uid: number, gid = GROUP): string[] {
  return ['--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups']
}

/** setpriv keeps root's capabilities until it executes a program: a shell in between has really lost them. */
const THROUGH_SHELL = ['sh', '-c', 'exec "$@"', 'sh']

/** Starts an agent through setpriv(1) and shows the app a client of either family; returns /proc/PID/status. */
async function serves(edge: Host, backend: Host, words: readonly string[]): Promise<string> {
  const program = backend.start('setpriv', words)
  await program.waitForLine(/"msg":"listening"/)
  for (const [source, peer] of [
    [CLIENT, `${CLIENT}:51001`],
    [CLIENT6, `[${CLIENT6}]:51001`],
  ] as const) {
    assert.equal(await exchange(edge, AGENT, [headerFrom(source, 51_001), 'x']), answerOf(peer, 'x'))
  }
  return readFileSync(`/proc/${program.pid}/status`, 'utf8')
}

test(
  'with ambient CAP_NET_RAW and CAP_NET_BIND_SERVICE an ordinary user serves a port below 1024',
  NEEDS_ROOT,
  async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startRecordingApp(backend)
    const ambient = ['--inh-caps', '+net_raw,+net_bind_service', '--ambient-caps', '+net_raw,+net_bind_service']
    const status = await serves(edge, backend, [...asUser(USER), ...ambient, TRUEPEER, ...ARGUMENTS])
    assert.match(status, BOTH)
    assert.match(status, new RegExp(`^Uid:\t${USER}\t${USER}\t`, 'm'))
  },
)

test('without CAP_NET_BIND_SERVICE a port below 1024 is refused with the remedy', NEEDS_ROOT, async (t) => {
  const { backend } = await agentHosts(t)
  const ambient = ['--inh-caps', '+net_raw', '--ambient-caps', '+net_raw']
  const { exitCode, stderr } = await backend.run('setpriv', [...asUser(USER), ...ambient, TRUEPEER, ...ARGUMENTS])
  assert.match(stderr, /^truepeer: Listening on "10\.128\.0\.2:110": EACCES; .*CAP_NET_BIND_SERVICE/)
  assert.equal(exitCode, 1)
})

test(
  'without CAP_NET_BIND_SERVICE a client from a port below 1024 is served with another, counted',
  NEEDS_ROOT,
  async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startRecordingApp(backend)
    const ambient = ['--inh-caps', '+net_raw', '--ambient-caps', '+net_raw']
    const agent = [TRUEPEER, 'agent', '-l', '10.128.0.2:1110', '--allow-all-subnets', '-4', APP]
    for (const [preserve, answers] of [
      [[], /^209\.52\.88\.4:(?!600 )\d+ 78$/],
      [['--source-port', 'preserve'], /^$/],
    ] as const) {
      const program = backend.start('setpriv', [...asUser(USER), ...ambient, ...agent, ...preserve, '-v', '2'])
      await program.waitForLine(/"msg":"listening"/)
      assert.match(await exchange(edge, '10.128.0.2:1110', [headerFrom(CLIENT, 600), 'x']), answers)
      assert.equal(
        await exchange(edge, '10.128.0.2:1110', [headerFrom(CLIENT, 1024), 'x']),
        answerOf(`${CLIENT}:1024`, 'x'),
      )
      await program.stop()
    }
  },
)

// systemd itself cannot be reached from the namespaces of the tests; setpriv(1) makes the same system calls.
test(
  'what the systemd unit grants is enough: both capabilities as bounding set too, and no new privileges',
  NEEDS_ROOT,
  async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startRecordingApp(backend)
    const both = '-all,+net_raw,+net_bind_service'
    const unit = ['--no-new-privs', '--bounding-set', both, '--inh-caps', both, '--ambient-caps', both]
    const status = await serves(edge, backend, [...asUser(USER), ...unit, TRUEPEER, ...ARGUMENTS])
    assert.match(status, BOTH)
    assert.match(status, /^CapBnd:\t0+2400$/m)
    assert.match(status, /^NoNewPrivs:\t1$/m)
  },
)

test(
  'a private copy of node with file capabilities is enough, for those who may run it and nobody else',
  NEEDS_ROOT,
  async (t) => {
    const node = await privateNode(t)
    if (node === undefined) return
    const { edge, backend } = await agentHosts(t)
    await startRecordingApp(backend)
    const program = fileURLToPath(new URL('../../src/bin/truepeer.js', import.meta.url))
    const status = await serves(edge, backend, [...asUser(USER), ...THROUGH_SHELL, node, program, ...ARGUMENTS])
    assert.match(status, BOTH)
    const stranger = [...asUser(OTHER_USER, OTHER_USER), ...THROUGH_SHELL]
    const { exitCode, stderr } = await backend.run('setpriv', [...stranger, node, '--version'])
    assert.match(stderr, /Permission denied/)
    assert.notEqual(exitCode, 0)
  },
)

test('file capabilities count for nothing once new privileges are forbidden', NEEDS_ROOT, async (t) => {
  const node = await privateNode(t)
  if (node === undefined) return
  const { backend } = await agentHosts(t)
  const program = fileURLToPath(new URL('../../src/bin/truepeer.js', import.meta.url))
  const words = [...asUser(USER), '--no-new-privs', ...THROUGH_SHELL, node, program, ...ARGUMENTS]
  const { exitCode, stderr } = await backend.run('setpriv', words)
  assert.match(stderr, /IP_TRANSPARENT\): EPERM/)
  assert.equal(exitCode, 1)
})

/** A copy of node that one group may run, with the capabilities of an agent; undefined where there can be none. */
async function privateNode(t: TestContext): Promise<string | undefined> {
  const setcap = ['/usr/sbin/setcap', '/sbin/setcap'].find((path) => existsSync(path))
  if (setcap === undefined) {
    t.skip('needs setcap: install the Debian package libcap2-bin')
    return undefined
  }
  const folder = testDirectory(t)
  chmodSync(folder, 0o755)
  const node = join(folder, 'node')
  copyFileSync(process.execPath, node)
  chownSync(node, 0, GROUP)
  chmodSync(node, 0o750)
  const { exitCode, stderr } = await runProgram(setcap, ['cap_net_raw,cap_net_bind_service=ep', node])
  if (exitCode !== 0) {
    t.skip(`this file system takes no file capabilities: ${stderr.trim()}`)
    return undefined
  }
  return node
}
