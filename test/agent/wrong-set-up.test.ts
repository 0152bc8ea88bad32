// What an agent says about a wrong set-up without being asked: at its start, and when clients are lost.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { bareHosts, truepeer } from '../host/bare-hosts.ts'
import { testDirectory } from '../rig/directory.ts'
import { shell } from '../rig/shell.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const AGENT = '10.128.0.2:110'

function start(host: Host, words: string): Program {
  return host.start(TRUEPEER, ['agent', '-l', AGENT, ...words.split(' ')])
}

/** Sends the header of a client and waits for the end of the connection. */
async function comeAndGo(from: Host, header = 'PROXY TCP4 192.0.2.77 10.128.0.2 40000 110\r\n'): Promise<void> {
  // A stranger may be reset before it knows that it is connected.
  const socket = await from.connect({ to: AGENT }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') throw error
  })
  if (socket === undefined) return
  socket.on('error', () => {}).resume()
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end(header)
  await closed
}

/** Ends a program and returns all that it has said. */
async function outputOf(program: Program): Promise<string> {
  await program.stop()
  return program.output.map(({ text }) => text).join('\n')
}

async function app(t: TestContext, host: Host): Promise<void> {
  const server = await host.listen('127.0.0.1:112', (socket) => socket.end())
  t.after(() => server.close())
}

test('an agent whose host is right says nothing about it', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  await app(t, backend)
  const agent = start(backend, '-4 127.0.0.1:112 --allow-all-subnets')
  await agent.waitForLine(/"msg":"listening"/)
  await comeAndGo(backend)
  const output = await outputOf(agent)
  assert.doesNotMatch(output, /"level":"(warn|error)"/)
})

test('without the routing an agent warns at its start, and again by the record of a client', async (t) => {
  const { backend, outside } = await bareHosts(t)
  await app(t, backend)
  const agent = start(backend, '-4 127.0.0.1:112 --allow-all-subnets --connect-timeout 300ms')
  await agent.waitForLine(/"level":"warn".*Answers of an app on 127\.0\.0\.1 to IPv4 clients do not come back/)
  for (const _ of [1, 2, 3]) await comeAndGo(outside)
  await agent.waitForLine(/"end":"connect-timeout"/)
  const output = await outputOf(agent)
  assert.equal(output.match(/"end":"connect-timeout"/g)?.length, 1, 'a sample')
})

test('an app that is down and targets elsewhere are named at the start, and clients leave a record', async (t) => {
  const { backend, outside } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  const agent = start(backend, '-4 127.0.0.1:112 -6 [2001:db8:99::1]:112 --allow-all-subnets --connect-timeout 100ms')
  await agent.waitForLine(/"level":"warn".*Nothing listens on the target .*127\.0\.0\.1:112/)
  await agent.waitForLine(/"level":"warn".*The target .*\[2001:db8:99::1\]:112.* is not on this host/)
  for (const _ of [1, 2, 3]) await comeAndGo(outside)
  await agent.waitForLine(/"end":"connect-failed"/)
  const output = await outputOf(agent)
  assert.equal(output.match(/"end":"connect-failed"/g)?.length, 1, 'a sample')
  assert.doesNotMatch(output, /cannot be reached|do not come back/, 'nothing more about what is not here')
})

test('an app that listens only on demand is missed by nobody, and one whose port is closed is told of once', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  const onDemand = start(backend, '-4 127.0.0.1:112 --allow-all-subnets --app-check on-demand')
  await onDemand.waitForLine(/"msg":"listening"/)
  // It accepts: whoever comes while the app does not listen is tried for, as without the flag.
  await (await backend.connect({ to: AGENT })).destroy()
  assert.doesNotMatch(await outputOf(onDemand), /"level":"warn"/)
})

test('an edge that is not in the list leaves one record for all strangers', async (t) => {
  const { backend, outside } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  await app(t, backend)
  const list = join(testDirectory(t), 'edges.txt')
  writeFileSync(list, '192.0.2.0/24\n')
  const agent = start(backend, `-4 127.0.0.1:112 --allowed-subnets ${list}`)
  await agent.waitForLine(/"msg":"listening"/)
  await comeAndGo(outside)
  await comeAndGo(backend)
  await agent.waitForLine(/"peer":"35\.191\.0\.9:\d+".*"end":"untrusted-peer"/)
  assert.equal((await outputOf(agent)).match(/untrusted-peer/g)?.length, 1)
})

test('a VPN that takes the answers away is noticed while the agent runs, and so is its end', async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply --family ipv4')
  await app(t, backend)
  const agent = start(backend, '-4 127.0.0.1:112 --allow-all-subnets')
  await agent.waitForLine(/"msg":"listening"/)
  await shell(backend, 'ip route add default via 35.191.0.9 table 51820; ip rule add not fwmark 51820 table 51820')
  await agent.waitForLine(/"level":"warn".*Answers of an app on 127\.0\.0\.1 to IPv4 clients do not come back/)
  await truepeer(backend, 'host-setup apply --family ipv4')
  await agent.waitForLine(/"level":"info".*Resolved: Answers of an app/)
  await agent.stop()
})

test('on a host without IPv6 the agent serves IPv4, and says so', async (t) => {
  const { backend, outside } = await bareHosts(t)
  await shell(backend, 'for name in all lo; do echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done')
  await truepeer(backend, 'host-setup apply')
  await app(t, backend)
  const agent = start(backend, '-4 127.0.0.1:112 -6 [::1]:112 --allow-all-subnets')
  await agent.waitForLine(/"level":"warn".*IPv6 is switched off on this host/)
  await comeAndGo(outside)
  assert.doesNotMatch(await outputOf(agent), /do not come back|Nothing listens/)
})
