import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Connection } from '../dataplane/connection.ts'
import { endpointOf, NO_LIVENESS, TestApp, type TestLimits, TestLoop } from '../dataplane/test-loop.ts'
import { EMFILE } from '../linux/errno.ts'
import { acceptFrom, close } from '../linux/socket.ts'
import { Counters, METRICS } from '../telemetry/metrics.ts'
import { Availability } from './availability.ts'
import { EdgeRole, type EdgeRoleOptions } from './edge-role.ts'

/** An edge in front of `count` backends, all of them up as far as it knows. */
function start(
  t: TestContext,
  count: number,
  options: Partial<EdgeRoleOptions> = {},
  limits: Partial<TestLimits> = {},
) {
  const apps = Array.from({ length: count }, () => new TestApp())
  const healthy = new Int32Array(count).fill(1)
  const role = new EdgeRole(
    {
      listen: endpointOf('0.0.0.0:0'),
      backends: apps.map((app) => app.endpoint),
      healthy,
      proxyHeader: 'NONE',
      liveness: NO_LIVENESS,
      verbosity: 0,
      ...options,
    },
    { log: () => {}, counters: new Counters(), openTotal: new Int32Array(1) },
  )
  const loop = new TestLoop(role, limits)
  t.after(() => {
    loop.close()
    for (const app of apps) app.close()
  })
  return { apps, healthy, role, loop }
}

/** Connects `count` clients; returns how many of them each app got. */
function distribution(loop: TestLoop, apps: readonly TestApp[], count: number): number[] {
  const clients = Array.from({ length: count }, () => loop.connect())
  loop.until('all accepted', () => loop.counters.read(METRICS.accepted.slot) >= count)
  loop.settle()
  const counts = apps.map((app) => {
    for (let accepted = 0; ; accepted++) {
      const fd = acceptFrom(app.fd)
      if (fd < 0) return accepted
      close(fd)
    }
  })
  for (const client of clients) client.close()
  loop.settle()
  return counts
}

test('connections go to the backends in turn', (t) => {
  const { apps, loop } = start(t, 3)
  assert.deepEqual(distribution(loop, apps, 9), [3, 3, 3])
})

test('a backend that is down gets nothing', (t) => {
  const { apps, healthy, loop } = start(t, 3)
  healthy[1] = 0
  assert.deepEqual(distribution(loop, apps, 10)[1], 0)
})

test('with every backend down the client is ended at once, with a reset', (t) => {
  const { healthy, loop } = start(t, 2)
  healthy.fill(0)
  const client = loop.connect()
  assert.equal(loop.read(client), 'ECONNRESET')
  assert.deepEqual(loop.ended, ['no-backend'])
})

test('a backend that refuses is replaced by the next one, with the header and all that the client sent', (t) => {
  const { apps, loop } = start(t, 3, { proxyHeader: 'PROXY_V1' })
  apps[0].close()
  apps[1].close()
  const client = loop.connect()
  client.send('hello')
  const backend = loop.accept(apps[2])
  const expected = new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${loop.endpoint.port}\r\nhello$`)
  let text = ''
  loop.until('everything arrives', () => {
    const received = backend.receive()
    if (received !== 'nothing') text += received
    return text.endsWith('hello')
  })
  assert.match(text, expected)
  assert.equal(loop.counters.read(METRICS.connectRetries.slot), 2)
})

test('the header and the first payload leave in one segment', (t) => {
  const { apps, loop } = start(t, 1, { proxyHeader: 'PROXY_V1' })
  const client = loop.connect()
  client.send('hello')
  assert.match(loop.read(loop.accept(apps[0])), /^PROXY TCP4 [^\r]+\r\nhello$/)
})

test('a client that says nothing still has its backend connected, which gets the header', (t) => {
  const { apps, loop } = start(t, 1, { proxyHeader: 'PROXY_V1' })
  const client = loop.connect()
  const backend = loop.accept(apps[0])
  assert.match(loop.read(backend), /^PROXY TCP4 [^\r]+\r\n$/)
  backend.send('220 ready')
  assert.equal(loop.read(client), '220 ready')
})

test('a client that resets while its backend does not answer frees the connection', (t) => {
  const { apps, loop } = start(t, 1)
  apps[0].ignoreConnections()
  const client = loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 1)
  client.reset()
  loop.until('ended', () => loop.ended.length === 1)
  assert.deepEqual(loop.ended, ['client-left'])
})

test('a full backend gets connections only if all are full', (t) => {
  const { apps, healthy, loop } = start(t, 3)
  healthy.set([Availability.full, Availability.up, Availability.full])
  assert.deepEqual(distribution(loop, apps, 4), [0, 4, 0])
  healthy.set([Availability.full, Availability.down, Availability.full])
  assert.deepEqual(distribution(loop, apps, 4), [2, 0, 2])
})

test('every healthy backend is tried once, each for its own connect timeout, then the client is reset', (t) => {
  const { apps, healthy, loop } = start(t, 4, {}, { connectTimeoutMs: 2_000 })
  healthy[1] = 0
  healthy[3] = 0
  for (const app of apps) app.ignoreConnections()
  const client = loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 1)
  loop.advance(1_999)
  assert.equal(loop.counters.read(METRICS.connectFailures.slot), 0)
  loop.advance(9)
  assert.equal(loop.counters.read(METRICS.connectFailures.slot), 1)
  loop.advance(2_008)
  assert.deepEqual(loop.ended, ['connect-timeout'])
  assert.equal(loop.counters.read(METRICS.connectFailures.slot), 2)
  assert.equal(loop.read(client), 'ECONNRESET')
})

test('without descriptors the edge tries again for as long as the connect timeout, not for ever', (t) => {
  const { role } = start(t, 2)
  const connection = new Connection(0)
  let waitedMs = 0
  for (;;) {
    connection.attempts += 1
    const next = role.afterFailure(connection, EMFILE, 5_000)
    if (next === 'give-up') break
    assert.ok(next > 0, 'it must not spin')
    waitedMs += next
    assert.ok(waitedMs <= 5_000)
  }
  assert.ok(waitedMs >= 4_000, `${waitedMs}`)
})

test('a backend that comes up while others are tried is tried as well; one that was tried is not tried again', (t) => {
  const { apps, healthy, loop } = start(t, 3, {}, { connectTimeoutMs: 1_000 })
  healthy.set([1, 0, 0])
  for (const app of apps) app.ignoreConnections()
  loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 1)
  healthy.set([1, 0, 1])
  loop.advance(1_008)
  assert.deepEqual(loop.ended, [])
  healthy.set([1, 1, 0])
  loop.advance(1_008)
  assert.deepEqual(loop.ended, ['connect-timeout'])
})
