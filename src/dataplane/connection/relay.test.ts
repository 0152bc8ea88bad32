import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { EAGAIN } from '../../linux/errno.ts'
import { acceptFrom } from '../../linux/socket.ts'
import { LineRole, TestApp, TestLoop, type TestSocket } from './test-loop.ts'

/** How long the kernel may take to acknowledge what came before, and the loop to hear of it, on a busy machine. */
const ACKNOWLEDGED_MS_MAX = 2_000
const SIDES = ['client', 'backend'] as const

function start(t: TestContext, expectsHeader = true) {
  const app = new TestApp()
  const loop = new TestLoop(new LineRole(app.endpoint, expectsHeader))
  t.after(() => {
    loop.close()
    app.close()
  })
  return { app, loop }
}

/** Sends until neither the kernel nor the loop takes more; returns the number of bytes. */
function sendUntilBlocked(loop: TestLoop, socket: TestSocket): number {
  let totalBytes = 0
  for (let idle = 0; idle < 3; ) {
    const block = new Uint8Array(64 * 1024).map((_, index) => (totalBytes + index) & 0xff)
    const count = socket.send(block)
    totalBytes += count
    idle = count === 0 ? idle + 1 : 0
    loop.settle()
  }
  return totalBytes
}

/** Reads everything up to the end; returns how that was told. */
function readAll(loop: TestLoop, socket: TestSocket): { readonly text: string; readonly end: string } {
  let text = ''
  for (;;) {
    const received = loop.read(socket)
    if (received === 'FIN' || received === 'ECONNRESET') return { text, end: received }
    text += received
  }
}

/** Lets real time pass until the connection ends: the kernel may take 40 ms to acknowledge what came before. */
function endsInTime(loop: TestLoop, reason: string): void {
  const startedMs = performance.now()
  const clockMs = loop.nowMs
  while (loop.ended.length === 0) {
    const elapsedMs = performance.now() - startedMs
    assert.ok(elapsedMs < ACKNOWLEDGED_MS_MAX, `no ${reason}`)
    loop.nowMs = clockMs + elapsedMs
    loop.loop.step(0)
  }
  assert.deepEqual(loop.ended, [reason])
}

test('nothing is connected to before the header is complete, and no byte reaches the client', (t) => {
  const { app, loop } = start(t)
  const client = loop.connect()
  client.send('hea')
  loop.settle()
  assert.equal(acceptFrom(app.fd), EAGAIN)
  assert.equal(client.receive(), 'nothing')
  assert.equal(loop.loop.openCount, 1)
  assert.deepEqual(loop.ended, [])
})

test('an app that speaks first reaches the client, which has sent its header only', (t) => {
  const { app, loop } = start(t)
  const { client, backend } = loop.establish(app)
  backend.send('220 ready')
  assert.equal(loop.read(client), '220 ready')
})

test('payload that comes with the header, in pieces of it, and behind it arrives in order', (t) => {
  const { app, loop } = start(t)
  const { client, backend } = loop.establish(app, 'header\none ')
  client.send('two ')
  loop.settle()
  client.send('three')
  client.finish()
  assert.deepEqual(readAll(loop, backend), { text: 'one two three', end: 'FIN' })
})

test('a header that comes byte by byte is read, and nothing behind it is lost', (t) => {
  const { app, loop } = start(t)
  const client = loop.connect()
  for (const byte of 'header\npayload') {
    client.send(byte)
    loop.settle()
  }
  client.finish()
  assert.deepEqual(readAll(loop, loop.accept(app)), { text: 'payload', end: 'FIN' })
})

for (const side of SIDES) {
  const otherSide = side === 'client' ? 'backend' : 'client'

  test(`the ${side}'s FIN is passed on behind its last byte, and the ${otherSide} goes on`, (t) => {
    const { app, loop } = start(t)
    const sockets = loop.establish(app)
    sockets[side].send('last')
    sockets[side].finish()
    assert.deepEqual(readAll(loop, sockets[otherSide]), { text: 'last', end: 'FIN' })
    for (let count = 0; count < 5; count++) {
      sockets[otherSide].send('more')
      assert.equal(loop.read(sockets[side]), 'more')
      loop.advance(1_000)
    }
    assert.deepEqual(loop.ended, [])
    sockets[otherSide].finish()
    assert.equal(loop.read(sockets[side]), 'FIN')
    loop.until('ended', () => loop.ended.length === 1)
    assert.deepEqual(loop.ended, ['finished'])
  })

  test(`the ${side}'s reset is passed on as a reset, behind the bytes before it`, (t) => {
    const { app, loop } = start(t)
    const sockets = loop.establish(app)
    sockets[side].send('last')
    loop.settle()
    sockets[side].reset()
    endsInTime(loop, `${side}-reset`)
    assert.deepEqual(readAll(loop, sockets[otherSide]), { text: 'last', end: 'ECONNRESET' })
  })

  test(`the ${side}'s reset after its FIN is passed on as a reset`, (t) => {
    const { app, loop } = start(t)
    const sockets = loop.establish(app)
    sockets[side].finish()
    assert.equal(loop.read(sockets[otherSide]), 'FIN')
    loop.settle()
    sockets[side].reset()
    endsInTime(loop, `${side}-reset`)
    assert.equal(sockets[otherSide].send('into the void'), -32)
  })

  test(`while the ${otherSide} does not read, the ${side} is not read either; later everything arrives`, (t) => {
    const { app, loop } = start(t)
    const sockets = loop.establish(app)
    const sentBytes = sendUntilBlocked(loop, sockets[side])
    sockets[side].finish()
    const before = process.memoryUsage.rss()
    loop.advance(10_000)
    assert.ok(process.memoryUsage.rss() - before < 2 * 1024 * 1024)
    const { text, end } = readAll(loop, sockets[otherSide])
    assert.equal(end, 'FIN')
    assert.equal(text.length, sentBytes)
    for (let at = 0; at < text.length; at += 997) assert.equal(text.charCodeAt(at), at & 0xff)
  })
}

test('both sides ending at once is an orderly end for both', (t) => {
  const { app, loop } = start(t)
  const { client, backend } = loop.establish(app)
  client.send('from client')
  backend.send('from backend')
  client.finish()
  backend.finish()
  assert.deepEqual(readAll(loop, client), { text: 'from backend', end: 'FIN' })
  assert.deepEqual(readAll(loop, backend), { text: 'from client', end: 'FIN' })
  assert.deepEqual(loop.ended, ['finished'])
})

test('a client that ends behind its header, without payload, still gets the whole answer', (t) => {
  const { app, loop } = start(t)
  const client = loop.connect()
  client.send('header\n')
  client.finish()
  const backend = loop.accept(app)
  assert.equal(loop.read(backend), 'FIN')
  backend.send('answer')
  backend.finish()
  assert.deepEqual(readAll(loop, client), { text: 'answer', end: 'FIN' })
})
