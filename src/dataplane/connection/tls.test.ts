import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { formatIpAddress } from '../../address/ip-address.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { DEFAULT_POLICY } from '../../tls/policy.ts'
import { TlsServer } from '../../tls/server.ts'
import { serverCertificate } from '../../tls/test-certificates.ts'
import { helloMessage, inRecords } from '../../tls/test-hello.ts'
import { TicketKeys } from '../../tls/ticket-keys.ts'
import type { Connection } from './connection-state.ts'
import { tlsRecord } from './report.ts'
import { LineRole, TestApp, TestLoop, type TestSocket } from './test-loop.ts'
import { Wire } from './test-wire.ts'

const HANDSHAKE_TIMEOUT_MS = 1_000
const DEADLINE_MS = 20_000
const CERTIFICATE = serverCertificate({ commonName: 'a.example' })

function tlsServer(): TlsServer {
  return new TlsServer({
    name: 'test',
    certificates: [CERTIFICATE],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  })
}

function start(t: TestContext, expectsHeader = false) {
  const app = new TestApp()
  const role = new LineRole(app.endpoint, expectsHeader)
  const loop = new TestLoop(role, {}, { tls: tlsServer() })
  const clients: Socket[] = []
  t.after(() => {
    for (const client of clients) client.destroy()
    loop.close()
    app.close()
  })
  const address = { host: formatIpAddress(loop.endpoint.address), port: loop.endpoint.port }
  const tcp = (): Socket => {
    const socket = connectTcp({ ...address, noDelay: true, allowHalfOpen: true })
    socket.on('error', () => undefined)
    clients.push(socket)
    return socket
  }
  const tls = (options: ConnectionOptions = {}): Client => {
    const socket = options.socket ?? tcp()
    const client = connect({ rejectUnauthorized: false, ...options, socket })
    clients.push(client)
    return new Client(client)
  }
  return { app, loop, tcp, tls }
}

/** A node client, what it has received, and how it was ended. */
class Client {
  readonly socket: TLSSocket
  readonly #parts: Buffer[] = []
  end = ''

  constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => this.#parts.push(data))
    socket.on('end', () => {
      this.end ||= 'close_notify'
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.end ||= error.code ?? error.message
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }
}

/** Lets node and the loop work until `isTrue` holds. */
async function until(loop: TestLoop, what: string, isTrue: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + DEADLINE_MS; !isTrue(); ) {
    assert.ok(performance.now() < deadlineMs, `never: ${what}`)
    loop.loop.step(0)
    await turn()
  }
}

async function accepted(loop: TestLoop, app: TestApp): Promise<TestSocket> {
  let opened = app.take()
  await until(loop, 'the app is connected to', () => {
    opened ??= app.take()
    return opened !== undefined
  })
  return opened ?? assert.fail()
}

/** Reads until the socket has said `length` bytes, or has ended; returns both. */
async function readFrom(loop: TestLoop, socket: TestSocket, length = Number.POSITIVE_INFINITY): Promise<string> {
  let text = ''
  let end = ''
  await until(loop, `${length} bytes arrive`, () => {
    const received = socket.receive()
    if (received === 'FIN' || received === 'ECONNRESET') end = received
    else if (received !== 'nothing') text += received
    return end !== '' || text.length >= length
  })
  return text + end
}

function failures(loop: TestLoop, reason: keyof typeof METRICS.tlsFailures.slots): number {
  return loop.counters.read(METRICS.tlsFailures.slots[reason])
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const only = { minVersion: version, maxVersion: version }

  test(`${version}: bytes pass both ways, decrypted and encrypted`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    client.socket.write('question')
    const backend = await accepted(loop, app)
    assert.equal(await readFrom(loop, backend, 8), 'question')
    backend.send('answer')
    await until(loop, 'the answer', () => client.text === 'answer')
    assert.equal(loop.counters.read(METRICS.tlsHandshakes.slots[version]), 1)
  })

  test(`${version}: an app that speaks first reaches the client`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    const backend = await accepted(loop, app)
    backend.send('220 ready')
    await until(loop, 'the greeting', () => client.text === '220 ready')
  })

  test(`${version}: the client's close_notify becomes FIN behind its last byte, and the app goes on`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    client.socket.end('last')
    const backend = await accepted(loop, app)
    assert.equal(await readFrom(loop, backend), 'lastFIN')
    for (const part of ['one ', 'two ', 'three']) {
      backend.send(part)
      await until(loop, part, () => client.text.endsWith(part))
    }
    assert.deepEqual([loop.ended, client.end], [[], ''])
    backend.finish()
    await until(loop, 'the end', () => client.end !== '' && loop.ended.length > 0)
    assert.deepEqual([client.text, client.end, loop.ended], ['one two three', 'close_notify', ['finished']])
  })

  test(`${version}: the app's FIN becomes close_notify behind its last byte, and the client goes on`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    client.socket.write('first ')
    const backend = await accepted(loop, app)
    backend.send('last')
    backend.finish()
    await until(loop, 'close_notify', () => client.end !== '')
    assert.deepEqual([client.text, client.end], ['last', 'close_notify'])
    client.socket.end('second')
    assert.equal(await readFrom(loop, backend), 'first secondFIN')
    await until(loop, 'the end', () => loop.ended.length > 0)
    assert.deepEqual(loop.ended, ['finished'])
  })

  test(`${version}: a FIN of the client's without close_notify is passed on as FIN, and the record says so`, async (t) => {
    const { app, loop, tcp, tls } = start(t)
    const socket = tcp()
    const client = tls({ ...only, socket })
    client.socket.write('half a mess')
    const backend = await accepted(loop, app)
    assert.equal(await readFrom(loop, backend, 11), 'half a mess')
    socket.end()
    assert.equal(await readFrom(loop, backend), 'FIN')
    backend.send('all of the answer')
    await until(loop, 'the answer', () => client.text === 'all of the answer')
    backend.finish()
    await until(loop, 'the end', () => loop.ended.length > 0)
    assert.deepEqual(loop.ended, ['client-truncated'])
  })

  test(`${version}: the app's reset reaches the client as a reset, never as close_notify`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    const backend = await accepted(loop, app)
    backend.send('last')
    await until(loop, 'last', () => client.text === 'last')
    backend.reset()
    const clockMs = performance.now()
    const loopMs = loop.nowMs
    await until(loop, 'the reset', () => {
      loop.nowMs = loopMs + performance.now() - clockMs
      return client.end !== ''
    })
    assert.deepEqual([client.end, loop.ended], ['ECONNRESET', ['backend-reset']])
  })

  test(`${version}: megabytes arrive whole in both directions while the readers are slow`, async (t) => {
    const { app, loop, tls } = start(t)
    const client = tls(only)
    const block = Buffer.alloc(3_000_000, 'position dependent bytes, 31 ch.')
    client.socket.write(block)
    const backend = await accepted(loop, app)
    let sentBytes = 0
    client.socket.pause()
    for (let turns = 0; turns < 200; turns++) {
      sentBytes += backend.send(block.subarray(sentBytes))
      loop.settle()
      await turn()
    }
    client.socket.resume()
    let received = ''
    await until(loop, 'everything', () => {
      if (sentBytes < block.length) sentBytes += backend.send(block.subarray(sentBytes))
      const part = backend.receive()
      if (part !== 'nothing') received += part
      return received.length === block.length && client.bytes.length === block.length
    })
    assert.ok(received === block.toString('latin1'))
    assert.ok(client.bytes.equals(block))
  })
}

for (const cut of [0, 3, 7, 12]) {
  test(`a header stands before the handshake; it ends exactly there, also when ${cut} bytes come first`, async (t) => {
    const { app, loop, tcp, tls } = start(t, true)
    const raw = tcp()
    let first: Buffer | undefined = Buffer.from('header\n')
    const behind = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        const bytes = first === undefined ? chunk : Buffer.concat([first, chunk])
        const pieces = first === undefined || cut === 0 ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]
        first = undefined
        void (async () => {
          for (const piece of pieces) {
            raw.write(piece)
            for (let turns = 0; turns < 5; turns++) await turn()
          }
          done()
        })()
      },
    })
    raw.on('data', (data) => behind.push(data))
    const client = tls({ socket: behind })
    client.socket.write('payload')
    const backend = await accepted(loop, app)
    assert.equal(await readFrom(loop, backend, 7), 'payload')
    backend.send('answer')
    await until(loop, 'the answer', () => client.text === 'answer')
  })
}

test('a handshake in pieces of one byte is complete in the end', async (t) => {
  const { app, loop, tcp, tls } = start(t)
  const raw = tcp()
  const slow = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      void sendSlowly(chunk).then(() => done())
    },
  })
  const sendSlowly = async (chunk: Buffer): Promise<void> => {
    for (const byte of chunk) {
      raw.write(Uint8Array.of(byte))
      await turn()
    }
  }
  raw.on('data', (data) => slow.push(data))
  const client = tls({ socket: slow })
  client.socket.write('hello')
  assert.equal(await readFrom(loop, await accepted(loop, app), 5), 'hello')
})

test('a ticket goes out with the first answer, or by itself where there is none', async (t) => {
  const { app, loop, tls } = start(t)
  for (const hasAnswer of [true, false]) {
    const client = tls()
    let tickets = 0
    client.socket.on('session', () => (tickets += 1))
    client.socket.write('?')
    const opened = await accepted(loop, app)
    assert.equal(await readFrom(loop, opened, 1), '?')
    if (hasAnswer) {
      opened.send('!')
      await until(loop, 'the answer arrives', () => client.text === '!')
    }
    await until(loop, 'a ticket arrives', () => tickets === 1)
    client.socket.destroy()
  }
})

test('garbage, HTTP, and a hello that is broken are closed and counted by what they are', async (t) => {
  const { loop, tcp } = start(t)
  const broken = inRecords(helloMessage({ versions: [] }))
  for (const [bytes, reason] of [
    [Buffer.from('SSH-2.0-client\r\n'), 'not-tls'],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'http-request'],
    [broken, 'client-hello-malformed'],
    [inRecords(helloMessage({ versions: [0x0304], cipherSuites: [0x1301] })), 'protocol-error'],
  ] as const) {
    const socket = tcp()
    let isClosed = false
    socket.on('end', () => {
      isClosed = true
    })
    socket.on('close', () => {
      isClosed = true
    })
    socket.resume()
    socket.write(bytes)
    await until(loop, reason, () => isClosed)
    assert.equal(failures(loop, reason), 1, reason)
  }
  assert.deepEqual(new Set(loop.ended), new Set(['handshake-failed']))
})

test('a name that could steer a terminal is escaped in the record', () => {
  const session = { isOpen: false, serverName: 'a\u009b2J\u2028.example' }
  const record = tlsRecord({ client: { tls: session } } as unknown as Connection)
  assert.deepEqual(record, { serverName: 'a\\u{9b}2J\\u{2028}.example' })
})

test('a client that leaves during the handshake is counted, closed or reset', async (t) => {
  const { loop, tcp } = start(t)
  const closing = tcp()
  closing.end(Uint8Array.of(22, 3, 1))
  await until(loop, 'closed', () => loop.ended.length === 1)
  assert.equal(failures(loop, 'closed'), 1)
  const resetting = tcp()
  await once(resetting, 'connect')
  resetting.write(Uint8Array.of(22, 3, 1))
  loop.settle()
  resetting.resetAndDestroy()
  await until(loop, 'reset', () => loop.ended.length === 2)
  assert.equal(failures(loop, 'reset'), 1)
})

test('what a client says behind its handshake is delivered, also where its reset is heard before either', async (t) => {
  const { app, loop, tls } = start(t)
  const wire = new Wire(loop.connect())
  const { socket } = tls({ socket: wire, minVersion: 'TLSv1.3' })
  let flight = 'nothing'
  await until(loop, 'the server answers', () => {
    flight = wire.socket.receive()
    return flight !== 'nothing'
  })
  // From here on the loop hears nothing, as where the process is stopped or busy.
  const hasWritten = new Promise<unknown>((resolve) => socket.write('message', resolve))
  wire.push(Buffer.from(flight, 'latin1'))
  assert.equal(await hasWritten, null)
  wire.socket.reset()
  assert.equal(await readFrom(loop, await accepted(loop, app)), 'messageECONNRESET')
  assert.deepEqual(loop.ended, ['client-reset'])
  assert.equal(failures(loop, 'reset'), 0)
})

test('who does not complete the handshake in time is cut off, however often it sends a byte', async (t) => {
  const { loop, tcp } = start(t)
  const socket = tcp()
  await once(socket, 'connect')
  for (const byte of [22, 3, 1, 2]) {
    socket.write(Uint8Array.of(byte))
    loop.settle()
    loop.advance(HANDSHAKE_TIMEOUT_MS / 4 - 20)
    assert.deepEqual(loop.ended, [])
  }
  loop.advance(100)
  assert.deepEqual(loop.ended, ['handshake-failed'])
  assert.equal(failures(loop, 'timeout'), 1)
})

test('renegotiation is refused, and the connection goes on', async (t) => {
  const { app, loop, tls } = start(t)
  const client = tls({ maxVersion: 'TLSv1.2' })
  client.socket.write('before ')
  const backend = await accepted(loop, app)
  assert.equal(await readFrom(loop, backend, 7), 'before ')
  let refusal = ''
  client.socket.renegotiate({ rejectUnauthorized: false }, (error) => {
    refusal = error?.message ?? 'done'
  })
  await until(loop, 'a refusal', () => refusal !== '' || client.end !== '' || loop.ended.length > 0)
  assert.notEqual(refusal, 'done')
  assert.match(`${refusal} ${client.end}`, /renegotiation/i)
})

test('a record that was changed on the way ends the connection', async (t) => {
  const { app, loop, tcp, tls } = start(t)
  const socket = tcp()
  const client = tls({ socket })
  client.socket.write('good')
  const backend = await accepted(loop, app)
  assert.equal(await readFrom(loop, backend, 4), 'good')
  socket.write(Uint8Array.of(23, 3, 3, 0, 30, ...new Array(30).fill(7)))
  assert.equal(await readFrom(loop, backend), 'ECONNRESET')
  assert.deepEqual(loop.ended, ['client-reset'])
})

/** Connections to come get other certificates. */
function replaceEntrance({ listener }: TestLoop, app: TestApp): void {
  const old = listener.entrance
  listener.entrance = Object.assign(new LineRole(app.endpoint, old.expectsHeader), { tls: tlsServer() })
  old.uses.retire()
}

test('a retired set of certificates serves the connections that began with it', async (t) => {
  const { app, loop, tls } = start(t)
  const client = tls()
  await until(loop, 'the client is taken', () => loop.loop.openCount === 1)
  replaceEntrance(loop, app)
  client.socket.write('hello')
  assert.equal(await readFrom(loop, await accepted(loop, app), 5), 'hello')
})

test('it does so, too, where the header of a load balancer comes after it was retired', async (t) => {
  const { app, loop, tcp, tls } = start(t, true)
  const socket = tcp()
  const gone = tcp()
  await until(loop, 'both are taken', () => loop.loop.openCount === 2)
  replaceEntrance(loop, app)
  // Who leaves first does not take the certificates along.
  gone.destroy()
  await until(loop, 'one has left', () => loop.loop.openCount === 1)
  socket.write('PROXY TCP4 192.0.2.7 192.0.2.8 1007 443\r\n')
  const client = tls({ socket })
  client.socket.write('hello')
  assert.equal(await readFrom(loop, await accepted(loop, app), 5), 'hello')
})
