// Rules of others in front of ours: what VPNs, multi-homed hosts and firewalls put there, before and after the set-up.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { eventually } from '../rig/eventually.ts'
import { shell } from '../rig/shell.ts'
import { NEEDS_ROOT, skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { bareHosts, networkState, truepeer } from './bare-hosts.ts'

/** `ip rule` of wg-quick(8) for "AllowedIPs = 0.0.0.0/0, ::/0": without a priority, and so always in front. */
const WG_QUICK = ['rule add not fwmark 51820 table 51820', 'rule add table main suppress_prefixlength 0']
/** What tailscaled has, with an exit node. */
const TAILSCALE = [
  'rule add priority 5210 fwmark 0x80000/0xff0000 lookup main',
  'rule add priority 5230 fwmark 0x80000/0xff0000 lookup default',
  'rule add priority 5250 fwmark 0x80000/0xff0000 unreachable',
  'rule add priority 5270 lookup 52',
]

type Case = {
  readonly what: string
  readonly rules: (family: 4 | 6) => readonly string[]
  /** The table whose route leads away; undefined: the rule needs none. */
  readonly table?: number
}

const net = (family: 4 | 6): string => (family === 4 ? '198.51.100.0/24' : '2001:db8:51::/48')

const CASES: readonly Case[] = [
  { what: "tailscale's rules", rules: () => TAILSCALE, table: 52 },
  { what: "wg-quick's two rules", rules: () => WG_QUICK, table: 51820 },
  { what: 'a rule by mark that is negated', rules: () => ['rule add not fwmark 0x1/0xff lookup 300'], table: 300 },
  // A user namespace has no other users.
  ...(NEEDS_ROOT.skip === false
    ? [{ what: 'a rule by user', rules: () => ['rule add uidrange 4000-4999 lookup 300'], table: 300 }]
    : []),
  { what: 'a rule by another user', rules: () => ['rule add not uidrange 0-0 lookup 300'], table: 300 },
  { what: "a rule by the app's port", rules: () => ['rule add ipproto tcp sport 112 lookup 300'], table: 300 },
  { what: 'a rule by ports of clients', rules: () => ['rule add ipproto tcp dport 1024-65000 lookup 300'], table: 300 },
  { what: 'a rule by destination', rules: (family) => [`rule add to ${net(family)} lookup 300`], table: 300 },
  { what: 'a rule that looks main up', rules: () => ['rule add lookup main'] },
  { what: 'a rule that refuses', rules: (family) => [`rule add to ${net(family)} prohibit`] },
]

/** The tables that the rules look up, each with a route that leads away. */
async function addTables(host: Host): Promise<void> {
  for (const table of new Set(CASES.flatMap((one) => one.table ?? []))) {
    await host.ip(`-4 route add default via 35.191.0.9 table ${table}`)
    await host.ip(`-6 route add default via 2001:db8:35::9 table ${table}`)
  }
}

async function addRules(host: Host, { rules }: Case, family: 4 | 6): Promise<void> {
  for (const words of rules(family)) await host.ip(`-${family} ${words}`)
}

/** The rules in front of ours, without the one of the local table; nothing but these lines may differ. */
async function inFront(host: Host, family: 4 | 6): Promise<readonly string[]> {
  const lines = (await shell(host, `ip -${family} rule`)).trim().split('\n')
  const ours = lines.findIndex((line) => /from (127\.0\.0\.0\/8|::1) iif lo lookup 100/.test(line))
  assert.notEqual(ours, -1, lines.join('\n'))
  return lines.slice(0, ours).filter((line) => !line.endsWith('lookup local'))
}

async function status(host: Host): Promise<string> {
  return (await truepeer(host, 'host-setup status')).stdout
}

test('a set-up comes in front of all rules that are there, and takes none of them away', async (t) => {
  const { backend } = await bareHosts(t)
  await addTables(backend)
  for (const family of [4, 6] as const) for (const one of CASES) await addRules(backend, one, family)
  const before = await networkState(backend)
  assert.equal((await truepeer(backend, 'host-setup apply')).exitCode, 0)
  assert.deepEqual(await inFront(backend, 4), [])
  assert.deepEqual(await inFront(backend, 6), [])
  assert.doesNotMatch(await status(backend), /fail|warn/)
  await truepeer(backend, 'host-setup remove')
  assert.equal(await networkState(backend), before)
})

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

test('a rule in front that no answer can match is named, and answers stay', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  for (const words of [
    'rule add from 10.128.0.2 lookup 300',
    'rule add fwmark 0x80000/0xff0000 lookup 300',
    'rule add ipproto udp lookup 300',
  ]) {
    await backend.ip(words)
  }
  await backend.ip('route add default via 35.191.0.9 table 300')
  const found = await truepeer(backend, 'host-setup status')
  assert.equal(found.exitCode, 0)
  assert.match(found.stdout, /^warn +rule IPv4 .*fwmark 0x80000\/0xff0000.*from 10\.128\.0\.2 lookup 300/m)
  await truepeer(backend, 'host-setup apply')
  assert.deepEqual(await inFront(backend, 4), [])
})

test('a rule like ours for another table is in nobody’s way, and neither moves', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  await truepeer(backend, 'host-setup apply --table 200')
  const both = await shell(backend, 'ip rule; ip -6 rule')
  assert.match((await truepeer(backend, 'host-setup apply')).stdout, /in place already/)
  assert.match((await truepeer(backend, 'host-setup apply --table 200')).stdout, /in place already/)
  assert.equal(await shell(backend, 'ip rule; ip -6 rule'), both)
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

test('with --watch ours comes back whatever others do, and clients are served meanwhile', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { backend } = await bareHosts(t)
  const watch = backend.start(TRUEPEER, ['host-setup', 'apply', '--watch'])
  await watch.waitForLine(/nft table inet truepeer/)
  const server = await backend.listen('127.0.0.1:112', (socket) => socket.pipe(socket))
  t.after(() => server.close())
  const agent = backend.start(TRUEPEER, ['agent', '-l', '10.128.0.2:110', '-4', '127.0.0.1:112', '--allow-all-subnets'])
  await agent.waitForLine(/"msg":"listening"/)
  const echo = async (): Promise<void> => {
    const socket = await backend.connect({ to: '10.128.0.2:110' })
    socket.write('PROXY TCP4 192.0.2.77 10.128.0.2 40000 110\r\nhello')
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    assert.equal(bytes.toString(), 'hello')
    socket.destroy()
  }
  await echo()
  await backend.ip('route add default via 35.191.0.9 table 51820')
  for (const words of WG_QUICK) await backend.ip(words)
  // Lost answers are sent again by TCP once the rules are in order.
  await echo()
  await eventually('ours is in front', async () => (await inFront(backend, 4)).length === 0)
  await shell(backend, 'ip rule flush; ip rule add lookup main priority 32766; /usr/sbin/nft flush ruleset')
  await eventually('all is in place', async () => !/fail|warn/.test(await status(backend)))
  await echo()
  process.kill(watch.pid, 'SIGTERM')
  assert.deepEqual((await watch.exited).signal, 'SIGTERM')
})
