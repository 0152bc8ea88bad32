import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type RunResult, runProgram } from '../../src/linux/run.ts'
import { issue } from '../../src/tls/test-certificates.ts'
import { testDirectory } from '../rig/directory.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const TRUST = '--allow-all-subnets'
const EDGE = ['edge', '--listen', '127.0.0.1:1', '--backend', '127.0.0.1:2']

function truepeer(...args: string[]): Promise<RunResult> {
  return runProgram(TRUEPEER, args)
}

for (const [args, says] of [
  [['--help'], /^truepeer: .*\n\nUsage: truepeer COMMAND \[flags\]\n/],
  [['-h'], /^Usage: truepeer COMMAND/m],
  [['agent', '--help'], /^Usage: truepeer agent -l ADDR:PORT/m],
  [['agent', '-help', '--no-such-flag'], /^ {2}--allowed-subnets FILE$/m],
  [['help'], /^Usage: truepeer COMMAND/m],
  [['help', 'agent', 'install'], /^Usage: truepeer agent install/m],
  [['lab', '--help'], /^Usage: truepeer lab COMMAND \[flags\]\n\nCommands:\n {2}lab up .*\n {2}lab down /],
  [['help', 'doctor'], /\n {2}doctor agent .*\n {2}doctor edge .*\n$/],
  [['edge', '-h'], /^ {7}truepeer edge --controller URL/m],
  [['agent', '-h'], /^ {7}truepeer agent .*--controller URL/m],
  [['edge', '-h'], /^Usage: truepeer edge --listen ADDR:PORT/m],
] as const) {
  test(`truepeer ${args.join(' ')} shows the help and exits 0`, async () => {
    const { exitCode, stdout, stderr } = await truepeer(...args)
    assert.match(stdout, says)
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  })
}

for (const word of ['--version', '-V', 'version']) {
  test(`truepeer ${word} shows the version of the package and exits 0`, () => showsVersion(word))
}

async function showsVersion(word: string): Promise<void> {
  const file = fileURLToPath(new URL('../../../package.json', import.meta.url))
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  const { exitCode, stdout, stderr } = await truepeer(word)
  assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: `truepeer ${version}\n`, stderr: '' })
}

for (const [name, args, says] of [
  ['nothing', [], /^truepeer: Which command\?\n\ntruepeer: .*\n\nUsage: /],
  ['an unknown command', ['proxy'], /^truepeer: Unknown command "proxy"; there are edge, agent, .*lab env\n$/],
  ['a misspelt command', ['agnet', '--help'], /^truepeer: Unknown command "agnet"; did you mean "agent"\?\n$/],
  [
    'a misspelt flag',
    ['edge', '--listne', 'x'],
    /^truepeer: Unknown flag "--listne"; did you mean --listen\? --help lists/,
  ],
  ['a backend to drain that is missing', ['drain'], /^truepeer: drain needs a backend, such as/],
  ['a flag in place of a command', ['--listen'], /^truepeer: Unknown command "--listen"; there are /],
  ['an unknown flag', ['agent', '--tls'], /^truepeer: Unknown flag "--tls"; --help lists the flags\n$/],
  ['a missing value', ['agent', TRUST, '-l'], /^truepeer: -l needs a value: ADDR:PORT\n$/],
  ['a repeated flag', ['agent', '-v', '1', '--v=2', TRUST], /^truepeer: -v is given 2 times; give it once\n$/],
  ['no word about trust', ['agent'], /^truepeer: Whose headers are trusted\? Give --allowed-subnets FILE/],
  [
    'a host name',
    [...EDGE, '--backend', 'app:80'],
    /^truepeer: --backend "app:80" is not ADDR:PORT; write an address such/,
  ],
  [
    'a bad port',
    [...EDGE, '--backend', '127.0.0.1:65536'],
    /^truepeer: --backend "127\.0\.0\.1:65536" is not ADDR:PORT; /,
  ],
  ['a word', [...EDGE, 'now'], /^truepeer: Unexpected "now": only flags are allowed here; see --help\n$/],
  [
    'a value of 100 kB',
    ['agent', '-l', 'x'.repeat(100_000), TRUST],
    /^truepeer: -l "x{80}…" is not ADDR:PORT; .{0,100}\n$/,
  ],
  ['an escape sequence', ['agent', '-l', '\u001b[2J', TRUST], /^truepeer: -l "\\u001b\[2J" is not ADDR:PORT; .*\n$/],
] as const) {
  test(`${name} is a usage error: status 2, one message on stderr with the remedy`, async () => {
    const { exitCode, stdout, stderr } = await truepeer(...args)
    assert.match(stderr, says)
    assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' })
  })
}

test('an older Node is refused by its version, before anything is run', async (t) => {
  const directory = testDirectory(t)
  writeFileSync(join(directory, 'node'), '#!/bin/sh\necho v18.19.0\n', { mode: 0o755 })
  const { exitCode, stdout, stderr } = await runProgram('env', [`PATH=${directory}:/usr/bin:/bin`, TRUEPEER, '--help'])
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.match(stderr, /^truepeer needs Node 20\.20 or newer, and ".*\/node" is v18\.19\.0; README\.md says where/)
  writeFileSync(join(directory, 'node'), '#!/bin/sh\necho v20.20.0\n')
  assert.equal((await runProgram('env', [`PATH=${directory}:/usr/bin:/bin`, TRUEPEER, '--help'])).exitCode, 0)
})

test('output that nobody reads ends the program quietly, and a full disk is said in one line', async () => {
  const long = `for n in 1 2 3; do ${TRUEPEER} edge --help; echo $? >&2; done | true`
  assert.equal((await runProgram('sh', ['-c', long])).stderr.replace(/[01]\n/g, ''), '')
  const { exitCode, stderr } = await runProgram('sh', ['-c', `${TRUEPEER} edge --help > /dev/full`])
  assert.equal(exitCode, 1)
  assert.match(stderr, /^truepeer: The output cannot be written \(ENOSPC: .*\)\n$/)
})

test('settings of an agent are checked without a port being opened; what is perhaps not meant is a warning', async (t) => {
  const list = join(testDirectory(t), 'edges.txt')
  writeFileSync(list, '0.0.0.0/0\n')
  const args = ['agent', '-l', '127.0.0.1:112', '-4', '127.0.0.1:112', '--allowed-subnets', list]
  const { exitCode, stdout, stderr } = await truepeer(...args, '--check')
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(stdout, /^warning: The trusted subnet "0\.0\.0\.0\/0" of "127\.0\.0\.1:112" is every address: /)
  assert.match(stdout, /^warning: The target "127\.0\.0\.1:112" of "127\.0\.0\.1:112" is the agent itself/m)
  assert.match(stdout, /^1 listener: ok\n$/m)
  writeFileSync(list, 'nowhere\n')
  const refused = await truepeer(...args, '--check')
  assert.notEqual(refused.exitCode, 0)
  assert.match(refused.stderr, /Not a subnet: .*edges\.txt:1: "nowhere"/)
  const follower = ['--controller', 'https://controller.example', '--instance', 'a', '--token-file', list]
  const readable = await truepeer('agent', ...follower, '--check')
  assert.deepEqual([readable.exitCode, /--token-file .* can be read by others/.test(readable.stderr)], [2, true])
})

test('a certificate and a key in each other’s place are named with their files', async (t) => {
  const directory = testDirectory(t)
  const { certificatePem, keyPem } = issue({ commonName: 'app.example' })
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')]
  writeFileSync(cert, certificatePem)
  writeFileSync(key, keyPem, { mode: 0o600 })
  const { exitCode, stderr } = await truepeer(...EDGE, '--tls-cert', key, '--tls-key', cert, '--check')
  assert.equal(exitCode, 2)
  assert.match(
    stderr,
    /\/key: .*certificate: .*; this is a private key in PEM; .*\n.*\/cert: .*this is a certificate in PEM; /,
  )
})

test('what of a configuration is perhaps not meant is a warning of --check', async (t) => {
  const expired = issue({ commonName: 'app.example', notAfter: new Date(Date.now() - 86_400_000) })
  const directory = testDirectory(t)
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')]
  writeFileSync(cert, expired.certificatePem)
  writeFileSync(key, expired.keyPem, { mode: 0o600 })
  const args = [...EDGE, '--accept-proxy', '::/0', '--tls-cert', cert, '--tls-key', key, '--check']
  const { exitCode, stdout, stderr } = await truepeer(...args)
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(
    stdout,
    /^command line: warning: --accept-proxy "::\/0" .*\ncommand line: warning: Certificate "edge": it expired .*\ncommand line: 1 frontend, 1 backend: ok\n$/,
  )
})

test('a data directory that cannot be made is an error at once', async () => {
  const { exitCode, stderr } = await truepeer('controller', '--data', '/proc/x', '--create', '--listen', '127.0.0.1:1')
  assert.equal(exitCode, 1)
  assert.match(stderr, /--data "\/proc\/x" cannot be used: ENOENT/)
})
