import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { AgentCommand } from '../../src/cli/agent.ts'
import { parseAgentConfig } from '../../src/cli/agent-config.ts'
import { parseAgentInstall } from '../../src/cli/agent-install.ts'
import { UsageError } from '../../src/cli/flags.ts'
import { runAgentInstall } from '../../src/host/agent-install.ts'
import { HostError } from '../../src/host/tools.ts'
import { runProgram } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'

const INSTALLATION = { program: '/opt/truepeer/bin/truepeer', node: '/usr/bin/node' }
const AGENT = ['-l', '10.128.0.2:110', '-4', '127.0.0.1:112', '-6', '[::1]:112', '--allow-all-subnets']
const UNITS = '/etc/systemd/system'

function readConfig(path: string): AgentCommand {
  return parseAgentConfig(readFileSync(path, 'utf8'), path)
}

/** Writes an agent's configuration file below a root and returns its path as the service will see it. */
function writeConfig(root: string, text: string, path = '/etc/truepeer/agent.yaml'): string {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  return path
}

/** Runs the command and returns what it printed. */
function run(
  action: 'install' | 'uninstall',
  root: string,
  words: readonly string[],
  node = INSTALLATION.node,
): string {
  let printed = ''
  const print = (text: string): void => {
    printed += text
  }
  const status = runAgentInstall(
    parseAgentInstall(action, [...words, '--root', root], readConfig),
    { ...INSTALLATION, node },
    print,
  )
  assert.equal(status, 0)
  return printed
}

function unit(root: string, name: string): string {
  return readFileSync(join(root, UNITS, name), 'utf8')
}

function setting(text: string, name: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []))
}

test('install writes a set-up unit and a service that do what the reference asks for', (t) => {
  const root = testDirectory(t)
  run('install', root, AGENT)
  assert.deepEqual(readdirSync(join(root, UNITS)).sort(), ['truepeer-agent-setup.service', 'truepeer-agent.service'])

  const setup = unit(root, 'truepeer-agent-setup.service')
  assert.deepEqual(setting(setup, 'Type'), ['notify'])
  assert.deepEqual(setting(setup, 'Restart'), ['always'])
  assert.deepEqual(setting(setup, 'ExecStart'), [
    '/opt/truepeer/bin/truepeer host-setup apply --watch --table 100 --family both',
  ])
  assert.doesNotMatch(setup, /^ExecStop/m, 'a restart must not cut the routing')

  const service = unit(root, 'truepeer-agent.service')
  assert.doesNotMatch(service, /^ExecStop|^MemoryDenyWriteExecute|^Requires=.*setup/m)
  const expected: Record<string, string> = {
    Type: 'notify',
    ExecStart: `/opt/truepeer/bin/truepeer agent ${AGENT.join(' ')}`,
    ExecReload: 'kill -HUP $MAINPID',
    Restart: 'always',
    DynamicUser: 'yes',
    AmbientCapabilities: 'CAP_NET_RAW CAP_NET_BIND_SERVICE',
    CapabilityBoundingSet: 'CAP_NET_RAW CAP_NET_BIND_SERVICE',
    NoNewPrivileges: 'yes',
    ProtectSystem: 'strict',
    RestrictAddressFamilies: 'AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    LimitNOFILE: '1048576',
    WatchdogSec: '30s',
    TimeoutStopSec: '45s',
  }
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(setting(service, name), [value], name)
  assert.match(setting(service, 'SystemCallFilter')[0], /^@system-service/)
})

test('the flags of install shape the units', (t) => {
  const root = testDirectory(t)
  const own = ['--name', 'web', '--user', 'web', '--socket', '--firewall', '--table', '7', '--family', 'ipv4']
  run('install', root, [...own, ...AGENT, '--listeners', '2', '--drain-timeout', '0'], '/opt/node 20/bin/node')
  const service = unit(root, 'web.service')
  assert.deepEqual(setting(service, 'User'), ['web'])
  assert.deepEqual(setting(service, 'DynamicUser'), [])
  assert.deepEqual(setting(service, 'AmbientCapabilities'), ['CAP_NET_RAW'])
  assert.deepEqual(setting(service, 'NonBlocking'), ['yes'])
  assert.deepEqual(setting(service, 'TimeoutStopSec'), ['infinity'])
  assert.match(setting(service, 'Environment')[0], /^"PATH=\/opt\/node 20\/bin:\/usr\/local\/sbin:/)
  const [setup] = setting(unit(root, 'web-setup.service'), 'ExecStart')
  assert.match(setup, / host-setup apply --watch --table 7 --family ipv4 --app-port 112 --agent-user web$/)
  assert.deepEqual(setting(unit(root, 'web.socket'), 'ListenStream'), ['10.128.0.2:110', '10.128.0.2:110'])
  run('uninstall', root, ['--name', 'web'])
  assert.deepEqual(readdirSync(join(root, UNITS)), [])
})

test('a port of UDP has a socket unit of its own, with a queue that only systemd may make so long', (t) => {
  const root = testDirectory(t)
  const printed = run('install', root, [...AGENT, '-p', 'tcp,udp', '--socket', '--listeners', '2'])
  assert.doesNotMatch(printed, /warning/)
  const service = unit(root, 'truepeer-agent.service')
  assert.deepEqual(setting(service, 'Requires'), ['truepeer-agent.socket', 'truepeer-agent-udp.socket'])
  assert.match(setting(service, 'ExecStart')[0], / -p tcp,udp /)
  const [tcp, udp] = ['truepeer-agent.socket', 'truepeer-agent-udp.socket'].map((name) => unit(root, name))
  assert.deepEqual(setting(tcp, 'ListenStream'), ['10.128.0.2:110', '10.128.0.2:110'])
  assert.deepEqual(setting(udp, 'ListenDatagram'), ['10.128.0.2:110', '10.128.0.2:110'])
  assert.deepEqual([setting(tcp, 'ReceiveBuffer'), setting(udp, 'ReceiveBuffer')], [[], ['8M']])
  assert.deepEqual([setting(tcp, 'NoDelay'), setting(udp, 'NoDelay')], [['yes'], []])
  assert.deepEqual(setting(udp, 'Service'), ['truepeer-agent.service'])
  run('uninstall', root, [])
  assert.deepEqual(readdirSync(join(root, UNITS)), [])
  run('install', root, [...AGENT, '-p', 'udp', '--socket'])
  assert.ok(!existsSync(join(root, UNITS, 'truepeer-agent.socket')))
})

test('what the service will miss on its host is a warning, and no error', (t) => {
  const root = testDirectory(t)
  mkdirSync(join(root, 'etc/truepeer'), { recursive: true })
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n')
  const list = '/etc/truepeer/edges.txt'
  const words = ['--user', 'web', ...AGENT.slice(0, -1), '--allowed-subnets', list]
  const printed = run('install', root, words)
  assert.match(printed, new RegExp(`^warning: "${list}" does not exist; the service does not start without it$`, 'm'))
  assert.match(printed, /^warning: there is no user "web"; /m)
  writeFileSync(join(root, list), '192.0.2.0/24\n')
  writeFileSync(join(root, 'etc/passwd'), 'web:x:999:999::/:/bin/false\n')
  assert.doesNotMatch(run('install', root, words), /warning/)
})

const TWO_PORTS = `
workers: 2
drainTimeout: 1m
admin: unix:/run/web/admin.sock
listeners:
  - { listen: "10.128.0.2:2110", target4: "127.0.0.1:112", target6: "[::1]:112", allowAllSubnets: true }
  - { listen: "[2001:db8:10::2]:110", target4: "127.0.0.1:112", target6: "[::1]:113", allowedSubnetsFile: /etc/truepeer/edges.txt }
`

test('a configuration file shapes the units by all its listeners, and the service starts with the file', (t) => {
  const root = testDirectory(t)
  const config = writeConfig(root, TWO_PORTS)
  run('install', root, ['--name', 'web', '--config', config, '--firewall'])
  const service = unit(root, 'web.service')
  assert.deepEqual(setting(service, 'ExecStart'), [`/opt/truepeer/bin/truepeer agent --config ${config}`])
  assert.deepEqual(setting(service, 'ExecReload'), ['kill -HUP $MAINPID'])
  assert.deepEqual(setting(service, 'AmbientCapabilities'), ['CAP_NET_RAW CAP_NET_BIND_SERVICE'], 'the second needs it')
  assert.deepEqual(setting(service, 'TimeoutStopSec'), ['75s'])
  const [setup] = setting(unit(root, 'web-setup.service'), 'ExecStart')
  assert.match(setup, / --app-port 112 --app-port 113$/)

  run('install', root, ['--name', 'web', '--config', config, '--socket', '--force'])
  assert.deepEqual(setting(unit(root, 'web.service'), 'AmbientCapabilities'), ['CAP_NET_RAW'])
  const [first, second] = ['10.128.0.2:2110', '[2001:db8:10::2]:110']
  assert.deepEqual(setting(unit(root, 'web.socket'), 'ListenStream'), [first, first, second, second])
  run('uninstall', root, ['--name', 'web'])
  assert.deepEqual(readdirSync(join(root, UNITS)), [])
})

test('the capability to bind is only for an agent with a port below 1024', (t) => {
  for (const [port, capabilities] of [
    [1_023, 'CAP_NET_RAW CAP_NET_BIND_SERVICE'],
    [1_024, 'CAP_NET_RAW'],
  ] as const) {
    const root = testDirectory(t)
    run('install', root, ['-l', `10.128.0.2:${port}`, '--allow-all-subnets'])
    const service = unit(root, 'truepeer-agent.service')
    assert.deepEqual(setting(service, 'AmbientCapabilities'), [capabilities])
    assert.deepEqual(setting(service, 'CapabilityBoundingSet'), [capabilities])
  }
})

test('a configuration file that the agent would not take, or the service not find, writes nothing', (t) => {
  const root = testDirectory(t)
  const listener = (rest: string) => `listeners: [{listen: "10.128.0.2:110", ${rest}}]`
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['listeners: []', /agent\.yaml" cannot be used:\n {2}\/listeners: /],
    [
      listener('allowedSubnetsFile: edges.txt'),
      /agent\.yaml: \/listeners\/0\/allowedSubnetsFile "edges\.txt": give an absolute/,
    ],
    [listener('allowAllSubnets: true, target6: "[::1]:110"'), /would close port 110/],
    [listener('allowedSubnetsFile: /home/me/edges.txt'), /cannot see "\/home\/me\/edges\.txt"/],
    [`admin: unix:/run/admin.sock\n${listener('allowAllSubnets: true')}`, /\/run\/truepeer-agent\/admin\.sock/],
  ]
  for (const [text, message] of wrong) {
    const words = ['--config', writeConfig(root, text), '--firewall']
    assert.throws(() => run('install', root, words), message)
  }
  const config = writeConfig(root, TWO_PORTS.replaceAll('/run/web/', '/run/truepeer-agent/'))
  const inTmp = writeConfig(root, listener('allowAllSubnets: true'), '/tmp/agent.yaml')
  for (const [words, message] of [
    [['--config', 'agent.yaml'], /^--config "agent\.yaml": give an absolute path$/],
    [['--config', inTmp], /cannot see "\/tmp\/agent\.yaml"/],
    [
      ['--config', config, '-v', '1'],
      /^With --config, all other settings belong in the file: write "verbosity: ..." into each/,
    ],
    [['--config', config, '--config', config], /2 times/],
  ] as const) {
    assert.throws(() => run('install', root, words), { message })
  }
  assert.throws(() => run('uninstall', root, ['--config', config]), /does not need --config/)
  assert.equal(existsSync(join(root, 'etc/systemd')), false)
})

test('install twice changes nothing, and other flags change the file', (t) => {
  const root = testDirectory(t)
  assert.equal(run('install', root, AGENT).match(/^written/gm)?.length, 2)
  assert.equal(run('install', root, AGENT).match(/^unchanged/gm)?.length, 2)
  const changed = run('install', root, [...AGENT, '-v', '1'])
  assert.match(changed, /^unchanged.*-setup\.service\nwritten .*agent\.service\n/)
  assert.deepEqual(readdirSync(join(root, UNITS)).sort(), ['truepeer-agent-setup.service', 'truepeer-agent.service'])
})

test('a unit of somebody else, or one that was edited, is neither overwritten nor removed without --force', (t) => {
  const root = testDirectory(t)
  run('install', root, AGENT)
  const path = join(root, UNITS, 'truepeer-agent.service')
  for (const [spoil, message] of [
    [() => writeFileSync(path, '[Service]\n'), /was not written by/],
    [() => appendFileSync(path, 'Nice=5\n'), /was edited/],
  ] as const) {
    run('install', root, [...AGENT, '--force'])
    spoil()
    const spoiled = readFileSync(path, 'utf8')
    assert.throws(() => run('install', root, [...AGENT, '--table', '9']), message)
    assert.throws(() => run('uninstall', root, []), message)
    assert.equal(readFileSync(path, 'utf8'), spoiled)
    const setup = unit(root, 'truepeer-agent-setup.service')
    assert.match(setup, /--table 100/, 'all or nothing')
  }
  run('uninstall', root, ['--force'])
  assert.deepEqual(readdirSync(join(root, UNITS)), [])
})

const LISTENING = ['-l', '10.128.0.2:110', '-4', '127.0.0.1:112']
const FOLLOWING = [...LISTENING, '--controller', 'https://controller.example:8443', '--instance', 'web-1']
const FOLLOWING_FILE = `
controller: https://controller.example:8443
instance: web-1
state: /var/lib/web
tokenFile: /root/100% secret/token
controllerCa: /etc/truepeer/ca.pem
listeners: [{ listen: "10.128.0.2:2110" }]
`

test('an agent that follows a controller gets a folder for the edges, and the token from systemd', (t) => {
  const root = testDirectory(t)
  run('install', root, [...FOLLOWING, '--token-file', '/etc/truepeer/token', '--controller-ca', '/etc/truepeer/ca.pem'])
  const service = unit(root, 'truepeer-agent.service')
  assert.deepEqual(setting(service, 'StateDirectory'), ['truepeer-agent'])
  assert.deepEqual(setting(service, 'StateDirectoryMode'), ['0700'])
  assert.deepEqual(setting(service, 'LoadCredential'), ['controller-token:/etc/truepeer/token'])
  assert.match(setting(service, 'ExecStart')[0], / --instance web-1 .*--token-file \/etc\/truepeer\/token /)

  const config = writeConfig(root, FOLLOWING_FILE)
  run('install', root, ['--name', 'web', '--config', config])
  const web = unit(root, 'web.service')
  assert.deepEqual(setting(web, 'StateDirectory'), ['web'])
  assert.deepEqual(setting(web, 'LoadCredential'), ['controller-token:/root/100%% secret/token'])

  run('install', root, [...AGENT, '--name', 'alone'])
  const alone = unit(root, 'alone.service')
  assert.deepEqual([...setting(alone, 'StateDirectory'), ...setting(alone, 'LoadCredential')], [])
})

test('what the service of an agent with a controller could not do is refused', (t) => {
  const root = testDirectory(t)
  const socket = [...LISTENING, '--instance', 'web-1', '--controller']
  for (const [words, message] of [
    [[...FOLLOWING, '--name', 'web'], /cannot write to "\/var\/lib\/truepeer-agent".*to \/var\/lib\/web/],
    [[...FOLLOWING, '--state', '/var/lib/truepeer'], /cannot write to "\/var\/lib\/truepeer";/],
    [[...FOLLOWING, '--controller-ca', '/root/ca.pem'], /cannot see "\/root\/ca\.pem"/],
    [[...socket, 'unix:/run/truepeer/controller.sock'], /Only the controller's user may connect/],
    [[...socket, 'unix:/tmp/c', '--user', 'daemon'], /cannot see "\/tmp\/c"/],
  ] as const) {
    assert.throws(
      () => run('install', root, words),
      (error: Error) => error instanceof HostError && message.test(error.message),
      words.join(' '),
    )
  }
  for (const [words, place] of [
    [[...FOLLOWING, '--token-file', 'token'], /^--token-file "token": give an absolute path/],
    [[...FOLLOWING, '--controller-ca', 'ca.pem'], /^--controller-ca/],
    [[...FOLLOWING, '--state', 'state'], /^--state/],
    [[...socket, 'unix:c'], /^--controller/],
    [
      ['--config', writeConfig(root, FOLLOWING_FILE.replace('/root/100% secret/', ''))],
      /^\/etc\/truepeer\/agent\.yaml: \/tokenFile "token"/,
    ],
  ] as const) {
    assert.throws(
      () => run('install', root, words),
      (error: Error) => error instanceof UsageError && place.test(error.message),
      words.join(' '),
    )
  }
  assert.equal(existsSync(join(root, UNITS)), false)
})

test('uninstall removes what was written and the links that enabled it, and nothing else; twice does no harm', (t) => {
  const root = testDirectory(t)
  run('install', root, AGENT)
  const wants = join(root, UNITS, 'multi-user.target.wants')
  mkdirSync(wants)
  symlinkSync('/etc/systemd/system/truepeer-agent.service', join(wants, 'truepeer-agent.service'))
  symlinkSync('/etc/systemd/system/other.service', join(wants, 'other.service'))
  writeFileSync(join(root, UNITS, 'other.service'), '[Service]\n')
  mkdirSync(join(root, UNITS, 'truepeer-agent.service.d'))
  run('uninstall', root, [])
  assert.deepEqual(readdirSync(join(root, UNITS)).sort(), [
    'multi-user.target.wants',
    'other.service',
    'truepeer-agent.service.d',
  ])
  assert.deepEqual(readdirSync(wants), ['other.service'])
  assert.match(run('uninstall', root, []), /^absent/)
})

test('a dry run prints the units and writes nothing', (t) => {
  const root = testDirectory(t)
  const printed = run('install', root, [...AGENT, '--dry-run', '--socket'])
  assert.equal(printed.match(/^==> .* <==$/gm)?.length, 3)
  run('uninstall', root, ['--dry-run'])
  assert.equal(existsSync(join(root, 'etc')), false)
})

test("the agent's own parser judges the flags, and what a service could not do is refused", (t) => {
  const root = testDirectory(t)
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['-l', '10.128.0.2:110'], /allowed-subnets/],
    [[...AGENT, '-4', '127.0.0.1:1'], /2 times/],
    [[...AGENT, '--idle-timeout', 'soon'], /duration/],
    [[...AGENT, '--nope'], /Unknown flag/],
    [[...AGENT, '--name', 'a/b'], /not a name for a service/],
    [[...AGENT, '--user', 'a b'], /not a name for a user/],
    [['--allowed-subnets', 'edges.txt'], /absolute path/],
    [['--allowed-subnets=-edges.txt'], /absolute path/],
    [[...AGENT.slice(0, 2), '-4', '127.0.0.1:110', '--allow-all-subnets', '--firewall'], /would close port 110/],
  ]
  for (const [words, message] of wrong) {
    assert.throws(
      () => run('install', root, words),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      words.join(' '),
    )
  }
  assert.throws(() => run('uninstall', root, AGENT), UsageError)
  for (const [words, message] of [
    [['--allowed-subnets', '/root/edges.txt'], /cannot see "\/root\/edges.txt"/],
    [['--allowed-subnets', '/tmp/edges.txt'], /cannot see/],
    [[...AGENT, '--program', '/home/me/truepeer'], /cannot see/],
    [[...AGENT, '--admin', 'unix:/var/run/admin.sock'], /\/run\/truepeer-agent\/admin\.sock/],
  ] as const) {
    assert.throws(
      () => run('install', root, words),
      (error: Error) => error instanceof HostError && message.test(error.message),
      words.join(' '),
    )
  }
  assert.equal(existsSync(join(root, 'etc')), false)
})

test('awkward values reach the unit quoted', (t) => {
  const root = testDirectory(t)
  const path = '/run/truepeer-agent/a b%c$d"e\\f\'.sock'
  run('install', root, [...AGENT, '--admin', `unix:${path}`])
  const [line] = setting(unit(root, 'truepeer-agent.service'), 'ExecStart')
  assert.ok(line.includes(String.raw`--admin "unix:/run/truepeer-agent/a b%%c$$d\"e\\f'.sock"`), line)
})

test('systemd itself accepts the units', async (t) => {
  const verify = await runProgram('systemd-analyze', ['--version']).catch(() => undefined)
  if (verify?.exitCode !== 0) return t.skip('systemd-analyze is missing: systemd')
  const root = testDirectory(t)
  const program = join(root, 'true peer 100%')
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
  const config = writeConfig(root, TWO_PORTS, '/etc/truepeer/two "ports" at 100%.yaml')
  for (const words of [
    [...AGENT, '--admin', 'unix:/run/truepeer-agent/a b'],
    ['--socket', '--user', 'daemon', '--firewall', '--name', 'web', ...AGENT, '--admin', 'unix:/run/web/a b'],
    ['--socket', '--name', 'web', '--config', config, '--force'],
    ['--socket', '--name', 'web', ...AGENT, '-p', 'tcp,udp', '--force'],
    [...FOLLOWING, '--token-file', '/root/100% "secret"/token', '--force'],
  ]) {
    const directory = join(root, UNITS)
    // Below /tmp no service would find its program; that is not what is asked here.
    run('install', root, words)
    for (const name of readdirSync(directory)) {
      const text = unit(root, name).replaceAll(INSTALLATION.program, `"${program.replaceAll('%', '%%')}"`)
      writeFileSync(join(directory, name), text)
    }
    const files = readdirSync(directory).map((name) => join(directory, name))
    const { exitCode, stdout, stderr } = await runProgram('systemd-analyze', ['verify', '--man=no', ...files])
    assert.equal(`${stdout}${stderr}`, '')
    assert.equal(exitCode, 0)
  }
})
