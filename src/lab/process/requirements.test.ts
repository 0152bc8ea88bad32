import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { skipWithout } from '../../../test/rig/skip.ts'
import { runProgram } from '../../linux/run.ts'

const REQUIREMENTS = fileURLToPath(import.meta.resolve('./requirements.js'))

/** A user namespace in which nobody gets another one, and a file of subordinate ids. */
const REFUSING = `
echo 0 >/proc/sys/user/max_user_namespaces
mount -t tmpfs tmpfs /mnt
echo 1000:100000:65536 >/mnt/ids
for file in /etc/subuid /etc/subgid; do mount --bind /mnt/ids $file; done
exec "$@"
`

test('a kernel that refuses user namespaces is told at once, with the remedy', {
  skip: skipWithout('newuidmap'),
}, async () => {
  const script = `
    const { requireLab } = await import(process.argv[1])
    const requester = { uid: 1000, userName: 'somebody', path: process.env.PATH }
    await requireLab(requester).catch((error) => console.log(error.message))`
  const inside = ['sh', '-ec', REFUSING, 'sh', process.execPath, '--input-type=module', '-e', script, REQUIREMENTS]
  const { stdout, stderr } = await runProgram('unshare', ['--user', '--map-root-user', '--mount', ...inside])
  assert.match(
    stdout + stderr,
    /^The kernel refuses private namespaces \(unshare: .*\); as root, allow it with "sysctl -w user\.max_user_namespaces=10000"/,
  )
})
