import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { eventually } from '../rig/eventually.ts'
import { shell } from '../rig/shell.ts'
import { NEEDS_ROOT, skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { bareHosts, truepeer } from './bare-hosts.ts'
import { addRules, addTables, CASES, inFront, status } from './rules.ts'

test('rules that come later are found by what the kernel does with answers, and ours goes in front of them', async (t) => {
  const { backend } = await bareHosts(t)
  await addTables(backend)
  // At the priority that it has when it was made by hand: everything that comes is in front of it.
  for (const family of [4, 6]) {
    await backend.ip(`-${family} rule add from ${family === 4 ? '127.0.0.0/8' : '::1'} iif lo lookup 100`)
  }
  assert.equal((await truepeer(backend, 'host-setup apply')).exitCode, 0)
  for (const [index, one] of CASES.entries()) {
    const family = index % 2 === 0 ? 4 : 6
    await addRules(backend, one, family)
    const found = await truepeer(backend, 'host-setup status')
    const failure = new RegExp(`^fail +rule IPv${family} +in place, but answers to clients go elsewhere`, 'm')
    assert.match(found.stdout, failure, one.what)
    assert.equal(found.exitCode, 1)
    const applied = (await truepeer(backend, 'host-setup apply')).stdout
    assert.match(applied, new RegExp(`^ip -${family} rule add priority \\d+ from .*, instead of priority \\d+$`, 'm'))
    assert.deepEqual(await inFront(backend, family), [], one.what)
    for (const words of one.rules(family)) await backend.ip(`-${family} ${words.replace('rule add', 'rule del')}`)
  }
  for (const command of ['ip -4 rule', 'ip -6 rule']) {
    assert.equal((await shell(backend, command)).match(/iif lo lookup 100/g)?.length, 1, 'the old ones are gone')
  }
})

test('a VPN that comes and goes does not use the priorities up, and one at priority 0 is named', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply --family ipv4')
  await backend.ip('rule add priority 3 lookup main')
  await truepeer(backend, 'host-setup apply --family ipv4')
  assert.match(await shell(backend, 'ip rule'), /^2:\s+from 127\.0\.0\.0\/8/m)
  await backend.ip('rule del priority 3')
  await truepeer(backend, 'host-setup apply --family ipv4')
  assert.match(await shell(backend, 'ip rule'), /^5000:\s+from 127\.0\.0\.0\/8/m)
  await backend.ip('rule add priority 0 to 198.51.100.0/24 lookup main')
  const stuck = await truepeer(backend, 'host-setup apply --family ipv4')
  assert.match(stuck.stdout, /^Note: no rule can come before "0: from all to 198\.51\.100\.0\/24 lookup 254"/m)
  const again = await truepeer(backend, 'host-setup apply --family ipv4')
  assert.match(again.stdout, /^Everything was in place already\.\nNote: /)
})

/** A host with an app of user 4321 on 127.0.0.1:112, examined for it. */
async function appHost(t: TestContext): Promise<{ readonly backend: Host; readonly examine: () => Promise<string> }> {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  const script = `require('node:net').createServer((s) => s.end()).listen(112, '127.0.0.1', () => console.log('up'))`
  // Port 112 is not a privileged one here, because the app has its user from the start.
  await shell(backend, 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start')
  const app = backend.start('setpriv', ['--reuid', '4321', '--clear-groups', process.execPath, '-e', script])
  await app.waitForLine(/up/)
  const words = 'doctor agent -l 10.128.0.2:110 -4 127.0.0.1:112 --allow-all-subnets --family ipv4'
  return { backend, examine: async () => (await truepeer(backend, words)).stdout }
}

test(
  "the doctor asks about the app's own answers: its user, its port, and clients that a rule singles out",
  NEEDS_ROOT,
  async (t) => {
    const { backend, examine } = await appHost(t)
    assert.match(await examine(), /^ok +routing-ipv4 /m)
    await backend.ip('route add default via 35.191.0.9 table 300')
    for (const [selector, isInTheWay] of [
      ['uidrange 4321-4321', true],
      ['uidrange 0-4320', false],
      ['ipproto tcp sport 112', true],
      ['ipproto tcp sport 113', false],
      ['ipproto udp sport 112', false],
      ['to 198.51.100.0/24', true],
      ['ipproto tcp dport 30000-31000', true],
      ['fwmark 7', false],
    ] as const) {
      await backend.ip(`rule add ${selector} lookup 300`)
      const found = await examine()
      assert.match(
        found,
        isInTheWay ? /^fail +routing-ipv4 +another rule comes before it/m : /^ok +routing-ipv4 /m,
        selector,
      )
      await backend.ip(`rule del ${selector} lookup 300`)
    }
  },
)

test('with --watch it goes on when its output cannot be written', { skip: skipWithout('nft') }, async (t) => {
  const { backend } = await bareHosts(t)
  const watch = backend.start('sh', ['-c', `exec ${TRUEPEER} host-setup apply --watch > /dev/full`])
  const isInPlace = async (): Promise<boolean> => !/fail|warn/.test(await status(backend))
  await eventually('all is in place', isInPlace)
  await shell(backend, 'ip rule flush; ip rule add lookup main priority 32766')
  await eventually('all is in place again', isInPlace)
  assert.ok(watch.isRunning)
  await watch.stop()
})
