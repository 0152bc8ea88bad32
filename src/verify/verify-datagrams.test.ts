import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { type TestContext, test } from 'node:test'
import { type Endpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatDatagramResult } from './format-result.ts'
import { type DatagramResult, verifyDatagrams } from './verify-datagrams.ts'
import { answerDatagrams } from './whoami-datagrams.ts'
import { answerToDatagram } from './whoami-protocol.ts'

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text)
  assert.ok(parsed)
  return parsed
}

/** Starts whoami and returns its port, and what it has printed. */
async function whoami(t: TestContext, listen: string): Promise<{ readonly port: number; readonly lines: string[] }> {
  const lines: string[] = []
  const sockets = await answerDatagrams(endpoint(listen), (line) => lines.push(line))
  t.after(() => {
    for (const socket of sockets) socket.close()
  })
  return { port: sockets[0].address().port, lines }
}

async function verifyAt(host: string, port: number, as?: string): Promise<DatagramResult> {
  return await verifyDatagrams({ host, port, as: as === undefined ? undefined : endpoint(as), isClientFirst: false })
}

test('datagrams to whoami come back with the address of this client, long ones too, over both families', async (t) => {
  for (const [listen, host] of [
    ['127.0.0.1:0', '127.0.0.1'],
    ['[::1]:0', '::1'],
  ] as const) {
    const { port, lines } = await whoami(t, listen)
    const result = await verifyAt(host, port)
    assert.deepEqual(result.problems, [])
    assert.equal(result.app.kind, 'whoami')
    assert.ok(result.app.kind === 'whoami' && result.app.isPortKept)
    assert.deepEqual([result.app.answered, result.app.bytesMax], [{ count: 20, of: 20 }, 60_000])
    assert.deepEqual(lines, [`peer ${result.client} over UDP`], 'each peer is told of once')
    const text = formatDatagramResult(result)
    assert.match(text, /^sent +datagrams to .*\napp +sees .*: this client\nlatency .*\nanswered +20 of 20 datagrams/)
  }
})

test('a header that nobody has taken reaches the app, which sees another client', async (t) => {
  const { port, lines } = await whoami(t, '127.0.0.1:0')
  const { app, client, problems } = await verifyAt('127.0.0.1', port, '209.52.88.4:1234')
  assert.equal(client, '209.52.88.4:1234')
  assert.ok(app.kind === 'whoami' && app.header === 'PROXY 2' && app.answered.count === 20)
  assert.match(
    problems.join(),
    /^The app sees 127\.0\.0\.1:\d+, .*; the agent will show it,A PROXY header reached the app/,
  )
  assert.match(lines.join(), /^peer 127\.0\.0\.1:\d+ over UDP sent a header: PROXY 2$/)
})

test('who says that it sends from port 0 gets no answer, and takes whoami away from nobody', async (t) => {
  const lines: string[] = []
  const [socket] = await answerDatagrams(endpoint('127.0.0.1:0'), (line) => lines.push(line))
  t.after(() => socket.close())
  // Only a raw socket could send this.
  const sender = { address: '127.0.0.1', family: 'IPv4', port: 0, size: 6 }
  assert.doesNotThrow(() => socket.emit('message', Buffer.from('whoami'), sender))
  assert.deepEqual(lines, [])
  assert.deepEqual((await verifyAt('127.0.0.1', socket.address().port)).problems, [])
})

test('on every address of the host, each answers for itself', async (t) => {
  const own = Object.values(networkInterfaces())
    .flat()
    .filter((one) => one?.family === 'IPv4')
  const { port } = await whoami(t, '0.0.0.0:33033')
  for (const one of own) assert.deepEqual((await verifyAt(one?.address ?? '', port)).problems, [])
})

test('a port that is closed, an app that is silent, one that answers something else, and a network that drops what is long, are told apart', async (t) => {
  const other = createSocket('udp4').bind(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  other.on('message', (_datagram, peer) => other.send('no', peer.port, peer.address))
  assert.deepEqual((await verifyAt('127.0.0.1', other.address().port)).app, { kind: 'other' })
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address()
  const narrow = createSocket('udp4').bind(0, '127.0.0.1')
  await once(narrow, 'listening')
  narrow.on('message', (datagram, peer) => {
    const { answer } = answerToDatagram(datagram, `${peer.address}:${peer.port}`)
    if (datagram.length <= 1_200 && answer !== undefined) narrow.send(answer, peer.port, peer.address)
  })
  const [quiet, refused, short] = await Promise.all([
    verifyAt('127.0.0.1', port),
    verifyAt('127.0.0.1', await closedPort()),
    verifyAt('127.0.0.1', narrow.address().port),
  ])
  assert.match(quiet.problems.join(), /^Nothing came back within 3 s; is a backend healthy/)
  assert.match(refused.problems.join(), /^Nobody receives datagrams at this port; /)
  assert.ok(short.app.kind === 'whoami' && short.app.bytesMax === 1_200)
  assert.match(short.problems.join(), /^Datagrams of 1472 bytes do not come back: /)
  silent.close()
  narrow.close()
})

async function closedPort(): Promise<number> {
  const socket: Socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

test('whoami answers nothing that it says itself, so that two of them, or an echo, do not go on for ever', () => {
  const peer = '192.0.2.1:7'
  for (const question of ['whoami', '', 'ping 1', 'PROXY UNKNOWN\r\nping 1']) {
    const { answer } = answerToDatagram(Buffer.from(question), peer)
    assert.ok(answer !== undefined)
    assert.equal(answerToDatagram(Buffer.from(answer), '192.0.2.2:7').answer, undefined, question)
  }
  const simple = Buffer.concat([Buffer.from('56ec', 'hex'), Buffer.alloc(36), Buffer.from('ping 2')])
  assert.equal(answerToDatagram(simple, peer).answer, 'header simple proxy protocol\npong 2')
  assert.equal(answerToDatagram(Buffer.from('PROXY UNKNOWN\r\nping 3'), peer).answer, 'header PROXY 1\npong 3')
  const cut = Buffer.from('0d0a0d0a000d0a515549540a2112ffff', 'hex')
  assert.equal(answerToDatagram(cut, peer).answer, 'header PROXY 2\ntruepeer whoami 1 peer 192.0.2.1:7')
})
