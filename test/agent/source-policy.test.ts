import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEndpoint } from '../../src/address/endpoint.ts'
import { parseIpAddress } from '../../src/address/ip-address.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, AGENT6, CLIENT, CLIENT6, startAgent } from '../rig/agent.ts'
import { headerV2, piecesOf, streamVectors } from '../rig/header-vectors.ts'
import { agentHosts, BACKEND, BACKEND6, EDGE } from '../rig/hosts.ts'
import { answerOf, exchange, type RecordingApp, startRecordingApp } from '../rig/recording-app.ts'
import { shell } from '../rig/shell.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

const LATER = '198.51.100.77'
const LATER6 = '2001:db8:77::1'

/** Sources that no agent may impersonate, and the counter that each has to raise. */
const REFUSED = [
  ['127.0.0.1', 'src-loopback'],
  ['127.255.255.254', 'src-loopback'],
  ['::1', 'src-loopback'],
  ['0.0.0.0', 'src-unspecified'],
  ['0.1.2.3', 'src-unspecified'],
  ['::', 'src-unspecified'],
  ['224.0.0.1', 'src-multicast'],
  ['239.255.255.255', 'src-multicast'],
  ['ff02::1', 'src-multicast'],
  ['ff0e::db8:1', 'src-multicast'],
  ['255.255.255.255', 'src-broadcast'],
  ['240.0.0.1', 'src-reserved'],
  ['255.255.255.254', 'src-reserved'],
  ['169.254.169.254', 'src-linklocal'],
  ['fe80::1', 'src-linklocal'],
  // The broadcast address of the backend's own subnet, which bind(2) takes for an address of this host.
  ['10.128.15.255', 'src-own-address'],
  [BACKEND, 'src-own-address'],
  [BACKEND6, 'src-own-address'],
  [LATER, 'src-own-address'],
  [LATER6, 'src-own-address'],
  // Forms in which an IPv6 address carries an IPv4 address: mapped, compatible, NAT64, 6to4.
  ['::ffff:127.0.0.1', 'src-loopback'],
  ['::ffff:0.0.0.0', 'src-unspecified'],
  ['::ffff:255.255.255.255', 'src-broadcast'],
  ['::ffff:224.0.0.1', 'src-multicast'],
  ['::ffff:169.254.1.1', 'src-linklocal'],
  [`::ffff:${BACKEND}`, 'src-own-address'],
  ['::127.0.0.1', 'src-loopback'],
  ['::2', 'src-unspecified'],
  ['::224.0.0.1', 'src-multicast'],
  [`::${BACKEND}`, 'src-own-address'],
  ['64:ff9b::7f00:1', 'src-loopback'],
  ['64:ff9b::ffff:ffff', 'src-broadcast'],
  [`64:ff9b::${BACKEND}`, 'src-own-address'],
  ['2002:7f00:1::', 'src-loopback'],
  ['2002:e000:1::5', 'src-multicast'],
  ['2002:a80:2::1', 'src-own-address'],
] as const

function headers(source: string, port = 51_000): (string | Buffer)[] {
  const isIpv6 = source.includes(':')
  const line = `PROXY ${isIpv6 ? 'TCP6' : 'TCP4'} ${source} ${isIpv6 ? CLIENT6 : CLIENT} ${port} 110\r\n`
  return [line, headerV2(withPort(source, port), isIpv6 ? AGENT6 : AGENT)]
}

function withPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Sends a header with a payload; the app must not see anything of it, and one counter must say why. */
async function assertRefused(
  edge: Host,
  agent: Running,
  app: RecordingApp,
  header: string | Buffer | readonly Buffer[],
  reason: string,
  name: string,
): Promise<void> {
  const counter = `truepeer_sources_refused_total{reason="${reason}"}`
  const before = { count: await agent.metric(counter), seen: app.seen.length }
  const pieces = Array.isArray(header) ? header : [header, 'PAYLOAD']
  assert.equal(await exchange(edge, AGENT, pieces), '', name)
  assert.equal(app.seen.length, before.seen, `${name}: the app sees a connection from ${app.seen.at(-1)?.peer}`)
  assert.equal(await agent.metric(counter), before.count + 1, `${name}: ${reason}`)
}

test('sources that may not be impersonated are refused in headers of both versions, each with its reason', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  // After the agent has started: it has to ask the kernel each time.
  await backend.ip(`address add ${LATER}/32 dev lo`)
  await backend.ip(`address add ${LATER6}/128 dev lo nodad`)
  for (const [source, reason] of REFUSED) {
    for (const header of headers(source)) await assertRefused(edge, agent, app, header, reason, `${source}, ${header}`)
  }
  await backend.ip(`address del ${LATER}/32 dev lo`)
  assert.equal(await exchange(edge, AGENT, [...headers(LATER).slice(0, 1), 'x']), answerOf(`${LATER}:51000`, 'x'))
})

test('an IPv6 address of this host is refused while it is tentative, and on an interface that is down', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  await backend.ip('link add name spare type veth peer name other')
  // Detection of duplicates takes a second for each probe.
  await shell(backend, 'echo 600 > /proc/sys/net/ipv6/conf/spare/dad_transmits')
  await shell(backend, 'echo 1 > /proc/sys/net/ipv6/conf/spare/keep_addr_on_down')
  await backend.ip('link set spare up')
  await backend.ip('link set other up')
  const [tentative, kept] = ['2001:db8:88::1', '2001:db8:88::2']
  await backend.ip(`address add ${tentative}/64 dev spare`)
  await backend.ip(`address add ${kept}/64 dev spare nodad`)
  assert.match(await shell(backend, 'ip -6 address show dev spare'), new RegExp(`${tentative}/64 .*tentative`))
  const refused = async (source: string): Promise<void> => {
    for (const header of headers(source)) await assertRefused(edge, agent, app, header, 'src-own-address', source)
  }
  await refused(tentative)
  await backend.ip('link set spare down')
  assert.match(await shell(backend, 'ip -6 address show dev spare'), new RegExp(kept))
  await refused(kept)
  await backend.ip('link del spare')
  for (const source of [tentative, kept]) {
    assert.equal(await exchange(edge, AGENT, [headers(source)[0], 'x']), answerOf(`[${source}]:51000`, 'x'))
  }
})

test('who is refused is reset, which an edge does not take for the end of what an app has said', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const agent = await startAgent(backend, ['--header-timeout', '300ms'])
  for (const [start, reason] of [
    [headers('127.0.0.1')[0], 'source-refused'],
    ['GET / HTTP/1.1\r\n', 'header-malformed'],
    ['PROXY TCP4 209.', 'header-timeout'],
  ] as const) {
    const socket = await edge.connect({ to: AGENT })
    socket.write(start)
    await assert.rejects(readToEnd(socket), { code: 'ECONNRESET' }, reason)
    assert.equal(await agent.metric(`truepeer_connections_ended_total{reason="${reason}"}`), 1)
  }
})

test('documentation, benchmarking and private addresses are ordinary ones, and private ones can be denied', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  const privateSources = [
    '10.1.2.3',
    '172.31.255.1',
    '192.168.1.1',
    '100.64.0.1',
    'fd00::1',
    'fec0::1',
    '2002:a01:203::',
  ]
  for (const source of ['192.0.2.7', '198.51.100.7', '203.0.113.7', '198.18.0.7', '2001:db8::7', ...privateSources]) {
    for (const header of headers(source)) {
      const answer = await exchange(edge, AGENT, [header, 'x'])
      assert.equal(answer, answerOf(canonical(source), 'x'), `${source}, ${header}`)
    }
  }
  await agent.program.stop()

  const strict = await startAgent(backend, ['--deny-private-sources'])
  for (const source of [...privateSources, '::ffff:10.1.2.3']) {
    for (const header of headers(source))
      await assertRefused(edge, strict, app, header, 'src-private', `${source}, ${header}`)
  }
  assert.equal(await exchange(edge, AGENT, [headers(CLIENT)[0], 'x']), answerOf(`${CLIENT}:51000`, 'x'))
})

function canonical(source: string): string {
  const address = parseIpAddress(source)
  assert.ok(address)
  return formatEndpoint({ address, port: 51_000 })
}

test('the agent does with every valid header of the vectors what their policy says', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  let refused = 0
  for (const vector of streamVectors()) {
    const { policy, expect, id, name } = vector
    if (policy === undefined || expect.result !== 'accept') continue
    const claim = `${id} ${name}`
    if (Object.values(policy)[0] === 'reject') {
      await assertRefused(edge, agent, app, piecesOf(vector), policy.reason, claim)
      refused += 1
    } else {
      const answer = await exchange(edge, AGENT, piecesOf(vector))
      const source = policy.reason === 'health-check' ? EDGE : (expect.src ?? '').replace('::ffff:', '')
      const peer = expect.sport !== null && expect.sport > 0 ? withPort(source, expect.sport) : source
      assert.ok(answer.startsWith(peer.replace(/]$/, '')) && answer.endsWith(` ${expect.rest}`), `${claim}: ${answer}`)
    }
  }
  assert.ok(refused >= 20, `${refused} were refused`)
})

test('port 0 in a header gives the app any port, and is refused where the port is to be preserved', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  for (const header of headers(CLIENT, 0)) {
    assert.match(await exchange(edge, AGENT, [header, 'x']), new RegExp(`^${CLIENT}:[1-9]\\d* 78$`))
  }
  assert.equal(await agent.metric('truepeer_source_port_fallbacks_total{cause="bind-in-use"}'), 0)
  await agent.program.stop()
  const strict = await startAgent(backend, ['--source-port', 'preserve'])
  for (const header of headers(CLIENT, 0)) {
    await assertRefused(edge, strict, app, header, 'src-port-zero', `${header}`)
  }
})

test('a header whose source is the target is refused and not connected to itself, also with the app stopped', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app: RecordingApp = { seen: [], servers: [] }
  // The app lives on another host, and is stopped: nothing listens on any target.
  const target = '192.0.2.55:112'
  const agent = await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', target, '--allow-all-subnets'])
  for (const header of [`PROXY TCP4 192.0.2.55 ${BACKEND} 112 110\r\n`, headerV2(target, AGENT)]) {
    await assertRefused(edge, agent, app, header, 'src-equals-dst', `${header}`)
  }
  const ownTarget = ['-l', `${BACKEND}:111`, '-4', `${BACKEND}:112`]
  const own = await startTruepeer(backend, 'agent', [...ownTarget, '--allow-all-subnets'])
  const counter = 'truepeer_sources_refused_total{reason="src-equals-dst"}'
  assert.equal(await exchange(edge, `${BACKEND}:111`, [`PROXY TCP4 ${BACKEND} 192.0.2.1 112 110\r\n`, 'ECHO?']), '')
  assert.equal(await own.metric(counter), 1)
})

test('a LOCAL connection whose peer is the target is refused and not connected to itself', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const target = `${EDGE}:112`
  const agent = await startTruepeer(backend, 'agent', ['-l', AGENT, '-4', target, '--allow-all-subnets'])
  const socket = await edge.connect({ to: AGENT, from: EDGE, port: 112 })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end('PROXY UNKNOWN\r\nECHO?')
  socket.once('end', () => socket.destroy())
  await closed
  assert.equal(chunks.length, 0)
  assert.equal(await agent.metric('truepeer_sources_refused_total{reason="src-equals-dst"}'), 1)
})

test('a header whose source is its own destination is refused', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  for (const header of [`PROXY TCP4 ${CLIENT} ${CLIENT} 110 110\r\n`, headerV2(`[${CLIENT6}]:7`, `[${CLIENT6}]:7`)]) {
    await assertRefused(edge, agent, app, header, 'src-equals-dst', `${header}`)
  }
})
