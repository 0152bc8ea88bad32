import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, APP, APP6, CLIENT, CLIENT6, headerFrom, startAgent } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { answerOf, exchange, type RecordingApp, readUntilClosed, startRecordingApp } from '../rig/recording-app.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

const BIND_IN_USE = 'truepeer_source_port_fallbacks_total{cause="bind-in-use"}'
const CONNECTION_IN_USE = 'truepeer_source_port_fallbacks_total{cause="connection-in-use"}'
const REFUSED_IN_USE = 'truepeer_sources_refused_total{reason="src-port-in-use"}'
/** Everything that bind(2) and connect(2) may choose from. */
const FIRST_PORT = 40_000
const PORT_COUNT = 20

/** Sends a header and a byte, and waits until the app has it; the connection stays open. */
async function open(edge: Host, app: RecordingApp, header: string, to = AGENT): Promise<Socket> {
  const before = app.seen.length
  const socket = await edge.connect({ to })
  socket.write(`${header}x`)
  await eventually(`the app has ${header}`, () => app.seen[before]?.received.length === 1)
  return socket
}

async function finish(socket: Socket): Promise<string> {
  const answer = readUntilClosed(socket)
  socket.end()
  return (await answer).toString()
}

async function fallbacks(agent: Running): Promise<number[]> {
  return await Promise.all([BIND_IN_USE, CONNECTION_IN_USE].map((name) => agent.metric(name)))
}

async function narrowPortRange(host: Host): Promise<void> {
  const range = `${FIRST_PORT} ${FIRST_PORT + PORT_COUNT - 1}`
  const { stderr } = await host.run('sh', ['-c', `echo ${range} > /proc/sys/net/ipv4/ip_local_port_range`])
  assert.equal(stderr, '')
}

/** Opens a connection with a preserved port for each one of the host's ephemeral ports. */
async function coverPortRange(edge: Host, app: RecordingApp): Promise<void> {
  for (let index = 0; index < PORT_COUNT; index++) await open(edge, app, headerFrom(CLIENT, FIRST_PORT + index))
  const peers = app.seen.slice(-PORT_COUNT).map(({ peer }) => peer)
  assert.deepEqual(
    peers,
    Array.from(peers, (_, index) => `${CLIENT}:${FIRST_PORT + index}`),
  )
}

test('a client whose port is that of a wildcard listener on the host is served with another port', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  await backend.listen('0.0.0.0:51001', () => undefined)
  await backend.listen('[::]:51002', () => undefined)
  const target = ['-4', APP, '-6', APP6, '--allow-all-subnets']
  const agent = await startTruepeer(backend, 'agent', ['-l', '0.0.0.0:110', ...target])
  for (const [source, port] of [
    [CLIENT, 51_001],
    [CLIENT6, 51_002],
    // The agent's own port.
    [CLIENT, 110],
  ] as const) {
    const answer = await exchange(edge, AGENT, [headerFrom(source, port), 'x'])
    const [peer, received] = answer.split(' ')
    assert.equal(received, '78', `${source} ${port}: ${answer}`)
    assert.ok(peer.includes(source) && !peer.endsWith(`:${port}`), peer)
  }
  assert.deepEqual(await fallbacks(agent), [3, 0])
  await agent.program.stop()

  const strict = await startTruepeer(backend, 'agent', ['-l', '0.0.0.0:110', ...target, '--source-port', 'preserve'])
  for (const port of [51_001, 110]) {
    assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT, port), 'x']), '')
  }
  assert.equal(await strict.metric(REFUSED_IN_USE), 2)
  assert.deepEqual(await fallbacks(strict), [0, 0])
})

for (const source of [CLIENT, CLIENT6]) {
  test(`while a connection of ${source} is open, a second one with the same port is served by another`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const app = await startRecordingApp(backend)
    const agent = await startAgent(backend)
    const first = await open(edge, app, headerFrom(source, 51_001))
    const answer = await exchange(edge, AGENT, [headerFrom(source, 51_001), 'second'])
    assert.match(answer, new RegExp(` ${Buffer.from('second').toString('hex')}$`))
    assert.ok(answer.includes(source) && !answer.includes(':51001 '), answer)
    assert.deepEqual(await fallbacks(agent), [0, 1])
    assert.equal(await finish(first), answerOf(app.seen[0].peer, 'x'), 'the first is unharmed')
    assert.match(app.seen[0].peer, /:51001$/)
  })
}

test('where ports are preserved, a second connection with the same port is refused and the first unharmed', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const agent = await startAgent(backend, ['--source-port', 'preserve'])
  const first = await open(edge, app, headerFrom(CLIENT, 51_001))
  assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT, 51_001), 'second']), '')
  assert.equal(await agent.metric(REFUSED_IN_USE), 1)
  assert.equal(app.seen.length, 1)
  assert.equal(await finish(first), answerOf(`${CLIENT}:51001`, 'x'))
})

test('one source keeps its port towards two targets at once, and again while the tuple is in TIME_WAIT', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  const other = await startRecordingApp(backend, ['127.0.0.1:113'])
  const preserve = ['--source-port', 'preserve']
  await startAgent(backend, preserve)
  const otherAgent = `${BACKEND}:111`
  await startTruepeer(backend, 'agent', ['-l', otherAgent, '-4', '127.0.0.1:113', '--allow-all-subnets', ...preserve])
  const header = headerFrom(CLIENT, 51_001)
  const sockets = [await open(edge, app, header), await open(edge, other, header, otherAgent)]
  for (const socket of sockets) assert.equal(await finish(socket), answerOf(`${CLIENT}:51001`, 'x'))

  for (let round = 0; round < 3; round++) {
    await eventually('the tuple is in TIME_WAIT', async () => {
      const { stdout } = await backend.run('ss', ['-Htan', 'state', 'time-wait', 'dport', '= :112'])
      return stdout.includes(`${CLIENT}:51001`)
    })
    assert.equal(await exchange(edge, AGENT, [header, 'again']), answerOf(`${CLIENT}:51001`, 'again'))
  }
})

test('a tuple that the app closed first, so that TIME_WAIT is on its side, keeps its port as well', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const peers: (number | undefined)[] = []
  await backend.listen(APP, (socket) => {
    peers.push(socket.remotePort)
    socket.resume().end('bye')
  })
  await startAgent(backend, ['--source-port', 'preserve'])
  for (let round = 0; round < 3; round++) {
    const socket = await edge.connect({ to: AGENT })
    socket.write(headerFrom(CLIENT, 51_001))
    assert.equal((await readUntilClosed(socket)).toString(), 'bye')
    socket.end()
    await eventually('the tuple is in TIME_WAIT', async () => {
      const { stdout } = await backend.run('ss', ['-Htan', 'state', 'time-wait', 'sport', '= :112'])
      return stdout.includes(`${CLIENT}:51001`)
    })
  }
  assert.deepEqual(peers, [51_001, 51_001, 51_001])
})

test('preserved ports that cover the whole range starve neither an edge on the host nor its health checks', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  let probes = 0
  const received: string[] = []
  await edge.listen(`${EDGE}:9000`, (socket) => {
    probes += 1
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk.toString())
      socket.end('served')
    })
    socket.on('error', () => undefined)
  })
  await narrowPortRange(backend)
  await startAgent(backend, ['--source-port', 'preserve'])
  await coverPortRange(edge, app)

  const often = ['--check-interval', '200ms', '--check-timeout', '200ms', '--unhealthy-threshold', '1']
  const frontend = `${BACKEND}:8080`
  await startTruepeer(backend, 'edge', ['--listen', frontend, '--backend', `${EDGE}:9000`, ...often])
  const probesBefore = probes
  await eventually('health checks go on', () => probes >= probesBefore + 5)
  for (let round = 0; round < 5; round++) {
    const client = await edge.connect({ to: frontend })
    client.end(`hello ${round}`)
    assert.equal((await readUntilClosed(client)).toString(), 'served')
  }
  assert.match(received.join(''), /^PROXY TCP4 35\.191\.0\.9 10\.128\.0\.2 \d+ 8080\r\nhello 0/)
  const outcome = await backend.connect({ to: `${EDGE}:9000` }).then(
    () => 'connects',
    (error: NodeJS.ErrnoException) => error.code,
  )
  t.diagnostic(`Without the fall-back, connect(2) of this host: ${outcome}`)
})

test('a client that must fall back to another port is served when preserved ports cover the whole range', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  await narrowPortRange(backend)
  const agent = await startAgent(backend)
  await coverPortRange(edge, app)
  const answer = await exchange(edge, AGENT, [headerFrom('198.51.100.4', 110), 'x'])
  assert.equal(answer, answerOf('198.51.100.4:110', 'x'))
  await backend.listen('0.0.0.0:51001', () => undefined)
  assert.match(await exchange(edge, AGENT, [headerFrom('198.51.100.4', 51_001), 'x']), /^198\.51\.100\.4:400[01]\d 78$/)
  assert.match(await exchange(edge, AGENT, [headerFrom('198.51.100.4', 0), 'x']), /^198\.51\.100\.4:400[01]\d 78$/)
  assert.deepEqual(await fallbacks(agent), [1, 0])
})

test("with --source-port ephemeral 100 connections share 20 ports, every port of 5 clients, and the host's own connect() works", async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = await startRecordingApp(backend)
  await edge.listen(`${EDGE}:9000`, (socket) => socket.end('host'))
  await narrowPortRange(backend)
  const agent = await startAgent(backend, ['--source-port', 'ephemeral'])
  const clients = Array.from({ length: 5 }, (_, index) => `198.51.100.${index + 1}`)
  const ports = Array.from({ length: PORT_COUNT }, (_, index) => FIRST_PORT + index)
  const sources = clients.flatMap((client) => ports.map((port) => `${client}:${port}`))
  const sockets = await Promise.all(
    sources.map(async (source) => {
      const socket = await edge.connect({ to: AGENT })
      socket.write(`${headerFrom(source.replace(/:.*/, ''), 51_001)}x`)
      return socket
    }),
  )
  const served = (): string[] => app.seen.filter(({ received }) => received.length === 1).map(({ peer }) => peer)
  await eventually('the app has all', () => served().length === sources.length)
  assert.deepEqual(served().sort(), sources)
  for (let round = 0; round < 5; round++) {
    const own = await backend.connect({ to: `${EDGE}:9000` })
    assert.equal((await readUntilClosed(own)).toString(), 'host')
    own.end()
  }
  for (const socket of sockets) assert.match(await finish(socket), /^198\.51\.100\.\d+:\d+ 78$/)
  assert.deepEqual(await fallbacks(agent), [0, 0])
})

test('a LOCAL connection from an edge on the same host is served also where ports are preserved', async (t) => {
  const { backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const preserve = ['--source-port', 'preserve']
  await startTruepeer(backend, 'agent', ['-l', '127.0.0.1:110', '-4', APP, '--allow-all-subnets', ...preserve])
  assert.match(await exchange(backend, '127.0.0.1:110', ['PROXY UNKNOWN\r\n', 'x']), /^127\.0\.0\.1:\d+ 78$/)
})
