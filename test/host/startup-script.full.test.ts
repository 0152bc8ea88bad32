// The startup script of row 29 on a host without systemd, where an edge is in front of it, and on one that looks like one
// with systemd.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import { type RunResult, runProgram } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { NEEDS_ROOT, skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { networkState } from './bare-hosts.ts'

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const SCRIPT = fileURLToPath(new URL('../../../buckets/startup-script-proxy/gommproxy-startup.bash', import.meta.url))
const skip = NEEDS_ROOT.skip || skipWithout('bash', 'flock', 'nft', 'iperf3', 'ulogd')

/** A host whose /etc, /var, /run and /usr/local are its own, so that the script may write there. */
type ScriptHost = {
  /** Runs a command there. */
  run(command: string): Promise<RunResult>
  /** Runs the script there; it has to succeed. */
  script(action: string): Promise<string>
}

async function scriptHost(t: TestContext, host: Host, path = ''): Promise<ScriptHost> {
  const work = testDirectory(t)
  chmodSync(work, 0o755)
  const setUp = `set -e; cp -a /etc ${work}/etc; mkdir ${work}/log
    mount --bind ${work}/etc /etc; mount --bind ${work}/log /var/log; mount -t tmpfs none /run
    mount -t tmpfs none /opt; mkdir /opt/truepeer; mount --rbind ${CHECKOUT} /opt/truepeer
    rm -rf /etc/rsyslog.d; mkdir -p /etc/logrotate.d; echo ready; exec sleep infinity`
  const holder = host.start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', setUp])
  await holder.waitForLine(/^ready$/, { timeoutMs: 60_000 })
  const run = (command: string): Promise<RunResult> =>
    host.run('nsenter', [`--target=${holder.pid}`, '--mount', '--', 'sh', '-c', command], { timeoutMs: 120_000 })
  return {
    run,
    script: async (action) => {
      const { exitCode, stdout, stderr } = await run(`PATH=${path}$PATH bash ${SCRIPT} ${action}`)
      assert.equal(exitCode, 0, stdout + stderr)
      return stdout
    },
  }
}

test('one run of the startup script makes a backend that sees its clients, a second one changes nothing, and undo removes it', {
  skip,
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const before = await networkState(backend)
  const host = await scriptHost(t, backend)
  assert.match(await host.script(''), /^gommproxy-startup: port 110 of this host takes connections/m)
  const programs = async (): Promise<string> => (await host.run('cat /run/gommproxy/*.pid')).stdout
  const uncounted = async (): Promise<string> =>
    (await networkState(backend)).replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
  const state = await uncounted()
  const first = await programs()
  assert.match(first, /^\d+\n\d+\n\d+\n$/)
  await host.script('apply')
  assert.equal(await programs(), first, 'the programs go on')
  assert.equal(await uncounted(), state)

  const edges = [IPV4, IPV6].map((addresses) => addresses.edge)
  for (const address of edges) {
    const listen = address.includes(':') ? `[${address}]:110` : `${address}:110`
    const program = edge.start(TRUEPEER, ['edge', '--listen', listen, '--backend', `${IPV4.backend}:110`])
    await program.waitForLine(/"msg":"listening"/, { timeoutMs: 60_000 })
  }
  for (const [index, address] of edges.entries()) {
    await eventually('the agent and the app listen', async () => {
      const { exitCode } = await client.run('iperf3', ['-c', address, '-p', '110', '-n', '1M'], { timeoutMs: 60_000 })
      return exitCode === 0
    })
    const peer = [IPV4, IPV6][index].client
    const { stdout } = await host.run('cat /var/log/gommproxy-iperf3.log')
    assert.match(stdout, new RegExp(`^Accepted connection from ${peer}, port \\d+$`, 'm'))
    await eventually('the log names the client', async () => {
      const log = await host.run('cat /var/log/inbound-tcp.log')
      return new RegExp(`INBOUND_TCP: IN=lo .*SRC=${peer} .* DPT=112 .*SYN`).test(log.stdout)
    })
  }
  await pause(1_100, 'a probe of each second that is to leave no line')
  const log = (await host.run('cat /var/log/inbound-tcp.log')).stdout.trimEnd().split('\n')
  for (const line of log) assert.match(line, /SRC=(209\.52\.88\.4|2001:db8:209::4) /)

  assert.match(await host.script('undo'), /nothing of it is left/)
  assert.equal(await networkState(backend), before)
  const { stdout } = await host.run('ls -d /etc/truepeer/* /etc/logrotate.d/inbound-tcp /run/gommproxy')
  assert.equal(stdout, '')
  await eventually('its programs have ended', async () => !(await backend.run('ss', ['-Hltn'])).stdout.includes(':11'))
})

test('where systemd runs, units keep the agent and the app, and the log of the kernel is filtered by rsyslog', {
  skip,
}, async (t) => {
  const lab = new Lab()
  t.after(() => lab.close())
  const stand = testDirectory(t)
  const calls = join(stand, 'calls')
  // systemd does not run in a namespace: these write down what they are told.
  mkdirSync(join(stand, 'bin'))
  for (const name of ['systemctl', 'systemd-run']) {
    writeFileSync(
      join(stand, 'bin', name),
      `#!/bin/sh\necho "${name} $*" >>${calls}\ncase $* in *is-active*) exit 3 ;; esac\n`,
      { mode: 0o755 },
    )
  }
  // The script looks at the PID namespace to learn whether it can read the kernel's log.
  writeFileSync(
    join(stand, 'bin/readlink'),
    '#!/bin/sh\ncase $1 in /proc/self/ns/pid) echo "pid:[4026531836]" ;; *) exec /usr/bin/readlink "$@" ;; esac\n',
    { mode: 0o755 },
  )
  const host = await scriptHost(t, await lab.addHost('backend'), `${stand}/bin:`)
  await host.run('mkdir -p /run/systemd/system /etc/rsyslog.d /etc/systemd/system')
  await host.script('apply')
  const told = readFileSync(calls, 'utf8')
  assert.match(told, /^systemctl enable --quiet --now truepeer-agent-setup\.service truepeer-agent\.service$/m)
  assert.match(told, /^systemd-run --quiet --unit=gommproxy-app .* iperf3 --server --port 112 --forceflush$/m)
  assert.match(told, /^systemctl try-restart rsyslog\.service$/m)
  const unit = (await host.run('cat /etc/systemd/system/truepeer-agent.service')).stdout
  assert.match(
    unit,
    /^ExecStart=.* agent -l 0\.0\.0\.0:110 -4 127\.0\.0\.1:112 -6 \[::1\]:112 --allowed-subnets \/etc\/truepeer\/gcp-tcp-proxy-ip-range$/m,
  )
  assert.equal(
    (await host.run('cat /etc/rsyslog.d/10-inbound-tcp.conf')).stdout,
    ':msg, contains, "INBOUND_TCP:" /var/log/inbound-tcp.log\n& stop\n',
  )
  assert.match(
    (await host.run('nft list table inet gommproxy')).stdout,
    /tcp dport 112 .* log prefix "INBOUND_TCP: "$/m,
  )

  writeFileSync(calls, '')
  await host.script('apply')
  assert.doesNotMatch(readFileSync(calls, 'utf8'), /rsyslog/, 'what has not changed is not started again')
  await host.script('undo')
  assert.equal(
    (await host.run('ls /etc/systemd/system | grep truepeer; ls /etc/rsyslog.d /etc/truepeer')).stdout.replaceAll(
      /^\/.*:\n|\n/gm,
      '',
    ),
    '',
  )
})

test('the startup script says what a host lacks', { skip }, async (t) => {
  const lab = new Lab()
  t.after(() => lab.close())
  const host = await scriptHost(t, await lab.addHost('backend'))
  const without = await host.run(`umount -R /opt/truepeer; PATH=/usr/bin:/bin bash ${SCRIPT}`)
  assert.equal(without.exitCode, 1)
  assert.match(without.stderr, /there is no "truepeer" on this host: install Node\.js 20\.20 or later/)
  const wrong = await host.run(`bash ${SCRIPT} start`)
  assert.match(wrong.stderr, /"start" is not something this does; write apply or undo/)
})

test('shellcheck finds nothing in the startup script', { skip: skipWithout('shellcheck') }, async () => {
  const { stdout } = await runProgram('shellcheck', [SCRIPT])
  assert.equal(stdout, '')
})
