import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readProxyHeader } from '../../src/proxy-protocol/read-proxy-header.ts'
import { AGENT, APP, CLIENT, CLIENT6, headerFrom, startAgent } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { headerV2, piecesOf, streamVectors } from '../rig/header-vectors.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'

/** Long enough that each piece is a segment and a read of its own. */
const PAUSE_MS = 5
const PAYLOAD = 'GET / HTTP/1.1\r\n\r\n'

const bytesOf = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte))

for (const { version, header, source } of [
  { version: 1, header: Buffer.from(headerFrom(CLIENT, 51_000)), source: `${CLIENT}:51000` },
  { version: 1, header: Buffer.from(headerFrom(CLIENT6, 51_000)), source: `[${CLIENT6}]:51000` },
  { version: 2, header: headerV2(`${CLIENT}:51000`, AGENT), source: `${CLIENT}:51000` },
  { version: 2, header: headerV2(`[${CLIENT6}]:51000`, '[2001:db8:10::2]:110'), source: `[${CLIENT6}]:51000` },
]) {
  test(`a version ${version} header of ${source} may come byte by byte, or split at any byte`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const { seen } = await startRecordingApp(backend)
    await startAgent(backend, ['--source-port', 'preserve'])

    const pieces = [...bytesOf(header), PAYLOAD]
    assert.equal(await exchange(edge, AGENT, pieces, PAUSE_MS), answerOf(source, PAYLOAD), 'byte by byte')

    // The source differs at every boundary by its port, which makes no header longer or shorter.
    const splits = Array.from({ length: header.length - 1 }, (_, index) => ({ end: index + 1, port: 51_001 + index }))
    await Promise.all(
      splits.map(async ({ end, port }) => {
        const whole = Buffer.concat([withPort(header, version, port), Buffer.from(PAYLOAD)])
        const answer = await exchange(edge, AGENT, [whole.subarray(0, end), whole.subarray(end)], PAUSE_MS)
        assert.equal(answer, answerOf(source.replace(/51000$/, `${port}`), PAYLOAD), `split after ${end} bytes`)
      }),
    )
    assert.equal(seen.length, 1 + splits.length)
  })
}

/** The same header with another source port. */
function withPort(header: Buffer, version: number, port: number): Buffer {
  if (version === 1) return Buffer.from(header.toString().replace(' 51000 ', ` ${port} `))
  const copy = Buffer.from(header)
  copy.writeUInt16BE(port, header.length - 4)
  return copy
}

test('what comes in the same segment as the header reaches an app that has not accepted yet', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const app = backend.start(process.execPath, ['-e', SLOW_APP])
  await app.waitForLine(/ready/)
  app.signal('SIGSTOP')
  await eventually('the app is stopped', () => /^State:\s+T/m.test(readFileSync(`/proc/${app.pid}/status`, 'utf8')))
  const agent = await startAgent(backend)
  const payload = 'x'.repeat(20_000)
  const answer = exchange(edge, AGENT, headerFrom(CLIENT) + payload)
  await eventually('the agent has the connection', async () => (await agent.metric('truepeer_connections_open')) === 1)
  app.signal('SIGCONT')
  assert.equal(await answer, `${CLIENT} 51234 20000`)
})

const SLOW_APP = `require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  let bytes = 0
  socket.on('data', (chunk) => { bytes += chunk.length })
  socket.on('end', () => socket.end(socket.remoteAddress + ' ' + socket.remotePort + ' ' + bytes))
}).listen(${APP.split(':')[1]}, '127.0.0.1', () => console.log('ready'))`

test('what comes in the same segment as the header reaches an app that is started later', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const agent = await startAgent(backend)
  const answer = exchange(edge, AGENT, headerFrom(CLIENT) + PAYLOAD)
  await eventually('an attempt has failed', async () => (await agent.metric('truepeer_connect_failures_total')) > 0)
  await startRecordingApp(backend)
  assert.equal(await answer, answerOf(`${CLIENT}:51234`, PAYLOAD))
})

test('every valid header of the vectors gives the app its source and what follows it, split as given', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend)
  await startAgent(backend, ['--header-length-max', '60000'])
  const vectors = streamVectors().filter(
    ({ expect, policy, chunks }) =>
      expect.result === 'accept' &&
      expect.transport === 'STREAM' &&
      expect.family !== 'UNIX' &&
      policy === undefined &&
      chunks.join('').length < 120_000,
  )
  assert.ok(vectors.length > 30)
  // One after the other: most name the same source.
  for (const vector of vectors) {
    if (vector.expect.result !== 'accept') continue
    const { src, sport, rest } = vector.expect
    const address = src?.replace(/^::ffff:(?=\d+\.)/, '') ?? ''
    const answer = await exchange(edge, AGENT, piecesOf(vector), PAUSE_MS)
    const port = sport === 0 ? answer.replace(/ .*/, '').replace(/.*:/, '') : sport
    const source = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    assert.equal(answer, answerOf(source, Buffer.from(rest, 'hex')), `${vector.id} ${vector.name}`)
  }
})

test('every malformed header is refused, counted and never reaches the app; clients are served meanwhile', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const { seen } = await startRecordingApp(backend)
  const agent = await startAgent(backend, ['--header-length-max', '60000'])
  const vectors = streamVectors().filter(({ expect }) => expect.result === 'reject')
  assert.ok(vectors.length > 90)
  const started = await agent.metric('process_start_time_seconds')
  const threads = readFileSync(`/proc/${agent.program.pid}/status`, 'utf8').match(/^Threads:.*/m)?.[0]

  const answers = vectors.map((vector) => exchange(edge, AGENT, piecesOf(vector), 1))
  assert.equal(await exchange(edge, AGENT, headerFrom(CLIENT, 51_001) + PAYLOAD), answerOf(`${CLIENT}:51001`, PAYLOAD))
  for (const [index, answer] of (await Promise.all(answers)).entries()) assert.equal(answer, '', vectors[index].id)
  assert.equal(await exchange(edge, AGENT, headerFrom(CLIENT, 51_002) + PAYLOAD), answerOf(`${CLIENT}:51002`, PAYLOAD))

  assert.equal(seen.length, 2)
  for (const [reason, count] of countReasons(vectors.map(({ expect }) => expect))) {
    assert.equal(await agent.metric(`truepeer_headers_malformed_total{reason="${reason}"}`), count, reason)
  }
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="header-malformed"}'), vectors.length)
  assert.equal(await agent.metric('process_start_time_seconds'), started, 'the same process')
  assert.equal(readFileSync(`/proc/${agent.program.pid}/status`, 'utf8').match(/^Threads:.*/m)?.[0], threads)
})

function countReasons(
  expectations: readonly { readonly result: string; readonly reason?: string }[],
): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { reason = '' } of expectations) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return counts
}

test('an unfinished header that ends is told apart from none at all, and neither reaches the app', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const { seen } = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  const vectors = streamVectors().filter((vector) => {
    const bytes = Buffer.concat(piecesOf(vector))
    return readProxyHeader(bytes, 0, bytes.length, { v2LengthMax: 4096 }).kind === 'incomplete'
  })
  assert.ok(vectors.length > 15)
  for (const vector of vectors) assert.equal(await exchange(edge, AGENT, piecesOf(vector), 1), '', vector.id)
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="header-truncated"}'), vectors.length)
  assert.equal(await exchange(edge, AGENT, []), '')
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="header-missing"}'), 1)
  assert.equal(seen.length, 0)
})

test('a v4-mapped source reaches the IPv4 target as that IPv4 address', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await startAgent(backend)
  for (const header of [
    `PROXY TCP6 ::ffff:${CLIENT} ::ffff:${BACKEND} 51003 110\r\n`,
    'PROXY TCP6 ::ffff:d134:5804 ::ffff:a80:2 51003 110\r\n',
    headerV2(`[::ffff:${CLIENT}]:51003`, `[::ffff:${BACKEND}]:110`),
  ]) {
    assert.equal(await exchange(edge, AGENT, [header, PAYLOAD]), answerOf(`${CLIENT}:51003`, PAYLOAD), `${header}`)
  }
})
