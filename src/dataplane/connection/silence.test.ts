import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect } from 'node:tls'
import { errnoName } from '../../linux/errno.ts'
import { unsentBytes } from '../../linux/socket.ts'
import { DEFAULT_POLICY } from '../../tls/policy.ts'
import { TlsServer } from '../../tls/server.ts'
import { serverCertificate } from '../../tls/test-certificates.ts'
import { TicketKeys } from '../../tls/ticket-keys.ts'
import type { Connection } from './connection-state.ts'
import { isBackedUp } from './side.ts'
import { LineRole, TestApp, type TestLimits, TestLoop, type TestSocket } from './test-loop.ts'
import { Wire } from './test-wire.ts'

const TIMEOUT_MS = 30_000
/** The wheel's grain, and more. */
const LATE_MS_MAX = 100
/** After the reset of one side, so long may the other take nothing. */
const RESET_SILENCE_MS = 5_000
const DEADLINE_MS = 20_000
const SILENCES_MAX = 5
const PERIOD = 251
const PATTERN = Buffer.from(Array.from({ length: 64 * 1024 + PERIOD }, (_, index) => index % PERIOD))
const CERTIFICATE = serverCertificate({ commonName: 'a.example' })

type Pair = {
  readonly loop: TestLoop
  readonly from: TestSocket
  readonly to: TestSocket
  readonly connection: Connection
}

function start(t: TestContext, limits: Partial<TestLimits>, tls: TlsServer | null = null) {
  const app = new TestApp()
  const loop = new TestLoop(new LineRole(app.endpoint, tls === null), limits, { tls })
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, loop }
}

/** One connection with everything full: `from` has sent what it can, and `to` has read nothing. */
type Stalled = Pair & { readonly sentBytes: number }

function stall(pair: Pair): Stalled {
  let sentBytes = 0
  for (let idle = 0; idle < 3; ) {
    const at = sentBytes % PERIOD
    const count = pair.from.send(PATTERN.subarray(at, at + 64 * 1024))
    sentBytes += count
    idle = count === 0 ? idle + 1 : 0
    if (count === 0) pair.loop.settle()
  }
  return { ...pair, sentBytes }
}

function plainPair(t: TestContext, from: 'client' | 'backend', limits: Partial<TestLimits>): Pair {
  const { app, loop } = start(t, limits)
  const sockets = loop.establish(app)
  const to = from === 'client' ? sockets.backend : sockets.client
  return { loop, from: sockets[from], to, connection: loop.loop.openConnections()[0] }
}

/** As {@link plainPair}, from the backend to a client with TLS, whose records are looked at as they come. */
async function tlsPair(t: TestContext, limits: Partial<TestLimits>): Promise<Pair> {
  const tls = new TlsServer({
    name: 'test',
    certificates: [CERTIFICATE],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 1_000,
  })
  const { app, loop } = start(t, limits, tls)
  const wire = new Wire(loop.connect())
  let isOpen = false
  const client = connect({ socket: wire, rejectUnauthorized: false })
  client.on('error', () => undefined)
  client.once('secureConnect', () => {
    isOpen = true
  })
  let backend: TestSocket | undefined
  for (const deadlineMs = performance.now() + DEADLINE_MS; backend === undefined; ) {
    assert.ok(performance.now() < deadlineMs, 'never: a handshake')
    loop.loop.step(0)
    const text = isOpen ? 'nothing' : wire.socket.receive()
    if (text !== 'nothing') wire.push(Buffer.from(text, 'latin1'))
    backend = app.take()
    await turn()
  }
  loop.settle()
  while (wire.socket.receive() !== 'nothing');
  return { loop, from: backend, to: wire.socket, connection: loop.loop.openConnections()[0] }
}

/** Reads from `to` until the kernel has heard of it, which is after far less than it tells the loop of. */
function takeSome({ to, connection, loop }: Stalled, parts: string[]): void {
  const side = receiver(connection)
  const before = unsentBytes(side.fd)
  loop.until('some of it has left', () => {
    const received = to.receive()
    if (received !== 'nothing') parts.push(received)
    return unsentBytes(side.fd) < before
  })
}

/**
 * Asserts that a connection to which nothing happens any more ends. The kernel may acknowledge, and tell of room, a
 * little later on its own clock than the reading was: each such time counts anew.
 */
function endsBySilence(loop: TestLoop, timeoutMs: number, reason: string): void {
  for (let time = 0; time < SILENCES_MAX && loop.ended.length === 0; time++) loop.advance(timeoutMs + LATE_MS_MAX)
  assert.deepEqual(loop.ended, [reason])
}

/** The side that is slow. */
function receiver({ client, backend }: Connection) {
  return isBackedUp(client) ? client : backend
}

/** Reads up to the end, and says how that was told. */
function readRest({ loop, to }: Pick<Pair, 'loop' | 'to'>, parts: string[]): string {
  for (;;) {
    const received = loop.read(to)
    if (received === 'FIN' || received === 'ECONNRESET') return received
    parts.push(received)
  }
}

function assertPattern(text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; ) {
    const count = Math.min(64 * 1024, bytes.length - at)
    const from = at % PERIOD
    assert.equal(bytes.compare(PATTERN, from, from + count, at, at + count), 0, `at ${at}`)
    at += count
  }
}

const IDLE = { idleTimeoutMs: TIMEOUT_MS }
const HALF_CLOSED = { halfClosedTimeoutMs: TIMEOUT_MS }

for (const [name, limits, reason] of [
  ['idle', IDLE, 'idle-timeout'],
  ['half-closed', HALF_CLOSED, 'half-closed-timeout'],
] as const) {
  for (const [where, make] of [
    ['client', async (t: TestContext) => plainPair(t, 'backend', limits)],
    ['backend', async (t: TestContext) => plainPair(t, 'client', limits)],
    ['client with TLS', (t: TestContext) => tlsPair(t, limits)],
  ] as const) {
    test(`a ${where} that reads slowly all the time outlives the ${name} timeout, and is reset once it stops`, async (t) => {
      const pair = await make(t)
      const stalled = stall(pair)
      const { loop, from, to } = stalled
      // It has said all that it had to say, and goes on to read.
      if (name === 'half-closed') to.finish()
      loop.settle()
      const parts: string[] = []
      for (let time = 0; time < 4; time++) {
        takeSome(stalled, parts)
        loop.advance(TIMEOUT_MS - 2 * LATE_MS_MAX)
        assert.deepEqual(loop.ended, [], `time ${time}`)
      }
      endsBySilence(loop, TIMEOUT_MS, reason)
      assert.equal(readRest(pair, parts), 'ECONNRESET')
      if (where !== 'client with TLS') assertPattern(parts.join(''))
      assert.match(errnoName(from.send('into the void')), /ECONNRESET|EPIPE/)
    })
  }
}

test('a silent connection with all delivered ends in order on both sides, in its time', (t) => {
  const { loop, from, to } = plainPair(t, 'client', IDLE)
  from.send('message')
  assert.equal(loop.read(to), 'message')
  loop.untilAcknowledged()
  loop.advance(TIMEOUT_MS - 1)
  assert.deepEqual(loop.ended, [])
  loop.advance(LATE_MS_MAX)
  assert.deepEqual(loop.ended, ['idle-timeout'])
  assert.deepEqual([loop.read(to), loop.read(from)], ['FIN', 'FIN'])
})

for (const [where, record] of [
  ['a TLS record', `1703030064${'00'.repeat(10)}`],
  ["a record's header", '170303'],
] as const) {
  test(`a client that stops in the middle of ${where} has not finished what it was saying`, async (t) => {
    const { loop, from: backend, to: client } = await tlsPair(t, IDLE)
    client.send(Buffer.from(record, 'hex'))
    loop.settle()
    loop.untilAcknowledged()
    loop.advance(TIMEOUT_MS + LATE_MS_MAX)
    assert.deepEqual(loop.ended, ['idle-timeout'])
    assert.equal(readRest({ loop, to: backend }, []), 'ECONNRESET')
    assert.equal(readRest({ loop, to: client }, []), 'ECONNRESET')
  })
}

for (const from of ['client', 'backend'] as const) {
  test(`what the kernel holds for who reads nothing ends with a reset, not with a FIN behind it (${from})`, (t) => {
    const pair = plainPair(t, from, IDLE)
    const { loop, connection } = pair
    const side = from === 'client' ? connection.backend : connection.client
    // All of it is taken by the kernel, and not by the other end.
    const block = new Uint8Array(16 * 1024)
    loop.until('some is unsent', () => {
      pair.from.send(block)
      loop.settle()
      return unsentBytes(side.fd) > 0
    })
    assert.ok(!isBackedUp(side))
    endsBySilence(loop, TIMEOUT_MS, 'idle-timeout')
    assert.equal(readRest(pair, []), 'ECONNRESET')
  })

  test(`the reset of the ${from} comes behind all that it sent, however slowly that is taken`, (t) => {
    const stalled = stall(plainPair(t, from, {}))
    const { loop } = stalled
    stalled.from.reset()
    loop.settle()
    const parts: string[] = []
    for (let time = 0; time < 4; time++) {
      loop.advance(RESET_SILENCE_MS - 2 * LATE_MS_MAX)
      assert.deepEqual(loop.ended, [], `time ${time}`)
      takeSome(stalled, parts)
    }
    loop.settle()
    // The rest is taken at once; the clock goes on with the one on the wall.
    const startedMs = performance.now() - loop.nowMs
    let end = ''
    loop.until('the end arrives', () => {
      loop.nowMs = performance.now() - startedMs
      const received = stalled.to.receive()
      if (received === 'ECONNRESET' || received === 'FIN') end = received
      else if (received !== 'nothing') parts.push(received)
      return end !== ''
    })
    assert.equal(end, 'ECONNRESET')
    assert.deepEqual(loop.ended, [`${from}-reset`])
    assertPattern(parts.join(''))
    // All that the kernel of this side had by then.
    assert.ok(parts.join('').length >= stalled.connection.client.receivedBytes)
  })

  test(`who takes nothing of what the ${from} sent before its reset is reset after ${RESET_SILENCE_MS} ms`, (t) => {
    const stalled = stall(plainPair(t, from, {}))
    const { loop } = stalled
    stalled.from.reset()
    loop.settle()
    loop.advance(RESET_SILENCE_MS - LATE_MS_MAX)
    assert.deepEqual(loop.ended, [])
    endsBySilence(loop, RESET_SILENCE_MS, `${from}-reset`)
    assert.equal(readRest(stalled, []), 'ECONNRESET')
  })

  test(`a shorter idle timeout also bounds what comes before the reset of the ${from}`, (t) => {
    const stalled = stall(plainPair(t, from, { idleTimeoutMs: 500 }))
    stalled.from.reset()
    stalled.loop.settle()
    // Also several times over, this is less than it would be without.
    endsBySilence(stalled.loop, 500, `${from}-reset`)
  })
}
