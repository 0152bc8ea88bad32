import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { compile } from '../snapshot/compile.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { type AgentCommand, agentFlags, parseAgent } from './agent.ts'
import { parseAgentInstall } from './agent-install.ts'
import { parseDoctor, parseEdgeDoctor } from './doctor.ts'
import { edgeFlags, parseEdge } from './edge.ts'
import { spelled, UsageError } from './flags.ts'
import { commandHelp, commands, programHelp } from './help.ts'
import { parseWhoami } from './verify.ts'

const TRUST = '--allow-all-subnets'
const EDGE = ['--listen', '192.0.2.1:110', '--backend', '192.0.2.2:110']

test('go-mmproxy\'s flags mean the same, with one dash or two, and with "="', () => {
  // As in its README: sudo ./go-mmproxy -l 0.0.0.0:25577 -4 127.0.0.1:25578 -6 [::1]:25578 --allowed-subnets ./nets.txt
  const flags = [
    ['l', '0.0.0.0:25577'],
    ['4', '127.0.0.1:25578'],
    ['6', '[::1]:25578'],
    ['p', 'tcp'],
    ['allowed-subnets', './nets.txt'],
    ['mark', '123'],
    ['listeners', '2'],
    ['close-after', '60'],
    ['v', '2'],
  ] as const
  for (const dashes of ['-', '--']) {
    const words = parseAgent(flags.flatMap(([name, value]) => [`${dashes}${name}`, value]))
    const joined = parseAgent(flags.map(([name, value]) => `${dashes}${name}=${value}`))
    assert.deepEqual(words, joined)
    assertDropIn(words)
  }
})

function assertDropIn(command: AgentCommand): void {
  const { workers, listeners } = command
  assert.equal(listeners.length, 1)
  const { listen, target4, target6, trust, mark, verbosity } = listeners[0]
  assert.deepEqual(
    [listen, target4, target6].map((it) => it && formatEndpoint(it)),
    ['0.0.0.0:25577', '127.0.0.1:25578', '[::1]:25578'],
  )
  assert.deepEqual(
    { trust, mark, workers, verbosity },
    {
      trust: { kind: 'file', path: './nets.txt' },
      mark: 123,
      workers: 2,
      verbosity: 2,
    },
  )
}

test("an agent's defaults are go-mmproxy's, but trust has to be said", () => {
  const { workers, listeners } = parseAgent([TRUST])
  const { listen, target4, target6, mark, verbosity, sourcePort } = listeners[0]
  assert.deepEqual(
    [listen, target4, target6].map((it) => it && formatEndpoint(it)),
    ['0.0.0.0:8443', '127.0.0.1:443', '[::1]:443'],
  )
  assert.deepEqual(
    { workers, mark, verbosity, sourcePort },
    {
      workers: 1,
      mark: 0,
      verbosity: 0,
      sourcePort: 'preserve-or-ephemeral',
    },
  )
})

/** What the one-line form compiles to. */
function snapshotOf(argv: readonly string[]): Snapshot {
  const { configuration } = parseEdge(argv)
  assert.equal(configuration.kind, 'resources')
  const compiled = compile(configuration.resources)
  assert.ok('snapshot' in compiled, JSON.stringify(compiled))
  return compiled.snapshot
}

test('an edge has PROXY_V1 and the health check of Compute Engine by default', () => {
  const { frontends, services, healthChecks } = snapshotOf([...EDGE, '--backend', '[2001:db8::2]:110'])
  assert.deepEqual(frontends, [
    {
      name: 'edge',
      protocol: 'TCP',
      address: '192.0.2.1',
      port: 110,
      proxy: 'edge',
      service: 'edge',
      proxyHeader: { kind: 'PROXY_V1' },
      tls: undefined,
    },
  ])
  const [{ idleTimeoutMs, drainingTimeoutMs, groups }] = services
  assert.deepEqual({ idleTimeoutMs, drainingTimeoutMs }, { idleTimeoutMs: 30_000, drainingTimeoutMs: 0 })
  assert.deepEqual(
    groups.flatMap(({ backends }) => backends.map(({ name }) => name)),
    ['192.0.2.2:110', '[2001:db8::2]:110'],
  )
  const [{ checkIntervalMs, timeoutMs, healthyThreshold, unhealthyThreshold, port, probe }] = healthChecks
  assert.deepEqual(
    { checkIntervalMs, timeoutMs, healthyThreshold, unhealthyThreshold, port, probe },
    {
      checkIntervalMs: 5_000,
      timeoutMs: 5_000,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
      port: undefined,
      probe: { kind: 'TCP', request: '', response: '' },
    },
  )
})

test('the one-line form takes times that a file cannot: parts of a second, and an idle timeout of 0', () => {
  const times = ['--idle-timeout', '0', '--check-interval', '150ms', '--check-timeout', '50ms']
  const { services, healthChecks } = snapshotOf([...EDGE, ...times])
  const [{ checkIntervalMs, timeoutMs }] = healthChecks
  assert.deepEqual([services[0].idleTimeoutMs, checkIntervalMs, timeoutMs], [0, 150, 50])
})

test('-p udp makes a frontend for UDP, with version 2 of the header, flows of 60 s and no health check', () => {
  const { frontends, services, healthChecks } = snapshotOf([...EDGE, '-p', 'udp'])
  assert.deepEqual(
    frontends.map(({ name, protocol, proxyHeader, proxy }) => [name, protocol, proxyHeader.kind, proxy]),
    [['edge', 'UDP', 'PROXY_V2', '']],
  )
  const [{ flows, idleTimeoutMs, healthCheck, locality }] = services
  assert.deepEqual([flows, idleTimeoutMs, healthCheck], [{ persistsOnUnhealthy: false }, 60_000, undefined])
  assert.deepEqual([locality, healthChecks], [{ kind: 'MAGLEV' }, []])
})

test('-p tcp,udp makes both with the same backends, and --check-port says what is probed', () => {
  const flags = ['-p', 'udp,tcp', '--idle-timeout', '500ms', '--check-port', '80', '--proxy-header', 'NONE']
  const { frontends, services, healthChecks } = snapshotOf([...EDGE, ...flags])
  assert.deepEqual(
    frontends.map(({ name, protocol, port, proxyHeader, service }) => [
      name,
      protocol,
      port,
      proxyHeader.kind,
      service,
    ]),
    [
      ['edge', 'TCP', 110, 'NONE', 'edge'],
      ['edge-udp', 'UDP', 110, 'NONE', 'edge-udp'],
    ],
  )
  for (const { idleTimeoutMs, healthCheck } of services) assert.deepEqual([idleTimeoutMs, healthCheck], [500, 'edge'])
  assert.deepEqual(services[0]?.groups, services[1]?.groups)
  assert.equal(healthChecks[0]?.port, 80)
})

test('with --max-utilization backends of every port are in a group of that port, and balanced by utilization', () => {
  const backends = ['--backend', '192.0.2.3:110', '--backend', '192.0.2.2:111', '--backend', '[2001:db8::2]:111']
  const [{ groups }] = snapshotOf([
    ...EDGE,
    ...backends,
    '--max-utilization',
    '0.8',
    '--region',
    'us-central1',
  ]).services
  const balancing = { mode: 'UTILIZATION', maxUtilization: 0.8, maxConnections: undefined, capacityScaler: 1 }
  for (const group of groups) assert.deepEqual([group.balancing, group.region], [balancing, 'us-central1'])
  assert.deepEqual(
    groups.map((group) => [group.name, group.backends.map(({ name, address, port }) => `${name} ${address} ${port}`)]),
    [
      ['us-central1-a/edge-110', ['ip-192-0-2-2 192.0.2.2 110', 'ip-192-0-2-3 192.0.2.3 110']],
      ['us-central1-a/edge-111', ['ip-192-0-2-2 192.0.2.2 111', 'ip-20010db8000000000000000000000002 2001:db8::2 111']],
    ],
  )
})

test('an edge takes several files, and flags about the process and its host beside them', () => {
  const files = ['--config', 'a.yaml', '--config=b.json', '--watch']
  const sources = ['--source-ranges', '10.0.0.0/30,10.0.0.1,2001:db8::8/127', '--zone', 'us-central1-b']
  const command = parseEdge([...files, ...sources, '--accept-proxy', '10.1.2.3/8,::1', '--retries', '0'])
  assert.deepEqual(command.configuration, {
    kind: 'files',
    paths: ['a.yaml', 'b.json'],
    isWatched: true,
    ticketKeysPath: undefined,
  })
  assert.deepEqual(command.sourceAddresses.map(formatIpAddress), [
    '10.0.0.0',
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.3',
    '2001:db8::8',
    '2001:db8::9',
  ])
  const { acceptProxyFrom, retriesMax, localRegion } = command
  assert.deepEqual(
    { acceptProxyFrom, retriesMax, localRegion },
    { acceptProxyFrom: ['10.0.0.0/8', '::1/128'], retriesMax: 0, localRegion: 'us-central1' },
  )
})

test('--watch goes with files of resources, and with those of certificates', () => {
  const pair = ['--tls-cert', 'a.pem', '--tls-key', 'a.key']
  const isWatched = (argv: string[]): boolean => {
    const { configuration } = parseEdge(argv)
    return configuration.kind !== 'controller' && configuration.isWatched
  }
  assert.equal(isWatched([...EDGE, ...pair, '--watch']), true)
  assert.equal(isWatched([...EDGE, ...pair]), false)
  assert.equal(isWatched(['--config', 'lb.yaml', '--watch']), true)
})

test('--tls-ticket-keys goes with files of resources and with certificates, and nothing else has TLS of its own', () => {
  const keys = ['--tls-ticket-keys', 'tickets']
  for (const argv of [
    ['--config', 'lb.yaml', ...keys],
    [...EDGE, '--tls-cert', 'a.pem', '--tls-key', 'a.key', ...keys],
  ]) {
    const { configuration } = parseEdge(argv)
    assert.ok(configuration.kind !== 'controller')
    assert.equal(configuration.ticketKeysPath, 'tickets')
  }
  const message = '--tls-ticket-keys is for TLS; give --tls-cert and --tls-key with it'
  assert.throws(() => parseEdge([...EDGE, ...keys]), { message })
  assert.throws(() => parseEdge(['--controller', 'http://127.0.0.1:8080', '--name', 'e', ...keys]), {
    message: '--controller and --tls-ticket-keys cannot be used together: the controller says it; remove one of them',
  })
})

for (const [argv, message] of [
  [['-p', 'sctp', TRUST], '-p "sctp" is not a protocol; write tcp, udp or tcp,udp'],
  [['-p', 'udp,udp', TRUST], '-p "udp,udp" is not a protocol; write tcp, udp or tcp,udp'],
  [['--close-after', '0', TRUST], '--close-after "0" is not a whole number from 1 to 86400'],
  [['--udp-header', 'spp', TRUST], '--udp-header spp is for UDP; make the protocol udp or tcp,udp, or leave it out'],
  [['-p', 'udp', '--idle-timeout', '5s', TRUST], '--idle-timeout is for TCP; with UDP, give the time as --close-after'],
  [['--udp-header', 'v2', TRUST], '--udp-header "v2" is not one of every, first, alone, spp'],
  [
    [],
    /Give --allowed-subnets FILE with the subnets of your edges, or --controller URL that knows them, or --allow-all-subnets$/,
  ],
  [
    [TRUST, '--allowed-subnets', 'x'],
    /--allowed-subnets and --allow-all-subnets contradict each other; give one of them/,
  ],
  [['--allowed-subnets', ''], '--allowed-subnets is empty; give a value'],
  [['-l', 'localhost:110', TRUST], /^-l "localhost:110" is not ADDR:PORT; write an address such as/],
  [['-l', '0.0.0.0:0', TRUST], /^-l "0\.0\.0\.0:0" has port 0; give one/],
  [
    ['-4', '[::1]:443', TRUST],
    '-4 "[::1]:443" is not IPv4; write an IPv4 address, and the other one as the target of IPv6',
  ],
  [
    ['-6', '127.0.0.1:443', TRUST],
    '-6 "127.0.0.1:443" is not IPv6; write an IPv6 address, and the other one as the target of IPv4',
  ],
  [['-6', '[::ffff:127.0.0.1]:443', TRUST], /^-6 "\[::ffff:127\.0\.0\.1\]:443" is not IPv6; /],
  [['-4', '0.0.0.0:443', TRUST], /^-4 "0\.0\.0\.0:443" is not an address to connect to; write that of the app/],
  [['-6', '[ff02::1]:443', TRUST], /^-6 "\[ff02::1\]:443" is not an address to connect to; /],
  [['--mark', '-1', TRUST], '--mark "-1" is not a whole number from 0 to 2147483647'],
  [['--listeners', '0', TRUST], '--listeners "0" is not a whole number from 1 to 256'],
  [['--listeners', '257', TRUST], '--listeners "257" is not a whole number from 1 to 256'],
  [['-v', '3', TRUST], '-v "3" is not a whole number from 0 to 2'],
  [['-v', TRUST], /^-v needs a value: /],
  [['--source-port', 'any', TRUST], /^--source-port "any" is not one of preserve-or-ephemeral, preserve, ephemeral$/],
  [['--header-timeout', '0', TRUST], /^--header-timeout must be longer than 0; /],
  [['--header-length-max', '100', TRUST], '--header-length-max "100" is not a whole number from 216 to 60000'],
  [
    ['--admin', '0.0.0.0:9112', TRUST],
    /^--admin "0\.0\.0\.0:9112" is not loopback, .* write 127\.0\.0\.1:9112 or unix:PATH$/,
  ],
  [['--admin', `unix:${'a'.repeat(108)}`, TRUST], /^--admin "a{80}…" has 108 bytes; .* at most 107$/],
  [['--admin', 'unix:', TRUST], /^--admin "unix:" is neither HOST:PORT nor unix:PATH; write/],
  [['--admin', '9112', TRUST], /^--admin "9112" is neither HOST:PORT nor unix:PATH; write/],
] as const) {
  test(`truepeer agent ${argv.join(' ')}: a usage error with the value, the rule and the remedy`, () => {
    assert.throws(() => parseAgent(argv), { name: UsageError.name, message })
  })
}

for (const [argv, message] of [
  [[], /^--listen is missing; give the ADDR:PORT that clients connect to, or --config FILE, or --controller URL$/],
  [[...EDGE, '--config', 'x'], '--config and --listen cannot be used together: the file says it; remove one of them'],
  [['--config', 'x', '--idle-timeout', '5s'], /^--config and --idle-timeout cannot be used together/],
  [['--config', ''], '--config is empty; give a value'],
  [[...EDGE, '--max-flows', '5'], '--max-flows is for UDP; give -p udp or -p tcp,udp with it, or remove it'],
  [[...EDGE, '-p', 'sctp'], '-p "sctp" is not a protocol; write tcp, udp or tcp,udp'],
  [[...EDGE, '-p', 'udp,udp'], '-p "udp,udp" is not a protocol; write tcp, udp or tcp,udp'],
  [
    [...EDGE, '-p', 'tcp,udp', '--proxy-header', 'PROXY_V1'],
    '--proxy-header PROXY_V1 cannot be used with UDP; give PROXY_V2',
  ],
  [[...EDGE, '-p', 'udp', '--idle-timeout', '0'], /^--idle-timeout 0 cannot be used with UDP, .* a time such as 60s$/],
  [
    [...EDGE, '-p', 'udp', '--tls-cert', 'a', '--tls-key', 'b'],
    '--tls-cert cannot be used with UDP alone; give -p tcp,udp, or remove it',
  ],
  [[...EDGE, '--watch'], '--watch is for files; give --config FILE, or --tls-cert and --tls-key, with it'],
  [[...EDGE, '--region', 'US'], /^--region "US" is not a name: it has "U"; write up to 63 small letters/],
  [[...EDGE, '--region', 'a-b', '--zone', 'a-c-d'], '--zone "a-c-d" is in a-c, not in "a-b"; leave --region out'],
  [[...EDGE, '--retries', '-1'], '--retries "-1" is not a whole number from 0 to 100'],
  [[...EDGE, '--source-ranges', '10.0.0.0/21'], /^--source-ranges "10\.0\.0\.0\/21" has more than 1024 addresses; /],
  [[...EDGE, '--source-ranges', '2001:db8::/32'], /has more than 1024 addresses; give longer prefixes$/],
  [
    [...EDGE, '--source-ranges', '10.0.0.1,'],
    /^--source-ranges "" is not a subnet; write one such as 192\.0\.2\.0\/28/,
  ],
  [[...EDGE, '--source-ranges', '224.0.0.1'], /^--source-ranges "224\.0\.0\.1" is not an address to connect from; /],
  [[...EDGE, '--accept-proxy', 'haproxy'], /^--accept-proxy "haproxy" is not a subnet; /],
  [['--listen', '192.0.2.1:110'], /^--backend is missing; give the ADDR:PORT of at least one$/],
  [[...EDGE, '--backend', '0.0.0.0:110'], /^--backend "0\.0\.0\.0:110" is not an address to connect to; /],
  [[...EDGE, '--proxy-header', 'PROXY_V3'], '--proxy-header "PROXY_V3" is not one of PROXY_V1, PROXY_V2, NONE'],
  [[...EDGE, '--check-timeout', '6s'], '--check-timeout must not exceed --check-interval; shorten it'],
  [[...EDGE, '--healthy-threshold', '11'], '--healthy-threshold "11" is not a whole number from 1 to 10'],
  [[...EDGE, '--tls-profile', 'MODERN'], '--tls-profile is for TLS; give --tls-cert and --tls-key with it'],
  [[...EDGE, '--tls-min-version', '1.2'], '--tls-min-version is for TLS; give --tls-cert and --tls-key with it'],
  [[...EDGE, '--tls-alpn', 'h2'], '--tls-alpn is for TLS; give --tls-cert and --tls-key with it'],
  [[...EDGE, '--tls-alpn', 'h2,http/1.1'], /^--tls-alpn "h2,http\/1\.1" is more than one protocol; repeat the flag/],
  [
    [...EDGE, '--tls-cert', 'a', '--tls-key', 'b', '--tls-alpn', 'h2', '--tls-alpn', 'h2'],
    '--tls-alpn "h2" is given twice; give it once',
  ],
  [[...EDGE, '--tls-alpn', 'a b'], /^--tls-alpn "a b" is not a protocol name for ALPN; write /],
  [[...EDGE, '--tls-profile', 'CUSTOM'], /^--tls-profile "CUSTOM" is not one of COMPATIBLE, MODERN, RESTRICTED, FIPS/],
  [[...EDGE, '--tls-min-version', '1.4'], '--tls-min-version "1.4" is not one of 1.0, 1.1, 1.2, 1.3'],
] as const) {
  test(`truepeer edge ${argv.join(' ')}: a usage error with the value, the rule and the remedy`, () => {
    assert.throws(() => parseEdge(argv), { name: UsageError.name, message })
  })
}

test('the help names every command, flag and default, within 100 columns', () => {
  assert.match(programHelp(), / {2}agent .*\n/)
  assert.match(programHelp(), / {2}edge .*\n/)
  for (const [command, flags] of [
    [commands.agent, agentFlags],
    [commands.edge, edgeFlags],
  ] as const) {
    const help = commandHelp(command)
    for (const flag of Object.values(flags)) {
      assert.ok(help.includes(`\n  ${spelled(flag)}${flag.metavar === '' ? '' : ` ${flag.metavar}`}\n`), flag.name)
      if (flag.defaultText !== undefined)
        assert.ok(help.replace(/\s+/g, ' ').includes(`(default: ${flag.defaultText})`))
    }
    for (const line of help.split('\n')) assert.ok(line.length <= 100, line)
  }
})

test('--check is for starts of an edge and an agent, and no command about one has it', () => {
  const message = /^Unknown flag "--check"; .*--help lists the flags$/
  const readConfig = (): AgentCommand => assert.fail('no file is read')
  assert.throws(() => parseDoctor(['agent', TRUST, '--check'], readConfig), { name: UsageError.name, message })
  assert.throws(() => parseAgentInstall('install', [TRUST, '--check'], readConfig), { name: UsageError.name, message })
  assert.throws(() => parseEdgeDoctor([...EDGE, '--check']), { name: UsageError.name, message })
  for (const name of ['agent install', 'doctor agent', 'doctor edge'] as const) {
    assert.doesNotMatch(commandHelp(commands[name]), /^ {2}--check$/m)
  }
  for (const name of ['agent', 'edge'] as const) assert.match(commandHelp(commands[name]), /^ {2}--check$/m)
})

test('a target may be none, so that its clients are refused; not both', () => {
  const { target4, target6, appTargets } = parseAgent([TRUST, '-4', '127.0.0.1:112', '-6', 'none']).listeners[0]
  assert.equal(target6, null)
  assert.deepEqual(appTargets, [target4])
  assert.throws(() => parseAgent([TRUST, '-4', 'none', '-6', 'none']), /Both targets are none; give the address/)
})

test('whoami listens on both loopback addresses, or where it is told to', () => {
  assert.deepEqual(parseWhoami([]).map(formatEndpoint), ['127.0.0.1:112', '[::1]:112'])
  assert.deepEqual(parseWhoami(['--listen', '192.0.2.1:7']).map(formatEndpoint), ['192.0.2.1:7'])
})
