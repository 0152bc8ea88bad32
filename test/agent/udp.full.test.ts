import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, APP, APP6, CLIENT, CLIENT6, startAgent } from '../rig/agent.ts'
import { datagramHeader, simpleHeader } from '../rig/datagram-headers.ts'
import { openDatagrams, startDatagramApp, type TestDatagrams } from '../rig/datagrams.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts, BACKEND, BACKEND6, EDGE, EDGE6 } from '../rig/hosts.ts'
import { type Running, startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const FIRST = `${CLIENT}:5001`
const SECOND = '209.52.88.5:5001'
const UDP = ['-p', 'udp'] as const

/** Hosts, an app and an agent for UDP, and a socket of the edge. */
async function start(t: TestContext, args: readonly string[] = []) {
  const { edge, backend } = await agentHosts(t)
  const app = startDatagramApp(t, backend, APP)
  startDatagramApp(t, backend, APP6)
  const agent = await startAgent(backend, [...UDP, ...args])
  return { edge, backend, app, agent, socket: openDatagrams(t, edge, `${EDGE}:0`) }
}

function dropped(agent: Running, reason: string): Promise<number> {
  return agent.metric(`truepeer_datagrams_dropped_total{reason="${reason}"}`)
}

test('with "--udp-header first", only the first datagram of a socket has a header', async (t) => {
  const { edge, agent, socket } = await start(t, ['--udp-header', 'first'])
  assert.equal(await socket.ask(`${datagramHeader(FIRST)}one`, AGENT), `${APP} ${FIRST} one`)
  assert.equal(await socket.ask('two', AGENT), `${APP} ${FIRST} two`)
  assert.equal(await socket.ask('', AGENT), `${APP} ${FIRST} `)
  const other = openDatagrams(t, edge, `${EDGE}:0`)
  assert.equal(await other.ask(`${datagramHeader(SECOND)}`, AGENT), `${APP} ${SECOND} `)
  assert.equal(await socket.ask('three', AGENT), `${APP} ${FIRST} three`)
  socket.send(`${datagramHeader(SECOND)}four`, AGENT)
  await eventually('a header of its own is refused', async () => (await dropped(agent, 'header-changed')) === 1)
})

test('with "--udp-header alone", the header is a datagram that the app does not see', async (t) => {
  const { app, socket } = await start(t, ['--udp-header', 'alone'])
  socket.send(datagramHeader(FIRST), AGENT)
  assert.equal(await socket.ask('one', AGENT), `${APP} ${FIRST} one`)
  assert.equal(await socket.ask('', AGENT), `${APP} ${FIRST} `)
  assert.deepEqual(
    app.seen.map(({ text }) => text),
    ['one', ''],
  )
})

test('with "--udp-header spp", every answer carries the header back', async (t) => {
  const { socket } = await start(t, ['--udp-header', 'spp'])
  for (const client of [FIRST, SECOND, FIRST]) {
    const header = simpleHeader(client)
    assert.equal(await socket.ask(`${header}one`, AGENT), `${header}${APP} ${client} one`)
  }
  const header = simpleHeader(`[${CLIENT6}]:5001`)
  assert.equal(await socket.ask(`${header}six`, AGENT), `${header}${APP6} [${CLIENT6}]:5001 six`)
})

test('with several workers, each datagram of a client is answered to the socket of the edge that it came by', async (t) => {
  for (const header of [datagramHeader(FIRST), datagramHeader(`[${CLIENT6}]:5001`), simpleHeader(SECOND)]) {
    const isSimple = header === simpleHeader(SECOND)
    const { edge, agent } = await start(t, ['--listeners', '2', ...(isSimple ? ['--udp-header', 'spp'] : [])])
    const sockets = Array.from({ length: 6 }, () => openDatagrams(t, edge, `${EDGE}:0`))
    const ports = new Set<string>()
    for (let turn = 0; turn < 3; turn++) {
      for (const socket of sockets) {
        const answer = await socket.ask(`${header}${turn}`, AGENT)
        assert.ok(answer.endsWith(` ${turn}`), answer)
        ports.add(answer.slice(0, -2))
      }
    }
    assert.equal(ports.size, 1, 'the app sees one client')
    assert.deepEqual(
      sockets.flatMap(({ received }) => received),
      [],
    )
    await agent.program.stop()
  }
})

test('a port on all addresses answers from the one that the edge has sent to, over both families', async (t) => {
  const { edge, backend } = await agentHosts(t)
  startDatagramApp(t, backend, APP)
  startDatagramApp(t, backend, APP6)
  await backend.ip('address add 10.128.0.77/32 dev lo')
  await startTruepeer(backend, 'agent', [...UDP, '-l', '[::]:110', '-4', APP, '-6', APP6, '--allow-all-subnets'])
  const [socket, socket6] = [openDatagrams(t, edge, `${EDGE}:0`), openDatagrams(t, edge, `[${EDGE6}]:0`)]
  for (const [from, to, port] of [
    [socket, `${BACKEND}:110`, 5_001],
    [socket, '10.128.0.77:110', 5_001],
    [socket6, `[${BACKEND6}]:110`, 5_002],
  ] as const) {
    for (const [client, app] of [
      [`${CLIENT}:${port}`, APP],
      [`[${CLIENT6}]:${port}`, APP6],
    ]) {
      from.send(`${datagramHeader(client)}x`, to)
      const { text, from: answeredBy } = await from.next()
      assert.equal(text, `${app} ${client} x`)
      assert.equal(answeredBy, to)
    }
  }
})

test('a reload changes who is trusted at once, and where new clients are led, without ending those that are there', async (t) => {
  const { edge, backend } = await agentHosts(t)
  startDatagramApp(t, backend, APP)
  const other = '127.0.0.1:113'
  startDatagramApp(t, backend, other)
  const file = join(testDirectory(t), 'agent.yaml')
  const write = (target: string, subnets: string): void =>
    writeFileSync(
      file,
      `listeners: [{listen: "${AGENT}", protocol: udp, target4: "${target}", allowedSubnets: [${subnets}]}]`,
    )
  write(APP, EDGE)
  const program = backend.start(TRUEPEER, ['agent', '--config', file])
  await program.waitForLine(/"msg":"listening"/)
  const socket = openDatagrams(t, edge, `${EDGE}:0`)
  assert.equal(await socket.ask(`${datagramHeader(FIRST)}one`, AGENT), `${APP} ${FIRST} one`)
  const reload = async (): Promise<void> => {
    const from = program.output.length
    program.signal('SIGHUP')
    await program.waitForLine(/"msg":"reloaded"/, { from })
  }
  write(other, EDGE)
  await reload()
  assert.equal(await socket.ask(`${datagramHeader(FIRST)}two`, AGENT), `${APP} ${FIRST} two`)
  assert.equal(await socket.ask(`${datagramHeader(SECOND)}two`, AGENT), `${other} ${SECOND} two`)
  write(other, '192.0.2.0/24')
  await reload()
  socket.send(`${datagramHeader(FIRST)}three`, AGENT)
  await program.waitForLine(/"reason":"untrusted-peer".*"msg":"datagram dropped"/)
  assert.deepEqual(socket.received, [])
})

test('with "--app-check close-port", the port is open while the app receives by UDP', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const words = [...UDP, '--app-check', 'close-port']
  const usual = ['-l', AGENT, '-4', APP, '-6', 'none', '--allow-all-subnets']
  const agent = await startTruepeer(backend, 'agent', [...usual, ...words], { ready: /port closed/ })
  const app = startDatagramApp(t, backend, APP)
  await agent.program.waitForLine(/"msg":"listening"/)
  const socket = openDatagrams(t, edge, `${EDGE}:0`)
  assert.equal(await socket.ask(`${datagramHeader(FIRST)}one`, AGENT), `${APP} ${FIRST} one`)
  app.close()
  await agent.program.waitForLine(/port closed/, { from: agent.program.output.length })
})

function ended(agent: Running, reason: string): Promise<number> {
  return agent.metric(`truepeer_flows_ended_total{reason="${reason}"}`)
}

test('no more than one edge may have, so that others keep their places', async (t) => {
  const { agent, socket } = await start(t, ['--max-flows-per-edge', '10'])
  for (let index = 0; index < 30; index++) await socket.ask(`${datagramHeader(`209.52.89.${index}:5001`)}x`, AGENT)
  assert.equal(await agent.metric('truepeer_flows_open'), 10)
  assert.equal(await ended(agent, 'evicted'), 20)
})

/** Clients that ask all the time, each over a socket of the edge of its own. */
class Crowd {
  readonly #sockets: TestDatagrams[]
  readonly #asked = new Set<string>()
  readonly #done: Promise<void>
  #isOver = false

  constructor(t: TestContext, edge: Host, count: number) {
    this.#sockets = Array.from({ length: count }, () => openDatagrams(t, edge, `${EDGE}:0`))
    this.#done = this.#run()
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      for (const [index, socket] of this.#sockets.entries()) {
        const client = `209.52.90.${index}:5001`
        socket.send(`${datagramHeader(client)}${turn}`, AGENT)
        this.#asked.add(`${APP} ${client} ${turn}`)
      }
      await pause(50, 'this often they ask')
    }
  }

  /** Forgets what has been asked so far. */
  forget(): void {
    this.#asked.clear()
  }

  /** Stops them, and returns the answers that have not come, with the address and port of the client as the app saw it. */
  async stop(): Promise<readonly string[]> {
    this.#isOver = true
    await this.#done
    await pause(1_000, 'answers may be late, or lost')
    for (const { received } of this.#sockets) for (const { text } of received) this.#asked.delete(text)
    return [...this.#asked]
  }
}

test('a process that takes over from another one loses nothing, and the app sees no other port', async (t) => {
  for (const mode of ['preserve-or-ephemeral', 'preserve']) {
    const words = ['--source-port', mode, '--listeners', '2', '--close-after', '1']
    const { edge, backend, agent } = await start(t, words)
    const crowd = new Crowd(t, edge, 20)
    await pause(500, 'all have flows')
    await startAgent(backend, [...UDP, ...words])
    await pause(500, 'some of them are served by the new process now')
    agent.program.signal('SIGTERM')
    await pause(1_000, 'the old one drains')
    assert.deepEqual(await crowd.stop(), [], mode)
    await agent.program.exited
  }
})

test('a process that was killed is followed by one that knows all clients by their next datagram', async (t) => {
  const { edge, backend, agent } = await start(t)
  const crowd = new Crowd(t, edge, 20)
  await pause(300, 'all have flows')
  agent.program.signal('SIGKILL')
  await agent.program.exited
  await startAgent(backend, UDP)
  crowd.forget()
  await pause(300, 'all of them have asked again')
  const unanswered = await crowd.stop()
  assert.ok(unanswered.length <= 20, unanswered.join('\n'))
})
