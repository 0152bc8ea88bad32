import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { eventually } from '../../test/rig/eventually.ts'
import { runProgram, startProgram } from '../linux/run.ts'
import { isInPrivateNamespaces } from './private-namespaces.ts'

// A program that runs in private namespaces, tells what it finds there, and exits with code 42 or hangs.
const directory = mkdtempSync(join(tmpdir(), 'truepeer-'))
chmodSync(directory, 0o755)
after(() => rmSync(directory, { recursive: true }))
const script = join(directory, 'outside.mjs')
writeFileSync(
  script,
  `import { runInPrivateNamespaces } from '${new URL('private-namespaces.js', import.meta.url)}'
process.exitCode = await runInPrivateNamespaces('${join(directory, 'inside.mjs')}', process.argv.slice(2))
`,
)
writeFileSync(
  join(directory, 'inside.mjs'),
  `import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { isInPrivateNamespaces } from '${new URL('private-namespaces.js', import.meta.url)}'
if (!isInPrivateNamespaces(process.argv.slice(2))) throw new Error('outside')
if (process.argv.includes('hang')) {
  spawn('sh', ['-c', 'sleep 600; :', '${directory}'], { detached: true, stdio: 'ignore' })
  console.log('hanging')
  setTimeout(() => {}, 600_000)
} else {
  const output = (program, ...programArgs) => execFileSync(program, programArgs, { encoding: 'utf8' })
  console.log(JSON.stringify({
    network: readlinkSync('/proc/self/ns/net'),
    links: JSON.parse(output('ip', '-json', 'link')).map(({ ifname, flags }) => ifname + (flags.includes('UP') ? ' up' : '')),
    run: readdirSync('/run'),
    processes: readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length,
    hosts: output('sh', '-c', 'ip netns add one && ip netns list'),
  }))
  process.exitCode = 42
}
`,
)

type Findings = { network: string; links: string[]; run: string[]; processes: number; hosts: string }

function assertPrivate(output: string): void {
  const { network, links, run, processes, hosts }: Findings = JSON.parse(output)
  assert.notEqual(network, readlinkSync('/proc/self/ns/net'))
  // The kernel may add tunnel devices of its own; they are down.
  assert.ok(links.includes('lo up'))
  assert.deepEqual(
    links.filter((link) => link !== 'lo up' && link.endsWith(' up')),
    [],
  )
  assert.deepEqual(run, [])
  assert.ok(processes <= 4, `${processes} processes`)
  assert.equal(hosts.trim(), 'one')
}

test('inside, the network has only lo, /run is empty, other processes are out of sight, and the exit code comes out', async () => {
  const { exitCode, stdout, stderr } = await runProgram('node', [script])
  assert.equal(exitCode, 42, stderr)
  assertPrivate(stdout)
})

const asOrdinaryUser = ['--reuid=65534', '--regid=65534', '--clear-groups']
const ordinary = await runProgram('setpriv', [
  ...asOrdinaryUser,
  'node',
  '--check',
  new URL('lab.js', import.meta.url).pathname,
])

test('an ordinary user gets the same', {
  skip: ordinary.exitCode !== 0 && `no other user here: ${ordinary.stderr}`,
}, async () => {
  const { exitCode, stdout, stderr } = await runProgram('setpriv', [...asOrdinaryUser, 'node', script])
  assert.equal(exitCode, 42, stderr)
  assertPrivate(stdout)
})

test('kill -9 of the program outside ends everything inside', async () => {
  const outside = startProgram('node', [script, 'hang'])
  await new Promise((resolve) => outside.stdout.once('data', resolve))
  assert.ok(processesWith(directory).length >= 4)
  outside.signal('SIGKILL')
  await eventually('all of them are gone', () => processesWith(directory).length === 0)
})

test('a refusal by the kernel names the setting that refuses and the remedy', async () => {
  const withoutNamespaces = [
    ...['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c'],
    ...['sysctl -q -w user.max_user_namespaces=0 && exec "$@"', 'sh', 'setpriv', '--bounding-set=-sys_admin'],
  ]
  const [program, ...args] = [...withoutNamespaces, 'node', script]
  const { exitCode, stderr } = await runProgram(program, args)
  assert.equal(exitCode, 1)
  assert.match(
    stderr,
    /The kernel refuses private namespaces \(unshare: .*\); as root, allow it with "sysctl -w user\.max_user/,
  )
})

test('outside, a process does not take itself for one inside, whatever its arguments say', () => {
  assert.equal(isInPrivateNamespaces(['--verbose']), false)
  assert.throws(() => isInPrivateNamespaces([`--outside-network=${readlinkSync('/proc/self/ns/net')}`]), /internal use/)
})

function processesWith(part: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(commandLineOf)
    .filter((commandLine) => commandLine.includes(part))
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
