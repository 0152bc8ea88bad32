import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ConnectionOptions, connect, createSecureContext, TLSSocket } from 'node:tls'
import { produced } from '../../linux/openssl.ts'
import { TlsClient } from '../../tls/client.ts'
import type { HandshakeFailure } from '../../tls/handshake-names.ts'
import { DEFAULT_POLICY, type SslPolicy } from '../../tls/policy.ts'
import { TlsServer } from '../../tls/server.ts'
import { issue, serverCertificate } from '../../tls/test-certificates.ts'
import { RECORD_WRITER_SUITE, RecordWriter } from '../../tls/test-records.ts'
import { TicketKeys } from '../../tls/ticket-keys.ts'
import type { BackendTls } from './connection-state.ts'
import { LineRole, TestApp, TestLoop, type TestSocket } from './test-loop.ts'
import { Wire } from './test-wire.ts'

const DEADLINE_MS = 20_000
const CERTIFICATE = serverCertificate({ commonName: 'a.example' })
const APP = issue({ commonName: 'app.example', names: ['app.example'] })
/** Has one group that a client may offer and send no share for: the server then asks for a second hello. */
const ONE_GROUP: SslPolicy = { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2', customFeatures: [] }
const HANDSHAKE = 22
const RECORD_HEADER_BYTES = 5

function start(t: TestContext, policy: SslPolicy = DEFAULT_POLICY) {
  const app = new TestApp()
  const role = new LineRole(app.endpoint, false)
  const failures: (HandshakeFailure | undefined)[] = []
  role.onEnd = (connection) => failures.push(connection?.client.tls?.failure)
  const tls = new TlsServer({
    name: 'test',
    certificates: [CERTIFICATE],
    policy,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 1_000,
  })
  const loop = new TestLoop(role, {}, { tls })
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, loop, failures }
}

/** One of its writes goes out in records of one byte. */
class TinyWire extends Wire {
  readonly #tinyWrite: number
  #writes = 0

  constructor(socket: TestSocket, tinyWrite = -1) {
    super(socket)
    this.#tinyWrite = tinyWrite
  }

  protected override transmit(bytes: Buffer): void {
    super.transmit(this.#writes === this.#tinyWrite ? inTinyRecords(bytes) : bytes)
    this.#writes += 1
  }

  /** Hands on what has arrived. */
  pump(): void {
    const text = this.socket.receive()
    if (text === 'ECONNRESET' || text === 'FIN') this.push(null)
    else if (text !== 'nothing') this.push(Buffer.from(text, 'latin1'))
  }
}

/** The same records, but those of the handshake cut into records of one byte. */
function inTinyRecords(records: Buffer): Buffer {
  const parts: Uint8Array[] = []
  for (let at = 0; at < records.length; ) {
    const payloadStart = at + RECORD_HEADER_BYTES
    const end = payloadStart + records.readUInt16BE(at + 3)
    if (records[at] !== HANDSHAKE) parts.push(records.subarray(at, end))
    else
      for (const byte of records.subarray(payloadStart, end))
        parts.push(Uint8Array.of(22, 3, records[at + 2], 0, 1, byte))
    at = end
  }
  return Buffer.concat(parts)
}

/** A client whose handshake is node's, and whose records are then the test's. */
class RawClient {
  readonly wire: TinyWire
  readonly #tls: TLSSocket
  #secret = ''
  isOpen = false

  constructor(loop: TestLoop, options: ConnectionOptions = {}, tinyWrite = -1) {
    this.wire = new TinyWire(loop.connect(), tinyWrite)
    this.#tls = connect({ socket: this.wire, ciphers: RECORD_WRITER_SUITE, rejectUnauthorized: false, ...options })
    this.#tls.on('error', () => undefined)
    this.#tls.on('keylog', (line: Buffer) => {
      const [what, , secret] = line.toString().trim().split(' ')
      if (what === 'CLIENT_TRAFFIC_SECRET_0') this.#secret = secret
    })
    this.#tls.on('secureConnect', () => {
      this.isOpen = true
    })
  }

  records(): RecordWriter {
    return new RecordWriter(Buffer.from(this.#secret, 'hex'))
  }
}

/** Lets node and the loop work until `isTrue` holds; returns the number of the loop's steps. */
async function until(loop: TestLoop, what: string, wire: TinyWire, isTrue: () => boolean): Promise<number> {
  let steps = 0
  for (const deadlineMs = performance.now() + DEADLINE_MS; !isTrue(); steps++) {
    assert.ok(performance.now() < deadlineMs, `never: ${what}`)
    loop.loop.step(0)
    wire.pump()
    // Node's TLS takes several turns for one flight.
    for (let turns = 0; turns < 5; turns++) await turn()
  }
  return steps
}

async function establish(loop: TestLoop, app: TestApp) {
  const client = new RawClient(loop)
  await until(loop, 'a handshake', client.wire, () => client.isOpen)
  const backend = loop.accept(app)
  loop.settle()
  const connection = loop.loop.openConnections().at(-1) ?? assert.fail()
  const payloadBytes = (): number => connection.client.receivedBytes
  return { socket: client.wire.socket, records: client.records(), backend, payloadBytes }
}

for (const { what, flood, payloadsPerStepMax } of [
  {
    what: 'records of one byte',
    flood: (records: RecordWriter) => Array.from({ length: 20_000 }, () => records.payload('x')),
    // Three turns: for what was left, and for an event of each socket. The last read of each may come on top.
    payloadsPerStepMax: 3 * 383,
  },
  {
    what: 'KeyUpdates, with a byte between so many,',
    flood: (records: RecordWriter) =>
      Array.from({ length: 400 }, () => Buffer.concat([records.keyUpdates(32), records.payload('x')])),
    payloadsPerStepMax: 5,
  },
]) {
  test(`a client with many ${what} keeps no other from its turn, and is served in the end`, async (t) => {
    const { app, loop } = start(t)
    const busy = await establish(loop, app)
    const other = await establish(loop, app)
    const pieces = flood(busy.records)
    const bytes = Buffer.concat(pieces)
    // All of it is there before the loop is stepped.
    assert.equal(busy.socket.send(bytes), bytes.length)
    other.socket.send(other.records.payload('ping'))
    loop.loop.step(0)
    assert.equal(other.backend.receive(), 'ping')
    assert.ok(busy.payloadBytes() <= payloadsPerStepMax, `${busy.payloadBytes()} at first`)
    for (let steps = 1; busy.payloadBytes() < pieces.length; steps++) {
      assert.ok(steps < pieces.length, 'it goes on')
      const before = busy.payloadBytes()
      loop.loop.step(0)
      const count = busy.payloadBytes() - before
      assert.ok(count <= payloadsPerStepMax, `${count} in a step`)
    }
    loop.until('all arrives', () => {
      busy.backend.receive()
      return busy.backend.receivedBytes === pieces.length
    })
    assert.deepEqual(loop.ended, [])
  })
}

test('65 KeyUpdates in a row end the connection as a violation of the protocol, behind what was said before', async (t) => {
  const { app, loop, failures } = start(t)
  const { socket, records, backend } = await establish(loop, app)
  socket.send(Buffer.concat([records.payload('last'), records.keyUpdates(64)]))
  loop.settle()
  assert.deepEqual(loop.ended, [])
  socket.send(records.keyUpdates(1))
  assert.equal(loop.read(backend), 'last')
  loop.until('the end', () => {
    loop.nowMs += 1
    return loop.ended.length > 0
  })
  assert.equal(loop.read(backend), 'ECONNRESET')
  assert.deepEqual([loop.ended, failures], [['client-reset'], ['protocol-error']])
})

test('KeyUpdates with something said between them, by either side, go on without end', async (t) => {
  const { app, loop } = start(t)
  const { socket, records, backend } = await establish(loop, app)
  for (let times = 0; times < 3; times++) {
    // All at once, as the kernel may hold back what is sent behind it.
    socket.send(Buffer.concat([records.keyUpdates(64), records.payload('question'), records.keyUpdates(64)]))
    assert.equal(loop.read(backend), 'question')
    loop.settle()
    while (socket.receive() !== 'nothing');
    backend.send('answer')
    assert.notEqual(loop.read(socket), 'FIN')
  }
  assert.deepEqual(loop.ended, [])
})

test('a client that does not read cannot have us keep more and more answers to what it says', async (t) => {
  const { app, loop, failures } = start(t)
  const { socket, records, backend } = await establish(loop, app)
  const { client } = loop.loop.openConnections()[0]
  const block = new Uint8Array(64 * 1024)
  for (let idle = 0; idle < 3; idle = backend.send(block) === 0 ? idle + 1 : 0) loop.settle()
  assert.ok(client.queue !== null, 'something waits for the client')
  const waiting = (): number => (client.queue === null ? 0 : client.queue.length - client.queueStart)
  let waitingMax = waiting()
  for (let asked = 0; loop.ended.length === 0; asked += 32) {
    assert.ok(asked < 20_000, `${asked} answers, ${waiting()} bytes wait`)
    socket.send(Buffer.concat([records.keyUpdates(32, true), records.payload('x')]))
    // It goes on to say something also once it is refused.
    loop.advance(20)
    waitingMax = Math.max(waitingMax, waiting())
  }
  assert.deepEqual([loop.ended, failures], [['client-reset'], [undefined]])
  assert.ok(waitingMax <= produced.length + 16 * 1024, `${waitingMax}`)
})

test('an answer that nobody has asked for goes behind what waits for a slow client already', async (t) => {
  const { app, loop } = start(t)
  const { socket, records, backend } = await establish(loop, app)
  const { client } = loop.loop.openConnections()[0]
  const block = new Uint8Array(64 * 1024)
  for (let idle = 0; idle < 3; idle = backend.send(block) === 0 ? idle + 1 : 0) loop.settle()
  const waiting = (): Buffer => Buffer.from(client.queue?.subarray(client.queueStart) ?? [])
  const before = waiting()
  assert.ok(before.length > 0, 'something waits for the client')
  socket.send(Buffer.concat([records.keyUpdates(32, true), records.payload('x')]))
  loop.advance(20)
  const after = waiting()
  assert.ok(after.length > before.length)
  assert.ok(after.subarray(0, before.length).equals(before))
})

test("a client's second hello in records of one byte takes several turns of the loop", async (t) => {
  const { app, loop } = start(t, ONE_GROUP)
  const ALPNProtocols = Array.from({ length: 50 }, (_, index) => `protocol-with-a-long-name-${index}`)
  const client = new RawClient(loop, { ecdhCurve: 'X25519:P-384', ALPNProtocols }, 1)
  const steps = await until(loop, 'a handshake', client.wire, () => client.isOpen)
  assert.ok(steps > 10, `${steps}`)
  await until(loop, 'a backend', client.wire, () => app.take() !== undefined)
})

test("a backend's flight in records of one byte takes several turns of the loop", async (t) => {
  const app = new TestApp()
  const client = new TlsClient({ serverName: 'app.example', rootsPem: APP.certificatePem })
  const backendTls: BackendTls = { client, headerPlace: 'before-tls' }
  const loop = new TestLoop(Object.assign(new LineRole(app.endpoint, false), { backendTls }))
  t.after(() => {
    loop.close()
    client.close()
    app.close()
  })
  loop.connect()
  const wire = new TinyWire(loop.accept(app), 0)
  const secureContext = createSecureContext({ cert: APP.certificatePem, key: APP.keyPem, maxVersion: 'TLSv1.2' })
  const server = new TLSSocket(wire, { isServer: true, secureContext })
  let isOpen = false
  server.on('secure', () => {
    isOpen = true
  })
  const steps = await until(loop, 'a handshake', wire, () => isOpen)
  assert.ok(steps > 4, `${steps}`)
})
