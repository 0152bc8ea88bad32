import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram } from '../../linux/run.ts'
import { makeGoogleIdentity } from './authority.ts'
import { placeFiles } from './machine-files.ts'

/** Its own /etc, /usr and /root, as those of a machine of the lab are. */
const OWN_FILES = `set -e
mount -t tmpfs tmpfs /mnt
for top in etc usr root; do
  mkdir -p /mnt/$top/upper /mnt/$top/work
  mount -t overlay -o "lowerdir=/$top,upperdir=/mnt/$top/upper,workdir=/mnt/$top/work" overlay /$top
done
`

test('a machine trusts the authority for Google’s names, in each way that programs look, and nobody else does', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-google-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const identity = await makeGoogleIdentity(join(directory, 'authority'))
  const leaf = join(directory, 'leaf.pem')
  writeFileSync(leaf, identity.certificate)
  const verify = (...roots: readonly string[]) =>
    `openssl verify -no-CApath -no-CAstore ${roots.join(' ')} -verify_hostname storage.googleapis.com ${leaf}`
  const checks = [
    verify('-CAfile', '/etc/ssl/certs/ca-certificates.crt'),
    `openssl verify -no-CAfile -CApath /etc/ssl/certs ${leaf}`,
    verify('-CAfile', '$NODE_EXTRA_CA_CERTS'),
    'grep -c storage.googleapis.com /etc/hosts',
    `grep -cF ${identity.authority.split('\n')[1]} /etc/ssl/certs/ca-certificates.crt`,
    'tail -n 3 /etc/hosts',
  ]
  let printed = ''
  const run = async (program: string, args: readonly string[], { input }: { readonly input: string }) => {
    // Twice, as for a machine that is started again.
    const twice = 'authority=$(cat)\nfor time in 1 2; do echo "$authority" | "$@"; done'
    const script = `${OWN_FILES}${twice}\n. /etc/environment\n${checks.join('\n')}`
    const inside = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', program, ...args]
    const result = await runProgram('unshare', inside, { input })
    printed = result.stdout
    return result
  }
  const hosts = readFileSync('/etc/hosts', 'utf8')
  await placeFiles({ run }, identity, '169.254.169.254')
  const lines = printed.trimEnd().split('\n')
  assert.deepEqual(lines.slice(0, 3), Array(3).fill(`${leaf}: OK`))
  assert.deepEqual(lines.slice(3, 5), ['2', '1'])
  assert.match(lines[5], /^169\.254\.169\.254 metadata\.google\.internal /)
  assert.equal(readFileSync('/etc/hosts', 'utf8'), hosts)
  const { exitCode } = await runProgram('openssl', ['verify', leaf])
  assert.notEqual(exitCode, 0)
})

test('the authority is for Google’s names alone, and can sign nothing more', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-google-'))
  t.after(() => rmSync(directory, { recursive: true }))
  await makeGoogleIdentity(directory)
  const { stdout } = await runProgram('openssl', ['x509', '-in', join(directory, 'ca.pem'), '-noout', '-text'])
  assert.match(
    stdout,
    /Name Constraints: critical\s+Permitted:\s+DNS:googleapis\.com\s+DNS:metadata\.google\.internal\s+DNS:tunnel/,
  )
  assert.throws(() => readFileSync(join(directory, 'ca.key')), { code: 'ENOENT' })
})

test('a machine that cannot be written to is an error with what it says', async () => {
  const identity = { authority: '', authorityHash: 'x', certificate: '', key: '' }
  const run = async () => ({ exitCode: 2, signal: undefined, stdout: '', stderr: 'sh: read-only file system\n' })
  await assert.rejects(
    placeFiles({ run }, identity, '192.0.2.1'),
    /could not be written into the machine: sh: read-only/,
  )
})
