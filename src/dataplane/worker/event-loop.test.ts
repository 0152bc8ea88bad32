import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { SOL_SOCKET } from '../../linux/constants.ts'
import { native } from '../../linux/native.ts'
import { adoptListener, close } from '../../linux/socket.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { type Dial, Phase } from '../connection/connection-state.ts'
import { LineRole, NO_LIVENESS, TestApp, type TestLimits, TestLoop } from '../connection/test-loop.ts'

/** socket(7) */
const SO_RCVBUF = 8
/** The wheel's grain: how late a deadline may be. */
const LATE_MS_MAX = 8

function start(t: TestContext, limits: Partial<TestLimits> = {}, expectsHeader = true) {
  const app = new TestApp()
  const role = new LineRole(app.endpoint, expectsHeader)
  const loop = new TestLoop(role, limits)
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, role, loop }
}

/** Asserts that what is pending ends with `reason` once `timeoutMs` have passed, and not before. */
function endsAfter(loop: TestLoop, timeoutMs: number, reason: string): void {
  loop.advance(timeoutMs - 1)
  assert.deepEqual(loop.ended, [], 'not before its time')
  loop.advance(1 + LATE_MS_MAX)
  assert.deepEqual(loop.ended, [reason])
  assert.equal(loop.loop.openCount, 0)
}

test('the header timeout counts from accept: a byte each second does not extend it', (t) => {
  const { loop } = start(t, { headerTimeoutMs: 5_000 })
  const client = loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 1)
  for (let second = 0; second < 4; second++) {
    client.send('h')
    loop.advance(1_000)
  }
  assert.deepEqual(loop.ended, [])
  endsAfter(loop, 1_000, 'header-timeout')
  assert.equal(loop.read(client), 'ECONNRESET')
})

test('a complete header ends the header timeout', (t) => {
  const { app, loop } = start(t, { headerTimeoutMs: 1_000 })
  const client = loop.connect()
  client.send('head')
  loop.advance(900)
  client.send('er\n')
  loop.accept(app)
  loop.advance(100_000)
  assert.deepEqual(loop.ended, [])
})

test('the connect timeout ends a connection whose backend does not answer, with a reset', (t) => {
  const { app, loop } = start(t, { connectTimeoutMs: 3_000 })
  app.ignoreConnections()
  const client = loop.connect()
  client.send('header\npayload')
  loop.until('dialled', () => loop.loop.openCount === 1)
  loop.settle()
  assert.equal(client.receive(), 'nothing')
  endsAfter(loop, 3_000, 'connect-timeout')
  assert.equal(loop.read(client), 'ECONNRESET')
})

test('a refused connection is tried again after what the role says; nothing the client sent is lost', (t) => {
  const { app, role, loop } = start(t)
  role.next = 50
  app.close()
  const client = loop.connect()
  client.send('header\nfirst ')
  loop.until('refused', () => loop.counters.read(METRICS.connectFailures.slot) === 1)
  client.send('second')
  loop.advance(49)
  assert.equal(loop.counters.read(METRICS.connectFailures.slot), 1, 'not before its time')
  loop.advance(1 + LATE_MS_MAX)
  assert.equal(loop.counters.read(METRICS.connectFailures.slot), 2)
  const restarted = new TestApp(app.endpoint)
  t.after(() => restarted.close())
  loop.advance(50 + LATE_MS_MAX)
  const backend = loop.accept(restarted)
  let text = ''
  while (text.length < 'first second'.length) text += loop.read(backend)
  assert.equal(text, 'first second')
  assert.equal(loop.counters.read(METRICS.connectRetries.slot), 2)
})

test('a refused connection that is not tried again is reset', (t) => {
  const { app, loop } = start(t)
  app.close()
  const client = loop.connect()
  client.send('header\n')
  assert.equal(loop.read(client), 'ECONNRESET')
  assert.deepEqual(loop.ended, ['connect-failed'])
})

test('a client that resets while its backend is being retried is not connected any more', (t) => {
  const { app, role, loop } = start(t)
  role.next = 50
  app.close()
  const client = loop.connect()
  client.send('header\n')
  loop.until('refused', () => loop.counters.read(METRICS.connectFailures.slot) === 1)
  client.reset()
  loop.until('ended', () => loop.ended.length === 1)
  assert.deepEqual(loop.ended, ['client-left'])
})

test('a message that a client sent before its reset reaches the backend all the same, once there is one', (t) => {
  for (const [behindHeader, later] of [
    // In our queue, in the kernel where nobody has read it yet, and in both.
    ['last words', ''],
    ['', 'last words'],
    ['last ', 'words'],
  ]) {
    const { app, role, loop } = start(t)
    role.next = 50
    app.close()
    const client = loop.connect()
    client.send(`header\n${behindHeader}`)
    loop.until('refused', () => loop.counters.read(METRICS.connectFailures.slot) === 1)
    if (later !== '') client.send(later)
    client.reset()
    loop.settle()
    assert.deepEqual(loop.ended, [])
    const restarted = new TestApp(app.endpoint)
    t.after(() => restarted.close())
    loop.advance(50 + LATE_MS_MAX)
    const backend = loop.accept(restarted)
    let text = ''
    while (text.length < 'last words'.length) text += loop.read(backend)
    assert.equal(text, 'last words')
    loop.advance(1_000)
    assert.equal(loop.read(backend), 'ECONNRESET')
  }
})

test('a message of a client that has reset is not cut short where the backend takes it slowly', (t) => {
  const { app, role, loop } = start(t)
  role.next = 50
  app.close()
  const message = `${'long '.repeat(8_000)}end`
  const client = loop.connect()
  client.send(`header\n${message}`)
  loop.until('refused', () => loop.counters.read(METRICS.connectFailures.slot) === 1)
  client.reset()
  const slow = new TestApp(app.endpoint)
  t.after(() => slow.close())
  // Less than the message: the kernel has it all, and the app has not.
  assert.equal(native.setsockoptInt(slow.fd, SOL_SOCKET, SO_RCVBUF, 4_096), 0)
  loop.advance(50 + LATE_MS_MAX)
  const backend = loop.accept(slow)
  let text = ''
  for (let read = ''; read !== 'FIN' && read !== 'ECONNRESET' && text.length < message.length; text += read) {
    read = loop.read(backend)
  }
  assert.ok(text === message, `${text.length} bytes of ${message.length}`)
})

test('what clients say first is kept apart while their backends are still being connected to', (t) => {
  const { app, role, loop } = start(t)
  const dial = role.dial.bind(role)
  role.dial = () => ({ ...dial(), isLoopback: false }) as Dial
  const messages = ['from the first', 'of the second']
  // Both in one step, through one buffer.
  for (const message of messages) loop.connect().send(`header\n${message}`)
  const backends = messages.map(() => loop.accept(app))
  assert.deepEqual(
    backends.map((backend) => loop.read(backend)),
    messages,
  )
})

for (const isLoopback of [true, false]) {
  test(`a backend that ${isLoopback ? 'got the first bytes at once' : 'has taken a byte'} and resets is not tried again, whatever the role says`, (t) => {
    const { app, role, loop } = start(t)
    role.next = 0
    const dial = role.dial.bind(role)
    role.dial = () => ({ ...dial(), isLoopback }) as Dial
    const client = loop.connect()
    client.send('header\nmessage')
    const backend = loop.accept(app)
    assert.equal(loop.read(backend), 'message')
    backend.reset()
    assert.equal(loop.read(client), 'ECONNRESET')
    assert.deepEqual(loop.ended, ['backend-reset'])
    assert.equal(app.take(), undefined)
    assert.equal(loop.counters.read(METRICS.connectRetries.slot), 0)
  })
}

test('silence in both directions ends a connection; a byte in either starts the time anew', (t) => {
  const { app, loop } = start(t, { idleTimeoutMs: 30_000 })
  const { client, backend } = loop.establish(app)
  for (const socket of [client, backend, client]) {
    loop.advance(29_000)
    socket.send('x')
    loop.settle()
  }
  loop.untilAcknowledged()
  loop.advance(29_000)
  assert.deepEqual(loop.ended, [])
  endsAfter(loop, 1_000, 'idle-timeout')
  loop.read(client)
  assert.equal(loop.read(client), 'FIN')
})

test('after a long pause all are heard before any deadline counts, more of them than one wait tells of', (t) => {
  const { app, loop } = start(t, { idleTimeoutMs: 30_000, connectionsPerWorkerMax: 2_000, connectionsMax: 2_000 })
  const clients = Array.from({ length: 600 }, () => loop.establish(app).client)
  loop.untilAcknowledged()
  for (const client of clients) client.send('x')
  loop.advance(60_000)
  assert.deepEqual(loop.ended, [])
  loop.untilAcknowledged()
  loop.advance(30_000 + LATE_MS_MAX)
  assert.equal(loop.ended.length, clients.length)
})

test('however many have something to say all the time, deadlines pass', (t) => {
  const { app, loop } = start(t, { headerTimeoutMs: 5_000, connectionsPerWorkerMax: 2_000, connectionsMax: 2_000 })
  const busy = Array.from({ length: 600 }, () => loop.establish(app))
  loop.connect()
  loop.settle()
  for (let time = 0; loop.ended.length === 0; time++) {
    assert.ok(time < 10, `${time}`)
    for (const { client, backend } of busy) {
      client.send('x')
      backend.send('x')
    }
    loop.nowMs += 5_000
    assert.ok(loop.loop.step(0) >= 512)
  }
  assert.deepEqual(loop.ended, ['header-timeout'])
})

test('without an idle timeout a silent connection stays for ever', (t) => {
  const { app, loop } = start(t, { idleTimeoutMs: 0 })
  const { client, backend } = loop.establish(app)
  for (let day = 0; day < 10; day++) loop.advance(86_400_000)
  client.send('still there')
  assert.equal(loop.read(backend), 'still there')
})

for (const side of ['client', 'backend'] as const) {
  test(`silence after the ${side}'s FIN ends a connection; bytes of the other side start the time anew`, (t) => {
    const { app, loop } = start(t, { halfClosedTimeoutMs: 10_000 })
    const sockets = loop.establish(app)
    const other = side === 'client' ? sockets.backend : sockets.client
    loop.advance(60_000)
    sockets[side].finish()
    assert.equal(loop.read(other), 'FIN')
    loop.advance(9_000)
    other.send('x')
    loop.settle()
    loop.untilAcknowledged()
    endsAfter(loop, 10_000, 'half-closed-timeout')
  })
}

test('the half-closed timeout of 0 leaves the idle timeout in force, and both together the shorter', (t) => {
  for (const [limits, expectedMs] of [
    [{ halfClosedTimeoutMs: 0, idleTimeoutMs: 20_000 }, 20_000],
    [{ halfClosedTimeoutMs: 5_000, idleTimeoutMs: 20_000 }, 5_000],
  ] as const) {
    const { app, loop } = start(t, limits)
    const { client, backend } = loop.establish(app)
    client.finish()
    assert.equal(loop.read(backend), 'FIN')
    loop.untilAcknowledged()
    loop.advance(expectedMs - 1)
    assert.deepEqual(loop.ended, [])
    loop.advance(1 + LATE_MS_MAX)
    assert.equal(loop.ended.length, 1)
  }
})

test('one busy connection moves a bounded number of bytes in a turn', (t) => {
  const { app, loop } = start(t)
  const busy = loop.establish(app)
  const block = new Uint8Array(64 * 1024)
  // Autotuned buffers take more than one turn moves; the loop is not stepped meanwhile.
  let sentBytes = 0
  for (let count = busy.client.send(block); count > 0; count = busy.client.send(block)) sentBytes += count
  assert.ok(sentBytes > 1_400_000, `${sentBytes}`)
  loop.loop.step(0)
  while (busy.backend.receive() !== 'nothing');
  // A turn begins no further read beyond 256 KiB, and the last one may fill a pipe.
  assert.ok(busy.backend.receivedBytes <= 256 * 1024 + 1024 * 1024, `${busy.backend.receivedBytes}`)
  loop.until('all arrives', () => {
    busy.backend.receive()
    return busy.backend.receivedBytes === sentBytes
  })
})

test('a slot that is used again in the same turn does not get events of its former user', (t) => {
  const { app, loop } = start(t)
  const first = loop.connect()
  first.send('head')
  loop.until('accepted', () => loop.loop.openCount === 1)
  // All at once: the first becomes malformed and resets, a second connects.
  first.send('er')
  first.reset()
  const second = loop.connect()
  second.send('header\nfine')
  loop.until('the first has ended', () => loop.ended.length === 1)
  const backend = loop.accept(app)
  assert.equal(loop.read(backend), 'fine')
  loop.settle()
  assert.equal(loop.ended.length, 1)
})

test('an event for an earlier user of a slot does not pass for one of its present user', (t) => {
  const { app, loop } = start(t, { connectTimeoutMs: 3_000 })
  const first = loop.establish(app)
  app.ignoreConnections()
  // All in one step, in this order: the first ends, a second takes its slot, and an event of the first's backend is left.
  // It says that the backend can be written to; that of the second does not answer.
  first.client.reset()
  loop.connect().send('header\nhello')
  first.backend.finish()
  loop.loop.step(0)
  assert.deepEqual(loop.ended, ['client-reset'])
  assert.equal(loop.loop.openConnections()[0].phase, Phase.Connecting)
  loop.advance(3_000 + LATE_MS_MAX)
  assert.deepEqual(loop.ended, ['client-reset', 'connect-timeout'])
})

test('closing the listeners takes everybody who is queued, more than one turn would', (t) => {
  const { app, loop } = start(t)
  const clients = Array.from({ length: 200 }, () => loop.connect())
  for (const client of clients) client.send('header\n')
  loop.loop.closeListener(loop.listener)
  assert.equal(loop.loop.openCount, 200)
  loop.accept(app).send('served')
  loop.settle()
  assert.equal(clients.map((client) => client.receive()).filter((text) => text === 'served').length, 1)
})

test('closing the loop ends every connection and gives every descriptor back', (t) => {
  const app = new TestApp()
  t.after(() => app.close())
  const before = openDescriptors()
  const loop = new TestLoop(new LineRole(app.endpoint))
  const { client, backend } = loop.establish(app)
  loop.close()
  assert.deepEqual(loop.ended, ['shutdown'])
  client.close()
  backend.close()
  // The wake-up belongs to whoever made it.
  assert.equal(openDescriptors(), before + 1)
})

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

test('bytes of the payload are counted at the end, without the header', (t) => {
  const { app, loop } = start(t)
  const { client, backend } = loop.establish(app, 'header\n12345')
  assert.equal(loop.read(backend), '12345')
  backend.send('123')
  assert.equal(loop.read(client), '123')
  client.finish()
  backend.finish()
  loop.until('ended', () => loop.ended.length === 1)
  assert.equal(loop.counters.read(METRICS.bytes.slots['client-to-backend']), 5)
  assert.equal(loop.counters.read(METRICS.bytes.slots['backend-to-client']), 3)
})

test('a listener whose socket stays open elsewhere is forgotten when it is closed, and can come back', (t) => {
  const { app, loop } = start(t)
  const { fd, entrance } = loop.listener
  const passed = adoptListener(fd, NO_LIVENESS)
  t.after(() => close(passed))
  loop.loop.closeListener(loop.listener)

  // As a worker does: its copy gets the lowest free number, which is the one that was closed.
  const again = adoptListener(passed, NO_LIVENESS)
  assert.equal(again, fd)
  const listener = loop.loop.addListener(again, entrance)
  const client = loop.connect()
  client.send('header\nhello')
  assert.equal(loop.read(loop.accept(app)), 'hello')

  loop.loop.closeListener(listener)
  loop.connect().send('header\nhello')
  loop.settle()
  assert.equal(loop.loop.openCount, 1, 'who comes now waits for the next listener')
})
