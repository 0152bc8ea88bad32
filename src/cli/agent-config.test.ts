import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint } from '../address/endpoint.ts'
import { agentConfigFile, parseAgent } from './agent.ts'
import { parseAgentConfig } from './agent-config.ts'
import { UsageError } from './flags.ts'

const PATH = 'agent.yaml'

function problemsOf(text: string): string[] {
  try {
    parseAgentConfig(text, PATH)
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
  return []
}

test('a file and a command line that say the same give the same', () => {
  const byFlags = parseAgent(
    '-l 10.128.0.2:110 -4 127.0.0.1:112 -6 [::1]:112 --allow-all-subnets --listeners 2 --source-port preserve --idle-timeout 1h'.split(
      ' ',
    ),
  )
  const byFile = parseAgentConfig(
    `
workers: 2
listeners:
  - listen: 10.128.0.2:110
    target4: 127.0.0.1:112
    target6: "[::1]:112"
    allowAllSubnets: true
    sourcePort: preserve
    idleTimeout: 1h
`,
    PATH,
  )
  assert.deepEqual(byFile, byFlags)
})

test('a listener by UDP, and one port by both protocols, are said in a file as by flags', () => {
  const byFlags = parseAgent(
    '-l 10.128.0.2:53 -4 127.0.0.1:53 -6 none --allow-all-subnets -p udp,tcp --udp-header spp --close-after 30 --max-flows 5000 --max-flows-per-edge 100'.split(
      ' ',
    ),
  )
  const [listener] = byFlags.listeners
  assert.deepEqual([listener.protocols, listener.udpHeader, listener.closeAfterMs], [['tcp', 'udp'], 'spp', 30_000])
  assert.deepEqual(byFlags.flows, { max: 5_000, perEdgeMax: 100 })
  const settings =
    'maxFlows: 5000, maxFlowsPerEdge: 100, listeners: [{listen: "10.128.0.2:53", target4: "127.0.0.1:53", allowAllSubnets: true'
  const byFile = parseAgentConfig(`{${settings}, protocol: "tcp,udp", udpHeader: spp, closeAfter: 30}]}`, PATH)
  assert.deepEqual(byFile, byFlags)
})

test('two listeners may have one port if they have no protocol in common', () => {
  const listeners = (...protocols: readonly string[]): string =>
    `listeners: [${protocols.map((protocol) => `{listen: "10.0.0.1:53", protocol: "${protocol}", allowAllSubnets: true}`).join(', ')}]`
  assert.deepEqual(problemsOf(listeners('tcp', 'udp')), [])
  for (const protocols of [
    ['udp', 'udp'],
    ['tcp,udp', 'udp'],
    ['tcp', 'tcp,udp'],
  ]) {
    assert.deepEqual(problemsOf(listeners(...protocols)), ['/listeners/1/listen: is the same as that of /listeners/0'])
  }
})

test('every problem is named at once, with its place', () => {
  const problems = problemsOf(`
workers: two
unknown: 1
listeners:
  - listen: 10.128.0.2:110
    target4: "[::1]:112"
    allowedSubnets: [10.0.0.0/8, nonsense]
  - target6: x
    denyPrivateSources: maybe
  - 7
`)
  for (const place of [
    '/unknown:',
    '/workers:',
    '/listeners/0/allowedSubnets/1:',
    '/listeners/1/listen:',
    '/listeners/1:',
    '/listeners/1/target6:',
    '/listeners/1/denyPrivateSources:',
    '/listeners/2:',
  ]) {
    assert.ok(
      problems.some((problem) => problem.startsWith(place)),
      `${place} in\n${problems.join('\n')}`,
    )
  }
})

test('a target of the wrong family is a problem of its listener', () => {
  const problems = problemsOf(
    'listeners: [{listen: "10.0.0.1:1", target4: "[::1]:112", allowAllSubnets: true}, {listen: "10.0.0.1:1", allowAllSubnets: true}]',
  )
  assert.equal(problems.length, 1)
  assert.match(problems[0], /^\/listeners\/0\/target4: .*is not IPv4/)
})

const CONTROLLER = 'controller: unix:/c, instance: web-1'
const TRUSTING = '{listen: "10.0.0.1:1"}'

test('a file and a command line that say the same of a controller give the same', () => {
  const byFlags = parseAgent(
    '-l 10.0.0.1:1 --controller https://c.example --instance web-1 --state /s --token-file /t --controller-ca /ca'.split(
      ' ',
    ),
  )
  const controller = 'controller: https://c.example, instance: web-1, state: /s, tokenFile: /t, controllerCa: /ca'
  assert.deepEqual(parseAgentConfig(`{${controller}, listeners: [${TRUSTING}]}`, PATH), byFlags)
})

test('with a controller, a listener that names nobody trusts its edges, and one that names others only those', () => {
  const own = '{listen: "10.0.0.1:2", allowedSubnets: [10.0.0.0/8]}'
  const { listeners } = parseAgentConfig(`{${CONTROLLER}, listeners: [${TRUSTING}, ${own}]}`, PATH)
  assert.deepEqual(
    listeners.map(({ trust }) => trust.kind),
    ['controller', 'subnets'],
  )
})

for (const [what, text, problem] of [
  ['a controller without an instance', `{controller: unix:/c, listeners: [${TRUSTING}]}`, /^\/instance: is missing/],
  [
    'an instance without a controller',
    `{instance: a, listeners: [${TRUSTING}]}`,
    /\/instance: can only be used with "controller"/,
  ],
  ['a token without a controller', `{tokenFile: /t, listeners: [${TRUSTING}]}`, /\/tokenFile: can only be used with/],
  ['a folder without a controller', `{state: /s, listeners: [${TRUSTING}]}`, /\/state: can only be used with/],
  [
    'a token sent as plain text',
    `{controller: "http://192.0.2.1", instance: a, listeners: [${TRUSTING}]}`,
    /^\/controller: .*plain text/,
  ],
  [
    'an instance with a name that is none',
    `{controller: unix:/c, instance: A_, listeners: [${TRUSTING}]}`,
    /^\/instance: .*is not a name/,
  ],
  [
    'a controller that nobody trusts',
    `{${CONTROLLER}, listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true}]}`,
    /^\/controller: no listener trusts its edges/,
  ],
  [
    'two ways to trust',
    `{${CONTROLLER}, listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true, allowedSubnetsFile: /f}]}`,
    /^\/listeners\/0: takes at most one of/,
  ],
] as const) {
  test(`${what} is a problem with its place`, () => assert.match(problemsOf(text).join('\n'), problem))
}

test('two listeners on one endpoint are refused', () => {
  const listener = '{listen: "10.0.0.1:1", allowAllSubnets: true}'
  assert.match(problemsOf(`listeners: [${listener}, ${listener}]`).join(), /\/listeners\/1\/listen: is the same/)
})

test('whose headers are trusted must be said exactly once', () => {
  for (const trust of [
    '',
    ', allowAllSubnets: false',
    ', allowAllSubnets: true, allowedSubnets: [10.0.0.0/8]',
    ', allowedSubnets: []',
  ]) {
    const problems = problemsOf(`listeners: [{listen: "10.0.0.1:1"${trust}}]`)
    assert.equal(problems.length, 1, `${trust}: ${problems}`)
  }
})

for (const [name, text] of [
  ['nothing', ''],
  ['a list', '[1]'],
  ['a scalar', 'yes'],
  ['no listeners', 'workers: 1'],
  ['an empty list of listeners', 'listeners: []'],
  ['broken YAML', 'listeners: [}'],
  ['two documents', 'workers: 1\n---\nworkers: 2'],
  ['the same key twice', 'workers: 1\nworkers: 2\nlisteners: []'],
] as const) {
  test(`${name} is a usage error that names the file`, () => {
    assert.throws(() => parseAgentConfig(text, PATH), { name: 'UsageError', message: /"agent\.yaml"/ })
  })
}

test('a bomb of aliases is refused without being expanded', () => {
  const levels = Array.from(
    { length: 30 },
    (_, level) => `a${level}: &a${level} [*a${level - 1}, *a${level - 1}]`,
  ).slice(1)
  assert.throws(() => parseAgentConfig(`a0: &a0 [x]\n${levels.join('\n')}`, PATH), UsageError)
})

test('a file that is no configuration at all gives a short message without control characters', () => {
  const noise = Array.from({ length: 200_000 }, (_, index) => String.fromCharCode((index * 7919) % 256)).join('')
  assert.throws(
    () => parseAgentConfig(noise, PATH),
    (error) => {
      assert.ok(error instanceof UsageError)
      assert.ok(error.message.length < 40_000, `${error.message.length}`)
      assert.doesNotMatch(error.message.replaceAll('\n', ''), /\p{Cc}/u)
      return true
    },
  )
})

test('the file of subnets is a text', () => {
  const problems = problemsOf('listeners: [{listen: "10.0.0.1:1", allowedSubnetsFile: 7}]')
  assert.deepEqual(problems, ['/listeners/0/allowedSubnetsFile: must be the path of a file'])
})

for (const [what, text, problem] of [
  [
    'a key without its value',
    'workers:\nlisteners: [{listen: "10.0.0.1:1", allowAllSubnets: true}]',
    '/workers: must be N, and is empty',
  ],
  [
    'a misspelt key',
    'workrs: 2\nlisteners: [{listen: "10.0.0.1:1", allowAllSubnets: true}]',
    '/workrs: is unknown; did you mean "workers"?',
  ],
  [
    'a key of a listener beside them',
    'idleTimeout: 5s\nlisteners: [{listen: "10.0.0.1:1", allowAllSubnets: true}]',
    '/idleTimeout: belongs in a listener',
  ],
  [
    'a key of the process in a listener',
    'listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true, workers: 2}]',
    '/listeners/0/workers: belongs beside "listeners", for all of them',
  ],
  [
    'a tab, and what follows from it',
    'listeners:\n\t- listen: 10.0.0.1:1\n\t- [',
    'line 2, column 1: a tab indents the line; indent by spaces',
  ],
  [
    'another file',
    '-----BEGIN PRIVATE KEY-----\nAAAA\n',
    'it is a private key in PEM, and neither YAML nor JSON; give a file of YAML or JSON',
  ],
] as const) {
  test(`${what} is told with its cause`, () => assert.deepEqual(problemsOf(text), [problem]))
}

test('a flag beside --config is told with the key that the file has for it', () => {
  for (const [word, place] of [
    ['-v=1', '"verbosity: ..." into each of its listeners'],
    ['--drain-timeout=1s', '"drainTimeout: ..." into it'],
  ]) {
    const message = `With --config, all other settings belong in the file: write ${place}`
    assert.throws(() => agentConfigFile(['--config', 'f', word]), { name: 'UsageError', message })
  }
})

test('a file that names the target of one address family has none for the other; one that names neither has both defaults', () => {
  const targetsOf = (named: string): unknown => {
    const text = `listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true${named}}]`
    const [{ target4, target6 }] = parseAgentConfig(text, PATH).listeners
    return [target4, target6].map((target) => target && formatEndpoint(target))
  }
  assert.deepEqual(targetsOf(', target4: 127.0.0.1:112'), ['127.0.0.1:112', null])
  assert.deepEqual(targetsOf(', target6: "[::1]:112"'), [null, '[::1]:112'])
  assert.deepEqual(targetsOf(', target4: none, target6: "[::1]:112"'), [null, '[::1]:112'])
  assert.deepEqual(targetsOf(''), ['127.0.0.1:443', '[::1]:443'])
  const none = 'listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true, target4: none}]'
  assert.match(problemsOf(none).join(), /^\/listeners\/0: Both targets are none/)
})

test('a problem names the key of the file, and no flag', () => {
  const text = 'listeners: [{listen: "10.0.0.1:1", allowAllSubnets: true, local: cheque, target4: "[::1]:1"}]'
  assert.deepEqual(problemsOf(`{workers: 0, ${text}}`), [
    '/workers: "0" is not a whole number from 1 to 256',
    '/listeners/0/target4: "[::1]:1" is not IPv4; write an IPv4 address, and the other one as the target of IPv6',
    '/listeners/0/local: "cheque" is not one of forward, check',
  ])
})
