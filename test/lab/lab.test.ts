import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram } from '../../src/linux/run.ts'
import { change, insertChain, insertRule } from '../rig/controller.ts'
import { eventually } from '../rig/eventually.ts'
import { LABS, type RunningLab, startLab } from '../rig/lab.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const IPV4 = '203.0.113.1'
const IPV6 = '2001:db8:203::1'

/** What the app says to a client that connects once: the address that it sees, that of an edge. */
async function edgeSeenFrom(lab: RunningLab, client: string, address: string): Promise<string | undefined> {
  const connect = `exec 3<>/dev/tcp/${address}/110 && head -n 1 <&3`
  const greeting = await lab.exec(client, 'timeout', '5', 'bash', '-c', connect).catch((error: Error) => error.message)
  return /peer (\d+\.\d+\.\d+\.\d+):/.exec(greeting)?.[1]
}

test('a global address of a lab is that of the nearest edge, and of the next one when that is killed', async () => {
  const umask = process.umask(0o077)
  const lab = await startLab('one')
  process.umask(umask)
  try {
    await insertChain(lab, '10.128.0.2', 110)
    await change(lab, 'POST', 'global/firewalls', {
      name: 'allow-lb-and-health',
      sourceRanges: ['130.211.0.0/22', '35.191.0.0/16'],
      allowed: [{ IPProtocol: 'tcp', ports: ['110'] }],
    })
    const app = lab.start('backend', 'truepeer', 'whoami', '--listen', '10.128.0.2:110')
    await app.waitForLine(/listening/)
    // First probes find it healthy: nobody waits for others.
    await insertRule(lab, 'rule', IPV4, 110)
    await insertRule(lab, 'rule6', IPV6, 110)
    const [us, europe, asia] = ['35.191.0.2', '35.191.64.2', '35.191.128.2']
    const clients = [
      ['client', IPV4, us],
      ['client-eu', IPV4, europe],
      ['client-asia', IPV4, asia],
      ['client6', IPV6, us],
    ] as const
    for (const [client, address, edge] of clients) {
      await eventually(`${client} is answered`, async () => (await edgeSeenFrom(lab, client, address)) === edge)
    }
    // Machines that fill their disk leave the controller its own; and files are for all users, whatever the umask here.
    const initPid = Number.parseInt(readFileSync(join(LABS, 'one', 'init'), 'utf8'), 10)
    const deviceOf = (place: string) => statSync(`/proc/${initPid}/root/run/truepeer/${place}`).dev
    assert.notEqual(deviceOf('machines'), deviceOf('controller'))
    const piped = ['lab', 'shell', 'client', '--name', 'one']
    const typed = await runProgram(TRUEPEER, piped, { input: 'hostname\nexit 3\n' })
    assert.deepEqual([typed.exitCode, typed.stdout, typed.stderr], [3, 'client\n', ''], 'without prompts')
    assert.match(await lab.exec('client', 'stat', '-c', '%A', '/etc/hosts'), /^-rw-r--r--/)
    await lab.exec('edge-us-central1', 'kill', '-KILL', await lab.edgeProcess('us-central1'))
    for (const [client, address, edge] of clients) {
      assert.equal(await edgeSeenFrom(lab, client, address), edge === us ? europe : edge, client)
    }
  } finally {
    await lab.down()
  }
  assert.equal(existsSync(join(LABS, 'one')), false)
})

for (const [name, args, status, says] of [
  [
    'a lab that does not run',
    ['status', '--name', 'other'],
    1,
    /^truepeer: There is no lab "other"; start it with ".*"/,
  ],
  ['a host without a command', ['exec', 'client'], 2, /^truepeer: lab exec needs a host and, after "--", a command/],
  ['the end of a lab that does not run', ['down'], 0, /^There is no lab "lab"\n$/],
] as const) {
  test(`${name} is told in one line`, async () => {
    // In a /run of its own: another test file may have a lab.
    const alone = ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh']
    const { exitCode, stdout, stderr } = await runProgram('unshare', [...alone, TRUEPEER, 'lab', ...args])
    assert.match(stdout + stderr, says)
    assert.equal(exitCode, status)
  })
}
