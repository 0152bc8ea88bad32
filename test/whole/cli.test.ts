import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type RunResult, runProgram } from '../../src/linux/run.ts'
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
  [['edge', '-h'], /^Usage: truepeer edge --listen ADDR:PORT/m],
] as const) {
  test(`truepeer ${args.join(' ')} shows the help and exits 0`, async () => {
    const { exitCode, stdout, stderr } = await truepeer(...args)
    assert.match(stdout, says)
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  })
}

test('truepeer --version shows the version of the package and exits 0', async () => {
  const file = fileURLToPath(new URL('../../../package.json', import.meta.url))
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  const { exitCode, stdout, stderr } = await truepeer('--version')
  assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: `truepeer ${version}\n`, stderr: '' })
})

for (const [name, args, says] of [
  ['nothing', [], /^truepeer: Which command\?\n\ntruepeer: .*\n\nUsage: /],
  ['an unknown command', ['proxy'], /^truepeer: Unknown command "proxy"; there are edge, agent, .*host-setup\n$/],
  ['a flag in place of a command', ['--listen'], /^truepeer: Unknown command "--listen"; there are /],
  ['an unknown flag', ['agent', '--tls'], /^truepeer: Unknown flag "--tls"; --help lists the flags\n$/],
  ['a missing value', ['agent', TRUST, '-l'], /^truepeer: -l needs a value: ADDR:PORT\n$/],
  ['a repeated flag', ['agent', '-v', '1', '--v=2', TRUST], /^truepeer: -v is given 2 times; give it once\n$/],
  ['no word about trust', ['agent'], /^truepeer: Whose headers are trusted\? Give --allowed-subnets FILE/],
  ['UDP', ['agent', '-p', 'udp', TRUST], /^truepeer: -p udp is not supported yet; leave -p out to use TCP\n$/],
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
