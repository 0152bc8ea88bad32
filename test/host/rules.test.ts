// Rules of others in front of ours: what VPNs, multi-homed hosts and firewalls put there, before and after the set-up.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../rig/eventually.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { bareHosts, networkState, truepeer } from './bare-hosts.ts'
import { addRules, addTables, CASES, inFront, status, WG_QUICK } from './rules.ts'

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

test('a rule in front that no answer can match is named, and answers stay', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  for (const words of [
    'rule add from 10.128.0.2 lookup 300',
    'rule add fwmark 0x80000/0xff0000 lookup 300',
    'rule add ipproto sctp lookup 300',
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
