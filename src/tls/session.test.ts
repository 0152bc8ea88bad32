import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produced, producedBytes, received } from '../linux/openssl.ts'
import { TlsClient } from './client.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { TlsServer } from './server.ts'
import { TlsSession } from './session.ts'
import { serverCertificate } from './test-certificates.ts'
import { TicketKeys } from './ticket-keys.ts'

const SERVER = new TlsServer({
  name: 'app',
  certificates: [serverCertificate({ commonName: 'app.example' })],
  policy: DEFAULT_POLICY,
  protocols: [],
  tickets: new TicketKeys().table,
  handshakeTimeoutMs: 1_000,
})
const CLIENT = new TlsClient({ serverName: 'app.example', rootsPem: '' })
const NOTHING = new Uint8Array(0)
const ROOM = 128 * 1024

/** Puts bytes behind what the session has kept; returns where they end. */
function put(session: TlsSession, bytes: Uint8Array): number {
  const front = session.restore()
  received.set(bytes, front)
  return front + bytes.length
}

function step(session: TlsSession, bytes: Uint8Array): { readonly step: string; readonly answer: Uint8Array } {
  return { step: session.step(put(session, bytes)), answer: produced.slice(0, producedBytes()) }
}

/** What a session makes of ciphertext, in calls with so much room, for as long as it has more. */
function receive(
  session: TlsSession,
  bytes: Uint8Array,
  room = ROOM,
): { readonly text: string; readonly calls: number } {
  const plain = new Uint8Array(room)
  let text = ''
  let calls = 0
  for (let end = put(session, bytes); ; end = session.restore()) {
    const count = session.receive(end, plain, 0, room)
    text += Buffer.from(plain.subarray(0, count)).toString('latin1')
    calls += 1
    if (!session.hasMore) return { text, calls }
  }
}

function send(session: TlsSession, text: string): Uint8Array {
  const bytes = Buffer.from(text, 'latin1')
  assert.ok(session.send(bytes, 0, bytes.length))
  return produced.slice(0, producedBytes())
}

function open() {
  const client = CLIENT.open()
  assert.ok(client)
  const server = TlsSession.accepting(SERVER)
  const flight = step(server, step(client, NOTHING).answer)
  const last = step(client, flight.answer)
  const end = step(server, last.answer)
  assert.deepEqual([last.step, end.step], ['open', 'open'])
  // Tickets.
  receive(client, end.answer)
  return { client, server }
}

test('a handshake goes on however its bytes are cut, waits for the socket meanwhile, and says when it is open', (t) => {
  const client = CLIENT.open()
  assert.ok(client)
  const server = TlsSession.accepting(SERVER)
  t.after(() => {
    client.close()
    server.close()
  })
  /** Gives one byte after the other; returns what came out, and the last step. */
  const trickle = (session: TlsSession, bytes: Uint8Array) => {
    const answers: Uint8Array[] = []
    let last = 'wait'
    for (const [index, byte] of bytes.entries()) {
      const done = step(session, Uint8Array.of(byte))
      last = done.step
      answers.push(done.answer)
      assert.equal(session.hasMore, false, `byte ${index}: nothing is left here`)
      if (index < bytes.length - 1) assert.equal(last, 'wait', `byte ${index}`)
    }
    return { last, answer: Buffer.concat(answers) }
  }
  const hello = step(client, NOTHING)
  assert.equal(hello.step, 'wait')
  const flight = trickle(server, hello.answer)
  assert.equal(flight.last, 'wait')
  assert.deepEqual([server.isOpen, server.serverName], [false, 'app.example'])
  const finished = trickle(client, flight.answer)
  assert.equal(finished.last, 'open')
  const end = trickle(server, finished.answer)
  assert.equal(end.last, 'open')
  assert.deepEqual([client.isOpen, server.isOpen], [true, true])
  assert.deepEqual([client.version, server.version], ['TLSv1.3', 'TLSv1.3'])
  assert.deepEqual([client.endsWithTickets, server.endsWithTickets], [false, true])
  assert.deepEqual([client.isResumed, server.isResumed], [false, false])
})

test('what was sent arrives whole, cut anywhere, in whatever room there is', () => {
  const { client, server } = open()
  const text = 'x'.repeat(20_000)
  for (const at of [1, 4, 5, 6, 100, 16_000]) {
    const sent = send(client, text)
    assert.equal(receive(server, sent.slice(0, at)).text + receive(server, sent.slice(at)).text, text, `${at}`)
  }
  const small = receive(server, send(client, text), 1_000)
  assert.equal(small.text, text)
  assert.ok(small.calls >= 20, 'no call takes more than there is room for')
})

test('what is received is put where there is room, and counted from there, however the call ends', () => {
  const { client, server } = open()
  const plain = new Uint8Array(ROOM)
  const START = 100
  const take = (bytes: Uint8Array, room = ROOM): string => {
    const count = server.receive(put(server, bytes), plain, START, room)
    return Buffer.from(plain.subarray(START, START + count)).toString('latin1')
  }
  assert.equal(take(send(client, 'all of it')), 'all of it')
  assert.equal(take(send(client, 'a part'), START + 2), 'a ')
  assert.equal(take(NOTHING), 'part')
  const next = send(client, 'half')
  assert.equal(take(next.slice(0, 7)), '')
  assert.equal(take(next.slice(7)), 'half')
  const last = send(client, 'the end')
  client.finish()
  assert.equal(take(Buffer.concat([last, produced.slice(0, producedBytes())])), 'the end')
  assert.equal(server.hasEnded, true)
  const broken = open()
  const wrong = Buffer.concat([send(broken.client, 'good'), Uint8Array.of(23, 3, 3, 0, 32, ...new Uint8Array(32))])
  const count = broken.server.receive(put(broken.server, wrong), plain, START, ROOM)
  assert.deepEqual([count, broken.server.failure], ['good'.length, 'protocol-error'])
  assert.ok(
    plain.subarray(0, START).every((byte) => byte === 0),
    'nothing stands before it',
  )
})

test('a session that has given all it has does not ask to be called again', () => {
  const { client, server } = open()
  const { text, calls } = receive(server, send(client, 'hello'))
  assert.deepEqual([text, calls, server.hasMore], ['hello', 1, false])
  assert.equal(server.restore(), 0)
  assert.equal(receive(server, NOTHING).text, '')
  assert.equal(server.failure, undefined, 'no bytes are no fault')
})

test('close_notify is an end, said once, behind everything that was sent', () => {
  const { client, server } = open()
  const last = send(client, 'bye')
  client.finish()
  const notify = produced.slice(0, producedBytes())
  assert.ok(notify.length > 0 && client.isFinished)
  client.finish()
  assert.equal(producedBytes(), 0)
  assert.equal(receive(server, Buffer.concat([last, notify])).text, 'bye')
  assert.equal(server.hasEnded, true)
  assert.equal(server.failure, undefined)
  assert.equal(receive(server, last).text, '', 'nothing comes behind it')
  // The other direction goes on.
  assert.equal(receive(client, send(server, 'one more')).text, 'one more')
  assert.equal(client.hasEnded, false)
})

test('a byte that was changed on the way breaks the session, and nothing of its record is given', () => {
  const { client, server } = open()
  const bytes = send(client, 'hello')
  bytes[bytes.length - 1] ^= 1
  assert.equal(receive(server, bytes).text, '')
  assert.equal(server.failure, 'protocol-error')
  server.finish()
  assert.equal(producedBytes(), 0, 'a broken session says no orderly end')
  assert.equal(server.isFinished, false)
})

test('a session without a handle sends and receives nothing', () => {
  const waiting = TlsSession.accepting(SERVER)
  assert.equal(waiting.send(Buffer.from('early'), 0, 5), false)
  assert.equal(waiting.failure, 'protocol-error')
  assert.equal(waiting.info(), undefined)
  assert.equal(waiting.isResumed, false)
  waiting.close()
  const { client } = open()
  client.close()
  client.close()
  assert.equal(client.receive(0, new Uint8Array(8), 0, 8), 0)
  assert.equal(client.send(Buffer.from('late'), 0, 4), false)
})

test('who speaks no TLS gets an alert only where a hello was begun', () => {
  for (const [bytes, failure, alert] of [
    [Buffer.from('GET / HTTP/1.1\r\n'), 'http-request', []],
    [Buffer.from('SSH-2.0-x\r\n'), 'not-tls', []],
    // decode_error (50), fatal (2), RFC 8446 §6.2.
    [Uint8Array.of(22, 3, 1, 0, 4, 2, 0, 0, 0), 'client-hello-malformed', [21, 3, 1, 0, 2, 2, 50]],
  ] as const) {
    const session = TlsSession.accepting(SERVER)
    const { step: result, answer } = step(session, bytes)
    assert.deepEqual([result, session.failure, [...answer]], ['failed', failure, alert])
    session.close()
  }
})

test('the work of a call is what its records cost: 1 KiB at least for each', () => {
  const { client, server } = open()
  const tiny = Buffer.concat(Array.from({ length: 10 }, () => Buffer.from(send(client, 'x'))))
  assert.equal(receive(server, tiny).text, 'x'.repeat(10))
  assert.equal(server.work, 10 * 1_024)
  receive(server, send(client, 'x'.repeat(5_000)))
  assert.equal(server.work, 5_000, 'of this call alone')
})
