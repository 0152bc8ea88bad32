import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { bareHosts, truepeer } from './bare-hosts.ts'
import { AGENT, examine, goodHost, problems } from './good-host.ts'

test('an app on a wildcard is well behind the firewall of host-setup', { skip: skipWithout('nft') }, async (t) => {
  const { backend, words } = await goodHost(t)
  await backend.listen('0.0.0.0:113', (socket) => socket.end())
  const moved = words.replace('127.0.0.1:112', '127.0.0.1:113')
  assert.deepEqual(problems(await examine(backend, moved)), { 'app-ipv4': 'warn' })
  assert.equal((await truepeer(backend, 'host-setup apply --app-port 113')).exitCode, 0)
  assert.deepEqual(problems(await examine(backend, moved)), {})
  await shell(backend, '/usr/sbin/nft flush ruleset')
  assert.deepEqual(problems(await examine(backend, moved)), { 'app-ipv4': 'warn', 'own-connections': 'warn' })
})

test('an app that is not on loopback is found, whose answers the routing does not keep', async (t) => {
  const { backend, words } = await goodHost(t)
  await backend.listen('10.128.0.2:113', (socket) => socket.end())
  const found = problems(await examine(backend, words.replace('127.0.0.1:112', '10.128.0.2:113')))
  assert.deepEqual(found, { 'app-ipv4': 'warn', 'routing-ipv4': 'fail', 'transparent-connection-ipv4': 'fail' })
})

test('the list of trusted edges is read as the agent reads it', async (t) => {
  const { backend, words } = await goodHost(t)
  const [file] = words.split(' ').slice(-1)
  writeFileSync(file, '35.191.0.0/33\n')
  assert.deepEqual(problems(await examine(backend, words)), { 'allowed-subnets': 'fail' })
  rmSync(file)
  assert.deepEqual(problems(await examine(backend, words)), { 'allowed-subnets': 'fail' })
  const everyone = await examine(backend, words.replace(`--allowed-subnets ${file}`, '--allow-all-subnets'))
  assert.deepEqual(problems(everyone), { 'allowed-subnets': 'warn' })
  assert.equal(everyone.exitCode, 0, 'a warning is no failure')
  writeFileSync(file, '35.191.0.0/16\n')
})

test('a connection leaves nothing behind, and does not take long', async (t) => {
  const { backend, words } = await goodHost(t)
  await examine(backend, words)
  assert.equal(await shell(backend, "ss -Htan | grep -c '192.0.2.1\\|2001:db8::1' || true"), '0\n')
  await shell(backend, 'ip rule del from 127.0.0.0/8 iif lo lookup 100; ip -6 rule del from ::1/128 iif lo lookup 100')
  const startedMs = Date.now()
  await examine(backend, words)
  assert.ok(Date.now() - startedMs < 8_000, 'both families time out within seconds')
})

test('wrong command lines are usage errors', async (t) => {
  const { backend } = await bareHosts(t)
  for (const words of [
    'doctor',
    'doctor edge',
    'doctor agent',
    'doctor agent --allow-all-subnets --nope',
    `doctor ${AGENT}`,
  ]) {
    assert.equal((await truepeer(backend, words)).exitCode, 2, words)
  }
})
