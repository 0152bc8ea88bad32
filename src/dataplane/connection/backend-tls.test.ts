import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createSecureContext, TLSSocket } from 'node:tls'
import { formatEndpoint } from '../../address/endpoint.ts'
import { TlsClient } from '../../tls/client.ts'
import { issue } from '../../tls/test-certificates.ts'
import type { BackendTls, Connection } from './connection-state.ts'
import { endpointOf, LineRole, TestLoop, type TestSocket } from './test-loop.ts'

const APP = issue({ commonName: 'app.example', names: ['app.example'] })
const HEADER = 'HEADER\n'
const DEADLINE_MS = 10_000

/** Writes a line before the client's first byte, and speaks TLS to the app. */
class SecureRole extends LineRole {
  override readonly backendTls: BackendTls

  constructor(target: string, backendTls: BackendTls) {
    super(endpointOf(target), false)
    this.backendTls = backendTls
  }

  override writeHeader(_connection: unknown = undefined, bytes: Uint8Array = new Uint8Array(0)): number {
    bytes.set(Buffer.from(HEADER))
    return HEADER.length
  }
}

/** An app that reads a header in the clear if it expects one, then speaks TLS; it keeps what it was told. */
class SecureApp {
  readonly #server: Server
  readonly sockets: Socket[] = []
  header = ''
  text = ''
  end = ''
  tls: TLSSocket | undefined

  constructor(hasClearHeader: boolean) {
    this.#server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.sockets.push(socket)
      socket.on('error', () => undefined)
      if (hasClearHeader) socket.once('readable', () => this.#readHeader(socket))
      else this.#secure(socket)
    })
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
  }

  #readHeader(socket: Socket): void {
    this.header = (socket.read(HEADER.length) as Buffer | null)?.toString() ?? ''
    this.#secure(socket)
  }

  #secure(socket: Socket): void {
    const tls = new TLSSocket(socket, {
      isServer: true,
      secureContext: createSecureContext({ cert: APP.certificatePem, key: APP.keyPem }),
    })
    this.tls = tls
    tls.on('data', (data: Buffer) => {
      this.text += data.toString()
    })
    tls.on('end', () => {
      this.end ||= 'close_notify'
    })
    tls.on('error', (error: NodeJS.ErrnoException) => {
      this.end ||= error.code ?? error.message
    })
  }
}

async function start(t: TestContext, headerPlace: BackendTls['headerPlace'], serverName = 'app.example') {
  const app = new SecureApp(headerPlace === 'before-tls')
  const client = new TlsClient({ serverName, rootsPem: APP.certificatePem })
  const loop = new TestLoop(new SecureRole(await app.listen(), { client, headerPlace }))
  t.after(() => {
    loop.close()
    client.close()
    app.close()
  })
  return { app, loop }
}

async function until(loop: TestLoop, what: string, isTrue: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + DEADLINE_MS; !isTrue(); ) {
    assert.ok(performance.now() < deadlineMs, `never: ${what}`)
    loop.loop.step(0)
    await turn()
  }
}

async function read(loop: TestLoop, socket: TestSocket): Promise<string> {
  let received = 'nothing'
  await until(loop, 'something', () => {
    received = socket.receive()
    return received !== 'nothing'
  })
  return received
}

for (const headerPlace of ['before-tls', 'inside-tls'] as const) {
  test(`the header goes ${headerPlace}, and bytes pass both ways`, async (t) => {
    const { app, loop } = await start(t, headerPlace)
    const client = loop.connect()
    client.send('question')
    const isBefore = headerPlace === 'before-tls'
    const expected = isBefore ? 'question' : `${HEADER}question`
    await until(loop, 'the question', () => app.text === expected)
    assert.equal(app.header, isBefore ? HEADER : '')
    app.tls?.write('answer')
    assert.equal(await read(loop, client), 'answer')
    client.finish()
    await until(loop, 'close_notify', () => app.end !== '')
    assert.equal(app.end, 'close_notify')
    app.tls?.end('last')
    assert.equal(await read(loop, client), 'last')
    assert.equal(await read(loop, client), 'FIN')
    await until(loop, 'the end', () => loop.ended.length > 0)
    assert.deepEqual(loop.ended, ['finished'])
  })
}

test('an app that speaks first is heard', async (t) => {
  const { app, loop } = await start(t, 'before-tls')
  const client = loop.connect()
  await until(loop, 'a session', () => app.tls !== undefined)
  app.tls?.write('220 ready')
  assert.equal(await read(loop, client), '220 ready')
})

test('a certificate with another name ends the connection before the app gets a byte of the client', async (t) => {
  const { app, loop } = await start(t, 'before-tls', 'other.example')
  loop.connect().send('secret')
  await until(loop, 'the end', () => loop.ended.length > 0)
  assert.deepEqual([loop.ended, app.text], [['backend-handshake-failed'], ''])
})

test("an app's FIN without close_notify is passed on as FIN, and the record says so", async (t) => {
  const { app, loop } = await start(t, 'before-tls')
  const client = loop.connect()
  await until(loop, 'a session', () => app.tls !== undefined)
  app.tls?.write('half')
  assert.equal(await read(loop, client), 'half')
  app.sockets[0].end()
  assert.equal(await read(loop, client), 'FIN')
  client.finish()
  await until(loop, 'the end', () => loop.ended.length > 0)
  assert.deepEqual(loop.ended, ['backend-truncated'])
})

test('an app that does not answer the handshake is given up at the connect timeout', async (t) => {
  const silent = createTcpServer((socket) => socket.on('error', () => undefined))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const client = new TlsClient({ serverName: '', rootsPem: '' })
  const target = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  assert.equal(formatEndpoint(endpointOf(target)), target)
  const role = new SecureRole(target, { client, headerPlace: 'before-tls' })
  const refusals: string[] = []
  role.onEnd = (connection?: Connection) => refusals.push(connection?.refusal ?? '')
  const loop = new TestLoop(role)
  t.after(() => {
    loop.close()
    client.close()
    silent.close()
  })
  loop.connect().send('x')
  await until(loop, 'a connection', () => loop.loop.openCount === 1)
  loop.advance(4_900)
  assert.deepEqual(loop.ended, [])
  loop.advance(200)
  assert.deepEqual([loop.ended, refusals], [['backend-handshake-failed'], ['timeout']])
})
