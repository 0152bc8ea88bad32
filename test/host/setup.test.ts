import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { parseIpAddress } from '../../src/address/ip-address.ts'
import type { Host } from '../../src/lab/host.ts'
import { bindTo, close, connectTo, openStream, setTransparent } from '../../src/linux/socket.ts'
import { testDirectory } from '../rig/directory.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { bareHosts, fails, networkState, succeeds, truepeer } from './bare-hosts.ts'

async function linesWith(host: Host, command: string, part: string): Promise<number> {
  return (await shell(host, command)).split('\n').filter((line) => line.includes(part)).length
}

test('apply twice gives one rule and one route, and remove leaves the network as it was', async (t) => {
  const { backend } = await bareHosts(t)
  const before = await networkState(backend)
  await fails(backend, 'host-setup status', /rule IPv4 +missing/)

  assert.equal((await succeeds(backend, 'host-setup apply')).trim().split('\n').length, 6)
  const applied = await networkState(backend)
  assert.match(await succeeds(backend, 'host-setup apply'), /in place already/)
  assert.equal(await networkState(backend), applied)
  assert.equal(await linesWith(backend, 'ip -4 rule', 'from 127.0.0.0/8 iif lo lookup 100'), 1)
  assert.equal(await linesWith(backend, 'ip -6 rule', 'from ::1 iif lo lookup 100'), 1)
  assert.equal(await shell(backend, 'cat /proc/sys/net/ipv4/tcp_migrate_req'), '1\n')
  assert.doesNotMatch(await succeeds(backend, 'host-setup status'), /fail|warn/)
  assert.equal(JSON.parse(await succeeds(backend, 'host-setup status --json')).ok, true)

  await succeeds(backend, 'host-setup remove')
  assert.equal(await networkState(backend), before)
  assert.match(await succeeds(backend, 'host-setup remove'), /nothing to remove/)
  assert.equal(await networkState(backend), before)
})

test('what was made by hand is recognised, and duplicates are removed', async (t) => {
  const { backend } = await bareHosts(t)
  const before = await networkState(backend)
  await shell(backend, 'echo 1 > /proc/sys/net/ipv4/tcp_migrate_req')
  for (const _ of [1, 2, 3]) await backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await backend.ip('-6 rule add from ::1/128 iif lo lookup 100')
  await backend.ip('-6 route add local ::/0 dev lo table 100')
  assert.match(await succeeds(backend, 'host-setup apply'), /^nft [^\n]*\n$/, 'only the firewall is missing')
  assert.match(await succeeds(backend, 'host-setup status'), /warn +rule IPv4 +3 times/)
  await succeeds(backend, 'host-setup remove')
  assert.equal(await networkState(backend), before.replace('\n0\n', '\n1\n'), 'the setting was not changed by apply')
})

test('what install.md does by hand is all that status asks for', { skip: skipWithout('nft') }, async (t) => {
  const { backend } = await bareHosts(t)
  const page = readFileSync(new URL('../../../docs/guides/install.md', import.meta.url), 'utf8')
  const byHand = /^```sh\n(ip rule add .*?)^```$/ms.exec(page)?.[1] ?? ''
  await shell(backend, `set -e\n${byHand}`)
  assert.doesNotMatch(await succeeds(backend, 'host-setup status'), /fail|warn/)
  assert.match(await succeeds(backend, 'host-setup apply'), /in place already/)
})

test('rules and routes of others survive apply and remove', async (t) => {
  const { backend } = await bareHosts(t)
  const others = [
    'rule add not from 127.0.0.0/8 iif lo lookup 100',
    'rule add fwmark 1 lookup 100',
    'rule add from 127.0.0.0/8 iif lo lookup 300',
    'rule add from 127.0.0.0/8 lookup 100',
    'route add local 0.0.0.0/0 dev lo table 100',
    'route add 9.0.0.0/8 via 35.191.0.9 table 300',
  ]
  for (const words of others) await backend.ip(words)
  const before = await shell(backend, 'ip rule | cut -d: -f2; ip route show table 100; ip route show table 300')
  await succeeds(backend, 'host-setup apply')
  await succeeds(backend, 'host-setup remove')
  const after = await shell(backend, 'ip rule | cut -d: -f2; ip route show table 100; ip route show table 300')
  assert.equal(after, before)
  assert.equal(await shell(backend, 'cat /proc/sys/net/ipv4/tcp_migrate_req'), '1\n', 'table 300 still serves an agent')
})

test('an apply that fails half-way takes back what it did', { skip: skipWithout('nft') }, async (t) => {
  const { backend } = await bareHosts(t)
  // A rule that has to move, so that its way back is seen, too.
  await backend.ip('rule add priority 100 from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('rule add priority 90 fwmark 7 lookup main')
  const before = await networkState(backend)
  const directory = testDirectory(t)
  const nft = '#!/bin/sh\ncase "$*" in *list*) exec /usr/sbin/nft "$@" ;; esac\necho "no room" >&2\nexit 1\n'
  writeFileSync(join(directory, 'nft'), nft, { mode: 0o755 })
  const wrapper = ['env', `PATH=${directory}:${process.env['PATH']}`]
  const result = await truepeer(backend, 'host-setup apply', wrapper)
  assert.equal(result.exitCode, 1, result.stdout)
  assert.match(result.stderr, /"nft .*no room/)
  assert.equal(await networkState(backend), before)
})

test('status finds a rule that comes before ours and sends answers elsewhere', async (t) => {
  const { backend } = await bareHosts(t)
  await succeeds(backend, 'host-setup apply')
  await backend.ip('rule add from 127.0.0.0/8 lookup main')
  await fails(backend, 'host-setup status', /fail +rule IPv4 +in place, but answers to clients go elsewhere/)
  assert.equal(await linesWith(backend, `${TRUEPEER} host-setup status; true`, 'rule IPv4'), 1, 'one line says it')
})

test('without the privilege nothing is changed, and the message names it', async (t) => {
  const { backend } = await bareHosts(t)
  const before = await networkState(backend)
  for (const action of ['apply', 'remove']) {
    const result = await truepeer(backend, `host-setup ${action}`, ['setpriv', '--bounding-set', '-net_admin'])
    assert.equal(result.exitCode, 1)
    assert.match(result.stderr, /as root/)
  }
  assert.equal(await networkState(backend), before)
  const status = await truepeer(backend, 'host-setup status', ['setpriv', '--bounding-set', '-net_admin'])
  assert.match(status.stdout, /fail +rule IPv4/, 'everybody may look')
})

test('CAP_NET_ADMIN is all that the set-up needs of root', async (t) => {
  const { backend } = await bareHosts(t)
  const wrapper = ['setpriv', '--bounding-set', '-all,+net_admin', '--no-new-privs']
  const result = await truepeer(backend, 'host-setup apply', wrapper)
  assert.equal(result.exitCode, 0, result.stderr)
  await succeeds(backend, 'host-setup status')
})

test('the firewall closes the port of the app to the outside and to nobody else', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { backend, outside } = await bareHosts(t)
  const before = await networkState(backend)
  await backend.listen('10.128.0.2:112', (socket) => socket.end('app'))
  await backend.listen('10.128.0.2:113', (socket) => socket.end('other'))
  await succeeds(backend, 'host-setup apply --app-port 112 --app-port 9001')
  const applied = await networkState(backend)
  assert.match(await succeeds(backend, 'host-setup apply --app-port 9001 --app-port 112'), /in place already/)
  assert.equal(await networkState(backend), applied)
  assert.match(await succeeds(backend, 'host-setup status'), /ports 112, 9001 closed/)
  assert.match(await succeeds(backend, 'host-setup status --app-port 112 --app-port 9001'), /ports 112, 9001 closed/)
  await fails(backend, 'host-setup status --app-port 112', /fail +nftables/)

  await assert.rejects(outside.connect({ to: '10.128.0.2:112', timeoutMs: 300 }), { code: 'ETIMEDOUT' })
  ;(await outside.connect({ to: '10.128.0.2:113' })).destroy()
  ;(await backend.connect({ to: '10.128.0.2:112' })).destroy()

  await shell(backend, '/usr/sbin/nft flush ruleset')
  await fails(backend, 'host-setup status', /fail +nftables +table inet truepeer is missing/)
  await succeeds(backend, 'host-setup apply --app-port 112')
  await shell(backend, '/usr/sbin/nft add table inet others')
  await succeeds(backend, 'host-setup remove')
  assert.match(await networkState(backend), /table inet others/)
  await shell(backend, '/usr/sbin/nft delete table inet others')
  assert.equal(await networkState(backend), before)
})

test("the agent's user cannot send foreign sources off this host", { skip: skipWithout('nft') }, async (t) => {
  const { backend } = await bareHosts(t)
  const dropped = async (): Promise<number> => {
    const listing = await shell(backend, '/usr/sbin/nft list chain inet truepeer output')
    return Number(/counter packets (\d+) .*kept inside/.exec(listing)?.[1])
  }
  const sendFrom = (source: string): void => {
    const [from, to] = [parseIpAddress(source), parseEndpoint('35.191.0.9:9')]
    assert.ok(from !== undefined && to !== undefined)
    const stream = backend.enter(() => openStream(4))
    assert.equal(setTransparent(stream, 4), 0)
    assert.equal(bindTo(stream, from, 0), 0)
    connectTo(stream, to)
    close(stream)
  }
  await succeeds(backend, 'host-setup apply --agent-user nobody')
  sendFrom('192.0.2.1')
  assert.equal(await dropped(), 0, 'other users are not held to it')
  await succeeds(backend, `host-setup apply --agent-user ${process.getuid?.()}`)
  sendFrom('10.128.0.2')
  assert.equal(await dropped(), 0, 'an address of this host may leave')
  sendFrom('192.0.2.1')
  assert.equal(await dropped(), 1)
})

test('a missing nft is named by its Debian package, and nothing is changed', async (t) => {
  const { backend } = await bareHosts(t)
  const before = await networkState(backend)
  // /usr/sbin/nft is hidden in a mount namespace of its own, by a file that cannot be executed.
  const hide = 'for p in /usr/sbin/nft /usr/bin/nft; do [ ! -e $p ] || mount --bind /dev/null $p; done; exec "$@"'
  const wrapper = ['unshare', '--mount', 'sh', '-c', hide, 'sh']
  const result = await truepeer(backend, 'host-setup apply --app-port 112', wrapper)
  assert.equal(result.exitCode, 1, result.stdout)
  assert.match(result.stderr, /install the Debian package nftables/)
  assert.equal(await networkState(backend), before)
  const plain = await truepeer(backend, 'host-setup apply', wrapper)
  assert.equal(plain.exitCode, 0, 'only the firewall needs it')
  assert.match(plain.stdout, /^Note: connections that an app begins .* "nft"; install the Debian package nftables/m)
  assert.match((await truepeer(backend, 'host-setup status', wrapper)).stdout, /fail +nftables +there is no program/)
  assert.equal((await truepeer(backend, 'host-setup remove', wrapper)).exitCode, 0)
  assert.equal(await networkState(backend), before)
})
