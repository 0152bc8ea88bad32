import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shell } from '../rig/shell.ts'
import { TRUEPEER } from '../rig/truepeer.ts'
import { bareHosts, fails, networkState, succeeds } from './bare-hosts.ts'

for (const [family, route] of [
  ['IPv4', 'route add default via 35.191.0.9 table 100'],
  ['IPv4', 'route add blackhole 9.0.0.0/8 table 100'],
  ['IPv6', '-6 route add 2001:db8:9::/48 via 2001:db8:35::9 table 100'],
] as const) {
  test(`a conflicting route is named and nothing is changed: ${route}`, async (t) => {
    const { backend } = await bareHosts(t)
    await backend.ip(route)
    const before = await networkState(backend)
    await fails(backend, 'host-setup apply', new RegExp(`table 100 already has the ${family} route .*--table`))
    assert.equal(await networkState(backend), before)
    await succeeds(backend, 'host-setup apply --table 200')
    await succeeds(backend, 'host-setup status --table 200')
    await succeeds(backend, 'host-setup remove --table 200')
    assert.equal(await networkState(backend), before)
  })
}

test('where IPv6 is switched off, it is left out with a note', async (t) => {
  const { backend } = await bareHosts(t)
  await shell(backend, 'for name in all lo; do echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done')
  const before = await networkState(backend)
  const applied = await succeeds(backend, 'host-setup apply')
  assert.match(applied, /^ip -4 rule add /m)
  assert.doesNotMatch(applied, /^ip -6 /m)
  assert.match(applied, /^Note: IPv6 is switched off on this host/m)
  assert.match(await succeeds(backend, 'host-setup apply'), /^Everything was in place already\.\nNote: IPv6/)
  assert.match(JSON.parse(await succeeds(backend, 'host-setup apply --json')).notes[0], /^IPv6 is switched off/)
  assert.match(await succeeds(backend, 'host-setup status'), /^ok +IPv6 +IPv6 is switched off/m)
  await fails(
    backend,
    'host-setup apply --family ipv6',
    /IPv6 is switched off on this host; switch it on with "sysctl /,
  )
  await succeeds(backend, 'host-setup remove')
  assert.equal(await networkState(backend), before)
})

test('two tables are independent, and the last one to go takes the setting with it', async (t) => {
  const { backend } = await bareHosts(t)
  const before = await networkState(backend)
  await succeeds(backend, 'host-setup apply')
  await succeeds(backend, 'host-setup apply --table 200 --family ipv4')
  await succeeds(backend, 'host-setup remove')
  await succeeds(backend, 'host-setup status --table 200 --family ipv4')
  await succeeds(backend, 'host-setup remove --table 200')
  assert.equal(await networkState(backend), before)
})

test('one family is set up and removed alone', async (t) => {
  const { backend } = await bareHosts(t)
  await succeeds(backend, 'host-setup apply --family ipv6')
  await succeeds(backend, 'host-setup status --family ipv6')
  await fails(backend, 'host-setup status', /fail +rule IPv4/)
  await succeeds(backend, 'host-setup apply')
  await succeeds(backend, 'host-setup remove --family ipv6')
  await succeeds(backend, 'host-setup status --family ipv4')
})

test('wrong command lines are usage errors', async (t) => {
  const { backend } = await bareHosts(t)
  for (const words of [
    'host-setup',
    'host-setup start',
    'host-setup apply --table 254',
    'host-setup apply --table 0',
    'host-setup apply --family ipv5',
    'host-setup apply --app-port 0',
    'host-setup apply --app-port 70000',
    'host-setup apply extra',
    'host-setup status --watch',
  ]) {
    await fails(backend, words, /truepeer: /, 2)
  }
  await fails(backend, 'host-setup apply --agent-user nobody-of-that-name', /there is no user/)
})

test('a kill -9 of the agent leaves the routing', async (t) => {
  const { backend } = await bareHosts(t)
  await succeeds(backend, 'host-setup apply')
  const targets = ['-4', '127.0.0.1:112', '-6', '[::1]:112']
  const agent = backend.start(TRUEPEER, ['agent', '-l', '10.128.0.2:110', ...targets, '--allow-all-subnets'])
  await agent.waitForLine(/"msg":"listening"/)
  process.kill(agent.pid, 'SIGKILL')
  await agent.exited
  await succeeds(backend, 'host-setup status')
})
