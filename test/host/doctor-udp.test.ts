// What the doctor finds of UDP. This process itself is on the host meanwhile: a start of the program costs half a second.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { after, before, type TestContext, test } from 'node:test'
import { type Endpoint, parseEndpoint } from '../../src/address/endpoint.ts'
import { agentProblems } from '../../src/host/agent-problems.ts'
import { applyHostSetup } from '../../src/host/apply-setup.ts'
import { type DoctorListener, examineAgent } from '../../src/host/doctor.ts'
import type { Finding } from '../../src/host/finding.ts'
import { removeHostSetup } from '../../src/host/remove-setup.ts'
import { Lab } from '../../src/lab/lab.ts'
import { moveToNetworkNamespace } from '../../src/linux/namespace.ts'
import { runProgram } from '../../src/linux/run.ts'
import { skipWithout } from '../rig/skip.ts'

const SET_UP = { table: 100, families: [4, 6], appPorts: [], agentUser: undefined } as const

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed)
  return parsed
}

async function run(words: string): Promise<string> {
  const [program, ...args] = words.split(' ')
  const { exitCode, stdout, stderr } = await runProgram(program, args)
  assert.equal(exitCode, 0, `${words}: ${stderr}`)
  return stdout
}

const lab = new Lab()
const outside = openSync('/proc/thread-self/ns/net', 'r')

before(async () => {
  const host = await lab.addHost('backend')
  const other = await lab.addHost('outside')
  const uplink = { host, addresses: ['10.128.0.2/20'], routes: ['default via 10.128.0.1'] }
  await lab.link({ host: other, addresses: ['10.128.0.1/20'], routes: [] }, uplink)
  moveToNetworkNamespace(host.enter(() => openSync('/proc/thread-self/ns/net', 'r')))
})

after(async () => {
  moveToNetworkNamespace(outside)
  await lab.close()
})

async function receiveAt(t: TestContext, address: string, port: number): Promise<Socket> {
  const type = address.includes(':') ? 'udp6' : 'udp4'
  const socket = createSocket({ type, ipv6Only: type === 'udp6' }).bind(port, address)
  await once(socket, 'listening')
  t.after(() => {
    if (!isClosed(socket)) socket.close()
  })
  return socket
}

function isClosed(socket: Socket): boolean {
  try {
    socket.address()
    return false
  } catch {
    return true
  }
}

const LISTENER: DoctorListener = {
  listen: endpoint('10.128.0.2:53'),
  protocols: ['udp'],
  target4: endpoint('127.0.0.1:5353'),
  target6: endpoint('[::1]:5353'),
  trust: { kind: 'subnets', subnets: [endpoint] },
  sourcePort: 'ephemeral',
  appCheck: 'none',
  mark: 0,
}

/** The findings about UDP, by name. */
async function examine(listener: Partial<DoctorListener> = {}): Promise<ReadonlyMap<string, Finding>> {
  const options = {
    ...{ listeners: [{ ...LISTENER, ...listener }], controller: undefined, hasConfigFile: false, json: false },
    ...{ maxConnections: 1_000, flows: { max: 0 }, families: [4, 6] as const },
  }
  const readers = { readAllowedSubnets: () => [], parseLastEdges: () => [] }
  const findings = await examineAgent(options, readers)
  return new Map(findings.filter(({ name }) => name.startsWith('udp-')).map((finding) => [finding.name, finding]))
}

/** Without the queue: how long it may be is decided by the machine. */
function notOk(findings: ReadonlyMap<string, Finding>): Record<string, string> {
  const bad = [...findings.values()].filter(({ name, status }) => status !== 'ok' && name !== 'udp-queue')
  return Object.fromEntries(bad.map(({ name, status }) => [name, status]))
}

test('a host that is set up has no finding about UDP, and says what it has tried', async (t) => {
  await applyHostSetup(SET_UP)
  await receiveAt(t, '127.0.0.1', 5353)
  await receiveAt(t, '::1', 5353)
  const findings = await examine()
  assert.deepEqual(notOk(findings), {})
  assert.match(findings.get('udp-round-trip-ipv4')?.detail ?? '', /saw 192\.0\.2\.1:\d+, and was heard there/)
  assert.match(findings.get('udp-round-trip-ipv6')?.detail ?? '', /saw \[2001:db8::1\]:\d+/)
  assert.match(findings.get('udp-queue')?.detail ?? '', / \d+ small datagrams/)
  assert.equal(findings.get('udp-listen')?.detail, '10.128.0.2:53 is free')
  assert.deepEqual(await agentProblems([{ ...LISTENER, appTargets: [endpoint('127.0.0.1:5353')] }]), [])
})

test('an app on every address that leaves it to the kernel where its answers come from is found', async (t) => {
  await receiveAt(t, '0.0.0.0', 5354)
  await receiveAt(t, '::1', 5354)
  const listener = { target4: endpoint('127.0.0.1:5354'), target6: endpoint('[::1]:5354') }
  const { 'udp-app-ipv4': status, ...rest } = notOk(await examine(listener))
  assert.deepEqual([status, rest], ['warn', {}])
  const finding = (await examine(listener)).get('udp-app-ipv4')
  assert.match(finding?.detail ?? '', /they leave from 10\.128\.0\.2 instead of from 127\.0\.0\.1, and are lost$/)
  assert.equal(finding?.remedy, 'bind the app to 127.0.0.1')
  // On the address that the kernel chooses anyway, nothing is wrong but that it can be reached without the agent.
  const at = await examine({ ...listener, target4: endpoint('10.128.0.2:5354') })
  assert.match(at.get('udp-app-ipv4')?.detail ?? '', /^listens on every address, so that port 5354 can be reached/)
})

test('what stops datagrams is found: no app, a port that is taken, a missing rule, a firewall', {
  skip: skipWithout('nft'),
}, async (t) => {
  const listener = { target4: endpoint('127.0.0.1:5355'), target6: null, listen: endpoint('10.128.0.2:54') }
  assert.deepEqual(notOk(await examine(listener)), { 'udp-app-ipv4': 'fail' })
  const problems = await agentProblems([{ ...LISTENER, appTargets: [endpoint('127.0.0.1:5355')] }])
  assert.match(
    problems.join(),
    /^No app receives datagrams on the target "127\.0\.0\.1:5355": those of its clients are lost/,
  )
  await receiveAt(t, '127.0.0.1', 5355)
  await receiveAt(t, '10.128.0.2', 54)
  const taken = await examine(listener)
  assert.deepEqual(notOk(taken), { 'udp-listen': 'fail' })
  assert.match(taken.get('udp-listen')?.detail ?? '', new RegExp(`is taken by .*\\(pid ${process.pid}\\)`))
  const free = { ...listener, listen: endpoint('10.128.0.2:55') }
  // A rule about UDP alone leads its answers elsewhere, and those of TCP not.
  await run('ip rule add priority 7 ipproto udp sport 5355 lookup main')
  assert.deepEqual(notOk(await examine(free)), { 'udp-routing-ipv4': 'fail' })
  await run('ip rule del priority 7')
  await run('/usr/sbin/nft add table inet x')
  await run('/usr/sbin/nft add chain inet x y { type filter hook input priority 0; }')
  await run('/usr/sbin/nft add rule inet x y meta l4proto udp ip daddr 192.0.2.0/24 drop')
  const dropped = await examine(free)
  assert.deepEqual(notOk(dropped), { 'udp-round-trip-ipv4': 'fail' })
  assert.match(dropped.get('udp-round-trip-ipv4')?.detail ?? '', /^the answer of an app to a client gets lost$/)
  await run('/usr/sbin/nft delete table inet x')
  await removeHostSetup(SET_UP)
  assert.deepEqual(notOk(await examine(free)), { 'udp-routing-ipv4': 'fail', 'udp-round-trip-ipv4': 'fail' })
})

test('datagrams that found a queue full are told of, with whose queue it was', async (t) => {
  await applyHostSetup(SET_UP)
  const app = await receiveAt(t, '127.0.0.1', 5356)
  app.setRecvBufferSize(2_048)
  // This process waits for it, and reads nothing meanwhile.
  execFileSync('bash', ['-c', 'for i in {1..200}; do echo $i > /dev/udp/127.0.0.1/5356; done'])
  const listener = { target4: endpoint('127.0.0.1:5356'), target6: null, listen: endpoint('10.128.0.2:56') }
  const found = (await examine(listener)).get('udp-queue')
  assert.equal(found?.status, 'warn')
  assert.match(found?.detail ?? '', /^\d+ datagrams? to the app on 127\.0\.0\.1:5356 found its queue full$/)
})
