import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LabStatus } from '../lab/process/lab-status.ts'
import { UsageError } from './flags.ts'
import { formatLab, formatLabEnv, parseLab, parseLabExec, parseLabShell, parseLabStatus } from './lab.ts'

const STATUS: LabStatus = {
  name: 'lab',
  url: 'http://127.0.0.1:8110',
  project: 'truepeer',
  pools: ['203.0.113.0/24', '2001:db8:203::/64'],
  noLatency: undefined,
  hosts: [
    { name: 'client6', kind: 'client', region: 'us-central1', addresses: ['2001:db8:66::6'], state: 'running' },
    {
      name: 'vm',
      kind: 'instance',
      region: 'us-central1',
      zone: 'us-central1-b',
      addresses: ['10.128.0.2', '198.51.100.1'],
      state: 'stopped',
    },
  ],
}

test('what follows "--" is for the command, and what comes first is for truepeer', () => {
  assert.deepEqual(parseLabExec(['--name', 'two', 'vm', '--zone', 'z-a', '--', 'ls', '--name', '--', '-l']), {
    name: 'two',
    host: 'vm',
    zone: 'z-a',
    command: ['ls', '--name', '--', '-l'],
  })
  assert.deepEqual(parseLabExec(['vm', '--name=two', '--', 'id']).name, 'two')
  assert.deepEqual(parseLabShell([]), { name: 'lab', host: 'client', zone: undefined, command: [] })
  assert.deepEqual(parseLabShell(['--zone=z-a', 'vm', '--name', 'two']), {
    name: 'two',
    host: 'vm',
    zone: 'z-a',
    command: [],
  })
  assert.deepEqual(parseLabStatus(['--json']), { name: 'lab', json: true })
})

for (const [name, parse, says] of [
  ['no command', () => parseLabExec(['vm']), /^lab exec needs a host and, after "--", a command/],
  [
    'an empty command',
    () => parseLabExec(['vm', '--', '']),
    /^The command after "--" is empty; "lab shell HOST" opens/,
  ],
  ['no host', () => parseLabExec(['--', 'ls']), /^lab exec needs a host/],
  [
    'a host that is no name',
    () => parseLabExec(['../vm', '--', 'ls']),
    /^The host "\.\.\/vm" is not a name: it has "\."; /,
  ],
  ['an empty host', () => parseLabShell(['']), /^The host "" is not a name: it is empty; write up to 63 small letters/],
  ['a host that begins with a digit', () => parseLabShell(['1a']), /^The host "1a" .*: it begins with "1", which is /],
  ['a host that ends with a hyphen', () => parseLabShell(['a-']), /^The host "a-" is not a name: it ends with "-"; /],
  [
    'a long host',
    () => parseLabShell(['x'.repeat(5_000)]),
    /^The host "x{80}…" is not a name: it has 5000 characters; write up to 63 small letters, digits and "-", such as .{1,20}$/,
  ],
  [
    'a zone that is no name',
    () => parseLabExec(['vm', '--zone', 'Z', '--', 'ls']),
    /^--zone "Z" is not a name: it has/,
  ],
  ['a lab that is no name', () => parseLab(['--name', '../x']), /^--name "\.\.\/x" is not a name/],
  ['a long name', () => parseLab(['--name', 'x'.repeat(41)]), /has 41 letters; write at most 40$/],
] as const) {
  test(`${name} is a usage error`, () => {
    assert.throws(parse, (error) => error instanceof UsageError && says.test(error.message))
  })
}

test('the table names every host, and what to type next names the lab where it is not the usual one', () => {
  const lines = formatLab(STATUS, 'bin/truepeer').split('\n')
  assert.deepEqual(lines.slice(0, 3), [
    'HOST     KIND      PLACE          ADDRESSES                STATE',
    'client6  client    us-central1    2001:db8:66::6           running',
    'vm       instance  us-central1-b  10.128.0.2 198.51.100.1  stopped',
  ])
  assert.ok(lines.includes('  bin/truepeer lab down'))
  assert.ok(formatLab({ ...STATUS, name: 'two' }, 'truepeer').includes('  truepeer lab exec --name two client -- '))
  assert.ok(formatLab({ ...STATUS, noLatency: 'no netem' }, 'truepeer').includes('costs no time: no netem'))
})

test('the variables are those of gcloud for each of its APIs, and of SDKs', () => {
  const lines = formatLabEnv(STATUS).trim().split('\n')
  assert.ok(lines.every((line) => /^export [A-Z_]+=[-A-Za-z0-9:./]+$/.test(line)))
  assert.ok(lines.includes('export CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=http://127.0.0.1:8110/compute/v1/'))
  assert.ok(lines.includes('export CLOUDSDK_API_ENDPOINT_OVERRIDES_NETWORKSERVICES=http://127.0.0.1:8110/ns/'))
  assert.ok(lines.includes('export CLOUDSDK_CORE_PROJECT=truepeer'))
})
