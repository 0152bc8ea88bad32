import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentStatus } from '../../src/telemetry/agent-status.ts'
import { AGENT, APP, APP6, CLIENT, CLIENT6, headerFrom, startAgent } from '../rig/agent.ts'
import { datagramHeader, localHeader } from '../rig/datagram-headers.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const FIRST = `${CLIENT}:5001`
const SECOND = '209.52.88.5:5001'
const SIXTH = `[${CLIENT6}]:5001`
/** With a header of 28 bytes in front of it, an IPv4 datagram cannot be larger. */
const PAYLOAD_MAX = 65_507 - 28

test('one port serves clients by UDP and TCP, and the app sees each of them', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  const app = startDatagramApp(t, backend, APP)
  startDatagramApp(t, backend, APP6)
  const agent = await startAgent(backend, ['-p', 'tcp,udp', '-v', '2', '--close-after', '1'])
  const socket = openDatagrams(t, edge, `${EDGE}:0`)
  const dropped = (reason: string): Promise<number> =>
    agent.metric(`truepeer_datagrams_dropped_total{reason="${reason}"}`)

  await t.test('two clients over one socket of the edge are two, also by the other protocol and family', async () => {
    assert.equal(await socket.ask(`${datagramHeader(FIRST)}one`, AGENT), `${APP} ${FIRST} one`)
    assert.equal(await socket.ask(`${datagramHeader(SECOND)}two`, AGENT), `${APP} ${SECOND} two`)
    assert.equal(await socket.ask(`${datagramHeader(SIXTH)}six`, AGENT), `${APP6} ${SIXTH} six`)
    assert.equal(await socket.ask(`${datagramHeader(FIRST)}three`, AGENT), `${APP} ${FIRST} three`)
    assert.equal(await exchange(edge, AGENT, [headerFrom(CLIENT, 5_001), 'x']), answerOf(FIRST, 'x'))
  })

  await t.test('the answer comes to the socket from which the client was heard last', async () => {
    const newer = openDatagrams(t, edge, `${EDGE}:0`)
    assert.equal(await newer.ask(`${datagramHeader(FIRST)}four`, AGENT), `${APP} ${FIRST} four`)
    assert.deepEqual(socket.received, [])
  })

  await t.test('each of two sockets that name no client gets its own answer', async () => {
    const others = [openDatagrams(t, edge, `${EDGE}:6001`), openDatagrams(t, edge, `${EDGE}:6002`)]
    for (const other of others) other.send(`${localHeader()}hello`, AGENT)
    const answers = await Promise.all(others.map((other) => other.next()))
    assert.deepEqual(
      answers.map(({ text }) => text),
      [`${APP} ${EDGE}:6001 hello`, `${APP} ${EDGE}:6002 hello`],
    )
  })

  await t.test('empty datagrams and the largest ones pass both ways', async () => {
    const echo = openDatagrams(t, backend, '127.0.0.1:113')
    const words = ['-l', `${BACKEND}:113`, '-4', '127.0.0.1:113', '-6', 'none', '-p', 'udp', '--allow-all-subnets']
    const own = await startTruepeer(backend, 'agent', words)
    socket.send(datagramHeader(FIRST), `${BACKEND}:113`)
    assert.deepEqual(await echo.next(), { text: '', from: FIRST })
    echo.send('', FIRST)
    assert.deepEqual(await socket.next(), { text: '', from: `${BACKEND}:113` })
    const large = 'x'.repeat(PAYLOAD_MAX)
    socket.send(`${datagramHeader(FIRST)}${large}`, `${BACKEND}:113`)
    assert.equal((await echo.next()).text, large)
    echo.send('y'.repeat(65_507), FIRST)
    assert.equal((await socket.next()).text.length, 65_507)
    assert.equal(await own.metric('truepeer_datagrams_total{direction="client-to-backend"}'), 2)
    await own.program.stop()
  })

  await t.test('what has no valid header, and what may not be impersonated, reaches nobody', async () => {
    const before = app.seen.length
    socket.send('hello', AGENT)
    socket.send(`PROXY UDP4 ${CLIENT} ${BACKEND} 5001 110\r\nhello`, AGENT)
    socket.send(`${datagramHeader('127.0.0.1:5001')}hello`, AGENT)
    socket.send(`${datagramHeader(`${BACKEND}:5001`)}hello`, AGENT)
    await eventually('all are counted', async () => (await dropped('source-refused')) === 2)
    assert.equal(await dropped('header-missing'), 1)
    assert.equal(await dropped('header-malformed'), 1)
    assert.equal(await agent.metric('truepeer_sources_refused_total{reason="src-own-address"}'), 1)
    assert.equal(app.seen.length, before)
  })

  await t.test('flows that are silent end, each with a record, and the status counts them', async () => {
    await eventually('all flows end', async () => (await agent.metric('truepeer_flows_open')) === 0)
    const { listeners, flows } = JSON.parse(await agent.read('/status')) as AgentStatus
    assert.deepEqual(
      listeners.map(({ protocol }) => protocol),
      ['tcp', 'udp'],
    )
    // On a busy machine, a client may be forgotten while it is still needed.
    assert.ok(flows !== undefined && flows.opened >= 5)
    assert.deepEqual([flows.open, flows.ended], [0, { idle: flows.opened }])
    const records = (): string[] => agent.program.texts().filter((line) => line.includes('"msg":"flow"'))
    await eventually('the log has come', () => records().length === flows.opened)
    const ofFirst = records()
      .filter((line) => line.includes(FIRST))
      .map((line) => JSON.parse(line))
    assert.deepEqual([ofFirst[0].client, ofFirst[0].target, ofFirst[0].end], [FIRST, APP, 'idle'])
    const sum = (field: string): number => ofFirst.reduce((total, record) => total + record[field], 0)
    assert.deepEqual([sum('datagramsFromClient'), sum('datagramsFromBackend'), sum('bytesFromClient')], [3, 3, 12])
  })
})
