import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect } from 'node:tls'
import { DEFAULT_POLICY } from '../../tls/policy.ts'
import { TlsServer } from '../../tls/server.ts'
import { serverCertificate } from '../../tls/test-certificates.ts'
import { TicketKeys } from '../../tls/ticket-keys.ts'
import { relay } from './relay.ts'
import { LineRole, TestApp, TestLoop, type TestSocket } from './test-loop.ts'
import { Wire } from './test-wire.ts'

const SIDES = ['client', 'backend'] as const
/** More than one read takes, so that what follows goes through a pipe. */
const BULK_BYTES = 300_000
const DEADLINE_MS = 20_000
const PERIOD = 251
/** Any 64 KiB of what repeats itself with {@link PERIOD}: nothing can be lost or doubled unseen. */
const PATTERN = Buffer.from(Array.from({ length: 64 * 1024 + PERIOD }, (_, index) => index % PERIOD))

function start(t: TestContext, tls: TlsServer | null = null) {
  const app = new TestApp()
  const loop = new TestLoop(new LineRole(app.endpoint, tls === null), {}, { tls })
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, loop }
}

/** Receives what is there; returns how it ended so far: '' if it has not. */
function take(socket: TestSocket, parts: string[]): string {
  for (;;) {
    const received = socket.receive()
    if (received === 'nothing') return ''
    if (received === 'FIN' || received === 'ECONNRESET') return received
    parts.push(received)
  }
}

/** Has everything sent and received, and returns what arrived. */
function pass(loop: TestLoop, from: TestSocket, to: TestSocket, pieces: readonly (string | readonly [string])[]) {
  const parts: string[] = []
  let end = ''
  const receive = (): void => {
    loop.loop.step(0)
    end ||= take(to, parts)
  }
  for (const piece of pieces) {
    if (typeof piece !== 'string') {
      loop.until('an urgent byte can be sent', () => {
        receive()
        return from.sendUrgent(piece[0]) === piece[0].length
      })
      continue
    }
    let sent = 0
    loop.until('all is sent', () => {
      receive()
      sent += from.send(Buffer.from(piece.slice(sent), 'latin1'))
      return sent === piece.length
    })
  }
  from.finish()
  loop.until('the end arrives', () => {
    receive()
    return end !== ''
  })
  return { text: parts.join(''), end }
}

/** Sends until neither the kernel nor the loop takes more; returns what was sent. */
function fill(loop: TestLoop, socket: TestSocket): string {
  const parts: string[] = []
  for (let idle = 0, at = 0; idle < 3; ) {
    const block = PATTERN.subarray(at % PERIOD, (at % PERIOD) + 64 * 1024)
    const count = socket.send(block)
    if (count > 0) parts.push(block.toString('latin1', 0, count))
    at += count
    idle = count === 0 ? idle + 1 : 0
    if (count === 0) loop.settle()
  }
  return parts.join('')
}

for (const side of SIDES) {
  const other = side === 'client' ? 'backend' : 'client'

  for (const [name, pieces] of [
    ['between small messages', ['RETR a\r\n', ['\xff\xf4\xff'], '\xf2ABOR\r\n']],
    ['first of all, and last of all', [['!'], 'message', ['!']]],
    ['one after the other', [['!'], ['?'], ['!'], 'x', ['?'], 'y']],
    ['in the middle of bulk', ['a'.repeat(BULK_BYTES), ['!'], 'b'.repeat(BULK_BYTES)]],
    ['at the end of a large segment', ['a'.repeat(BULK_BYTES), [`${'c'.repeat(1_000)}!`], 'b'.repeat(BULK_BYTES)]],
  ] as const) {
    test(`an urgent byte of the ${side}'s, ${name}, arrives in its place, and everything around it`, (t) => {
      const { app, loop } = start(t)
      const sockets = loop.establish(app)
      const { text, end } = pass(loop, sockets[side], sockets[other], pieces)
      assert.equal(end, 'FIN')
      assert.equal(text, pieces.flat().join(''))
    })
  }

  test(`an urgent byte of the ${side}'s waits with all before it for a slow reader, and nothing behind it is lost`, (t) => {
    const { app, loop } = start(t)
    const sockets = loop.establish(app)
    const before = fill(loop, sockets[side])
    const parts: string[] = []
    loop.until('there is room', () => {
      take(sockets[other], parts)
      return sockets[side].sendUrgent('!') === 1
    })
    const after = fill(loop, sockets[side])
    sockets[side].finish()
    loop.until('the end arrives', () => take(sockets[other], parts) === 'FIN')
    assert.equal(parts.join(''), `${before}!${after}`)
  })

  for (const ending of ['FIN', 'ECONNRESET'] as const) {
    test(`a pipe that meets an urgent byte and a ${ending} of the ${side}'s, of which nobody has told yet, passes on all before it`, (t) => {
      const { app, loop } = start(t)
      const sockets = loop.establish(app)
      // So much that the pipe is not given up for its small reads.
      const before = 'a'.repeat(20_000)
      sockets[side].send(before)
      sockets[side].sendUrgent('!')
      sockets[side].send('behind')
      if (ending === 'FIN') sockets[side].finish()
      else sockets[side].reset()
      const [{ client, backend }] = loop.loop.openConnections()
      const [from, to] = side === 'client' ? [client, backend] : [backend, client]
      // As in the turn that follows one with bulk: it begins before the loop hears what has come meanwhile.
      from.isBulk = true
      from.isReadable = true
      relay(from, to, loop.loop)
      const parts: string[] = []
      let end = ''
      loop.until('the end arrives', () => {
        end ||= take(sockets[other], parts)
        loop.nowMs += 1
        return end !== ''
      })
      assert.equal(parts.join(''), `${before}!behind`)
      assert.equal(end, ending)
    })
  }
}

test('a header with an urgent byte in it is read, and the payload behind it', (t) => {
  const { app, loop } = start(t)
  const client = loop.connect()
  client.sendUrgent('hea')
  client.sendUrgent('der\np')
  client.send('ayload')
  assert.equal(client.sendUrgent('!'), 1)
  const backend = loop.accept(app)
  client.finish()
  const parts: string[] = []
  loop.until('the end arrives', () => take(backend, parts) === 'FIN')
  assert.equal(parts.join(''), 'payload!')
})

/** The last byte of whatever is written is urgent. */
class UrgentWire extends Wire {
  protected override transmit(bytes: Buffer): void {
    assert.equal(this.socket.sendUrgent(bytes.toString('latin1')), bytes.length)
  }
}

test('a TLS client that marks the end of each write as urgent is understood, handshake and records', async (t) => {
  const tls = new TlsServer({
    name: 'test',
    certificates: [serverCertificate({ commonName: 'a.example' })],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 1_000,
  })
  const { app, loop } = start(t, tls)
  const wire = new UrgentWire(loop.connect())
  const client = connect({ socket: wire, rejectUnauthorized: false })
  let backend: TestSocket | undefined
  const parts: string[] = []
  let end = ''
  const message = Array.from({ length: 40 }, (_, index) => `${index} `.repeat(500))
  client.once('secureConnect', () => {
    for (const part of message) client.write(part)
    client.end()
  })
  const deadlineMs = performance.now() + DEADLINE_MS
  while (end === '') {
    assert.ok(performance.now() < deadlineMs, 'never: the end arrives')
    loop.loop.step(0)
    const received = wire.socket.receive()
    if (received === 'FIN') wire.push(null)
    else if (received !== 'nothing') wire.push(Buffer.from(received, 'latin1'))
    backend ??= app.take()
    if (backend !== undefined) end = take(backend, parts)
    await turn()
  }
  assert.equal(end, 'FIN')
  assert.equal(parts.join(''), message.join(''))
})
