import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connection } from '../../dataplane/connection/connection-state.ts'
import { endConnections } from '../../dataplane/worker/worker-thread.ts'
import { EMFILE } from '../../linux/errno.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { Availability } from '../balance/availability.ts'
import { TestEdge } from '../test-edge.ts'

const { down, up, draining } = Availability
const PROXY_V1 = { kind: 'PROXY_V1' } as const

test('connections go to the backends in turn', (t) => {
  assert.deepEqual(new TestEdge(t, 3).spread(9), [3, 3, 3])
})

test('backends that are down or draining get nothing', (t) => {
  const edge = new TestEdge(t, 4)
  edge.show(up, down, up, draining)
  assert.deepEqual(edge.spread(10), [5, 0, 5, 0])
})

test('a backend that is marked down loses new connections at once and keeps those it has', (t) => {
  const edge = new TestEdge(t, 2)
  const { client, backend } = edge.loop.establish(edge.apps[0], 'hello')
  assert.equal(edge.loop.read(backend), 'hello')
  edge.show(down, up)
  assert.deepEqual(edge.spread(4), [0, 4])
  client.send('more')
  assert.equal(edge.loop.read(backend), 'more')
})

test('with every backend down the client is ended at once, with a reset', (t) => {
  const edge = new TestEdge(t, 2)
  edge.show(down, down)
  const client = edge.loop.connect()
  assert.equal(edge.loop.read(client), 'ECONNRESET')
  assert.deepEqual(edge.loop.ended, ['no-backend'])
  assert.equal(edge.frontendCounters().noBackend, 1)
  assert.deepEqual(edge.open(), { backends: [0, 0], frontend: 0 })
})

test('groups get connections in proportion to their target capacity, and more of them once all are full', (t) => {
  const edge = new TestEdge(t, [
    { count: 1, maxConnections: 2 },
    { count: 2, maxConnections: 6 },
  ])
  assert.deepEqual(edge.spread(8), [2, 3, 3])
  assert.deepEqual(edge.spread(8), [2, 3, 3])
})

test('a connection that ends makes room in its group', (t) => {
  const edge = new TestEdge(t, [
    { count: 1, maxConnections: 1 },
    { count: 1, maxConnections: 1 },
  ])
  const first = edge.loop.establish(edge.apps[0])
  edge.loop.establish(edge.apps[1])
  first.client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  assert.deepEqual(edge.spread(1), [1, 0])
})

test('a backend that refuses is replaced by the next one, with the header and all that the client sent', (t) => {
  const edge = new TestEdge(t, 3, { proxyHeader: PROXY_V1 })
  edge.apps[0].close()
  edge.apps[1].close()
  const client = edge.loop.connect()
  client.send('hello')
  const backend = edge.loop.accept(edge.apps[2])
  const expected = new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${edge.loop.endpoint.port}\r\nhello$`)
  let text = ''
  edge.loop.until('everything arrives', () => {
    const received = backend.receive()
    if (received !== 'nothing') text += received
    return text.endsWith('hello')
  })
  assert.match(text, expected)
  assert.equal(edge.loop.counters.read(METRICS.connectRetries.slot), 2)
  assert.deepEqual(
    [0, 1, 2].map((id) => {
      const { connections, connectFailures, connectTimeouts, retries } = edge.backendCounters(id)
      return [connections, connectFailures, connectTimeouts, retries]
    }),
    [
      [1, 1, 0, 0],
      [1, 1, 0, 1],
      [1, 0, 0, 1],
    ],
  )
  const { connections, connectFailures, retries } = edge.frontendCounters()
  assert.deepEqual([connections, connectFailures, retries], [1, 2, 2])
  assert.deepEqual(edge.open(), { backends: [0, 0, 1], frontend: 1 })
})

test('after a failure another group is asked only when its own has nobody left', (t) => {
  const edge = new TestEdge(t, [{ count: 2 }, { count: 1 }])
  edge.apps[0].close()
  edge.apps[1].close()
  edge.loop.connect()
  edge.loop.accept(edge.apps[2])
  assert.deepEqual(edge.open().backends, [0, 0, 1])
  assert.equal(edge.backendCounters(1).connectFailures, 1)
})

for (const [name, isOtherFrontend] of [
  ['is led to what its service has become meanwhile, with all that was for the first', false],
  ['keeps its service where its frontend has become another one, too, whose header may be another', true],
] as const) {
  test(`a client whose only backend does not answer ${name}`, (t) => {
    const edge = new TestEdge(t, [{ count: 1 }, { count: 1 }], { proxyHeader: PROXY_V1 }, { connectTimeoutMs: 3_000 })
    edge.leaveGroup(0)
    edge.apps[0].ignoreConnections()
    const client = edge.loop.connect()
    client.send('hello')
    edge.loop.until('dialled', () => edge.open().backends[0] === 1)
    edge.leaveGroup(1)
    if (isOtherFrontend) edge.entrance.successor = new TestEdge(t, 1).entrance
    edge.loop.advance(3_100)
    if (isOtherFrontend) {
      assert.deepEqual(edge.loop.ended, ['connect-timeout'])
      assert.deepEqual(edge.open(), { backends: [0, 0], frontend: 0 })
      return
    }
    const backend = edge.loop.accept(edge.apps[1])
    assert.match(edge.loop.read(backend), /^PROXY TCP4 [^\r]+\r\nhello$/)
    assert.deepEqual(edge.open(), { backends: [0, 1], frontend: 1 })
  })
}

test('further attempts are bounded', (t) => {
  for (const [retriesMax, attempts] of [
    [0, 1],
    [1, 2],
    [9, 4],
  ]) {
    const edge = new TestEdge(t, 4, { retriesMax })
    for (const app of edge.apps) app.close()
    const client = edge.loop.connect()
    edge.loop.until('ended', () => edge.loop.ended.length === 1)
    assert.deepEqual(edge.loop.ended, ['connect-failed'])
    assert.equal(edge.frontendCounters().connectFailures, attempts)
    assert.equal(edge.frontendCounters().retries, attempts - 1)
    assert.equal(edge.loop.read(client), 'ECONNRESET')
    assert.deepEqual(edge.open(), { backends: [0, 0, 0, 0], frontend: 0 })
  }
})

test('the last attempt goes to another region: backends that fail at once do not cost a client that one could serve', (t) => {
  const groups = [
    { count: 5, region: 'here' },
    { count: 1, region: 'there' },
  ]
  for (const [retriesMax, isServed] of [
    [3, true],
    [1, false],
  ] as const) {
    const edge = new TestEdge(t, groups, { retriesMax, plan: { localRegion: 'here' } })
    for (const app of edge.apps.slice(0, 5)) app.close()
    edge.loop.connect()
    if (isServed) edge.loop.accept(edge.apps[5])
    else edge.loop.until('ended', () => edge.loop.ended.length === 1)
    assert.equal(edge.frontendCounters().retries, retriesMax)
  }
})

test('the header and the first payload leave in one segment', (t) => {
  const edge = new TestEdge(t, 1, { proxyHeader: PROXY_V1 })
  const client = edge.loop.connect()
  client.send('hello')
  assert.match(edge.loop.read(edge.loop.accept(edge.apps[0])), /^PROXY TCP4 [^\r]+\r\nhello$/)
})

test('the header names the address that the client connected to, or the one of the frontend', (t) => {
  const wildcard = new TestEdge(t, 1, { proxyHeader: PROXY_V1 })
  wildcard.loop.connect()
  const { port } = wildcard.loop.endpoint
  assert.match(
    wildcard.loop.read(wildcard.loop.accept(wildcard.apps[0])),
    new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}\r\n$`),
  )
  const named = new TestEdge(t, 1, { proxyHeader: PROXY_V1, frontendAddress: '203.0.113.10', frontendPort: 110 })
  named.loop.connect()
  assert.match(
    named.loop.read(named.loop.accept(named.apps[0])),
    /^PROXY TCP4 127\.0\.0\.1 203\.0\.113\.10 \d+ 110\r\n$/,
  )
})

test('IPv6 clients reach IPv4 backends', (t) => {
  const edge = new TestEdge(t, 1, { proxyHeader: PROXY_V1, listen: '[::1]:0', frontendAddress: '::' })
  const client = edge.loop.connect()
  client.send('hello')
  const backend = edge.loop.accept(edge.apps[0])
  assert.match(edge.loop.read(backend), new RegExp(`^PROXY TCP6 ::1 ::1 \\d+ ${edge.loop.endpoint.port}\r\nhello$`))
  backend.send('hi')
  assert.equal(edge.loop.read(client), 'hi')
})

test('a client that says nothing still has its backend connected, which gets the header', (t) => {
  const edge = new TestEdge(t, 1, { proxyHeader: PROXY_V1 })
  const client = edge.loop.connect()
  const backend = edge.loop.accept(edge.apps[0])
  assert.match(edge.loop.read(backend), /^PROXY TCP4 [^\r]+\r\n$/)
  backend.send('220 ready')
  assert.equal(edge.loop.read(client), '220 ready')
})

test('a version 2 header stands before the first payload', (t) => {
  const proxyHeader = { kind: 'PROXY_V2', crc32c: false, uniqueId: false } as const
  const edge = new TestEdge(t, 1, { proxyHeader, frontendAddress: '203.0.113.10', frontendPort: 110 })
  const client = edge.loop.connect()
  client.send('hello')
  const received = Buffer.from(edge.loop.read(edge.loop.accept(edge.apps[0])), 'latin1')
  assert.equal(received.subarray(0, 24).toString('hex'), '0d0a0d0a000d0a515549540a2111000c7f000001cb00710a')
  assert.equal(received.readUInt16BE(26), 110)
  assert.equal(received.subarray(28).toString(), 'hello')
})

test('a client that resets while its backend does not answer frees the connection', (t) => {
  const edge = new TestEdge(t, 1)
  edge.apps[0].ignoreConnections()
  const client = edge.loop.connect()
  edge.loop.until('accepted', () => edge.loop.loop.openCount === 1)
  assert.deepEqual(edge.open(), { backends: [1], frontend: 1 })
  client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  assert.deepEqual(edge.loop.ended, ['client-left'])
  assert.deepEqual(edge.open(), { backends: [0], frontend: 0 })
})

test('every healthy backend is tried once, each for its own connect timeout, then the client is reset', (t) => {
  const edge = new TestEdge(t, 4, {}, { connectTimeoutMs: 2_000 })
  const failures = (): number => edge.loop.counters.read(METRICS.connectFailures.slot)
  edge.show(up, down, up, down)
  for (const app of edge.apps) app.ignoreConnections()
  const client = edge.loop.connect()
  edge.loop.until('accepted', () => edge.loop.loop.openCount === 1)
  edge.loop.advance(1_999)
  assert.equal(failures(), 0)
  edge.loop.advance(9)
  assert.equal(failures(), 1)
  edge.loop.advance(2_008)
  assert.deepEqual(edge.loop.ended, ['connect-timeout'])
  assert.equal(failures(), 2)
  assert.equal(edge.loop.read(client), 'ECONNRESET')
  assert.deepEqual(
    [0, 1, 2, 3].map((id) => edge.backendCounters(id).connectTimeouts),
    [1, 0, 1, 0],
  )
  assert.equal(edge.frontendCounters().connectTimeouts, 2)
})

test('without descriptors the edge tries again for as long as the connect timeout, not for ever', (t) => {
  const edge = new TestEdge(t, 2)
  const connection = new Connection(0)
  connection.source = edge.loop.endpoint
  connection.entranceId = 0
  let waitedMs = 0
  for (;;) {
    edge.service.dial(connection)
    connection.attempts += 1
    const next = edge.service.afterFailure(connection, EMFILE, 5_000)
    if (next === 'give-up') break
    assert.ok(next > 0, 'it must not spin')
    waitedMs += next
    assert.ok(waitedMs <= 5_000)
  }
  assert.ok(waitedMs >= 4_000, `${waitedMs}`)
  assert.equal(edge.frontendCounters().connectFailures, 0)
})

test('a backend that comes up while others are tried is tried as well; one that was tried is not tried again', (t) => {
  const edge = new TestEdge(t, 3, {}, { connectTimeoutMs: 1_000 })
  edge.show(up, down, down)
  for (const app of edge.apps) app.ignoreConnections()
  edge.loop.connect()
  edge.loop.until('accepted', () => edge.loop.loop.openCount === 1)
  edge.show(up, down, up)
  edge.loop.advance(1_008)
  assert.deepEqual(edge.loop.ended, [])
  edge.show(down, down, up)
  edge.loop.advance(1_008)
  assert.deepEqual(edge.loop.ended, ['connect-timeout'])
})

test('a backend that leaves while its connection is being made is replaced by one that stays', (t) => {
  const edge = new TestEdge(t, 2, {}, { connectTimeoutMs: 1_000 })
  edge.apps[0].ignoreConnections()
  edge.loop.connect()
  edge.loop.until('accepted', () => edge.loop.loop.openCount === 1)
  edge.show(draining, up)
  edge.loop.advance(1_008)
  edge.loop.accept(edge.apps[1])
  assert.deepEqual(edge.open().backends, [0, 1])
})

test('connections of a drained backend are ended with resets, those of others go on', (t) => {
  const edge = new TestEdge(t, 2)
  const leaving = edge.loop.establish(edge.apps[0], 'a')
  const staying = edge.loop.establish(edge.apps[1], 'b')
  edge.loop.read(leaving.backend)
  edge.loop.read(staying.backend)
  edge.show(draining, up)
  endConnections(edge.loop.loop, [0, 77], 'drained')
  assert.deepEqual(edge.loop.ended, ['drained'])
  assert.equal(edge.loop.read(leaving.client), 'ECONNRESET')
  assert.equal(edge.loop.read(leaving.backend), 'ECONNRESET')
  staying.client.send('more')
  assert.equal(edge.loop.read(staying.backend), 'more')
  assert.deepEqual(edge.open(), { backends: [0, 1], frontend: 1 })
})

test('bytes are counted for the backend and the frontend, without the header that we write', (t) => {
  const edge = new TestEdge(t, 1, { proxyHeader: PROXY_V1 })
  const { client, backend } = edge.loop.establish(edge.apps[0], 'hello')
  edge.loop.read(backend)
  backend.send('hello yourself')
  edge.loop.read(client)
  client.finish()
  backend.finish()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  for (const counters of [edge.backendCounters(0), edge.frontendCounters()]) {
    assert.equal(counters.connections, 1)
    assert.equal(counters.bytesFromClient, 5)
    assert.equal(counters.bytesFromBackend, 14)
  }
  assert.deepEqual(edge.open(), { backends: [0], frontend: 0 })
})

test('many connections at once: what is open returns to nothing', (t) => {
  const edge = new TestEdge(t, [{ count: 2, maxConnections: 10 }, { count: 3 }])
  edge.apps[1].close()
  edge.apps[4].close()
  const clients = Array.from({ length: 60 }, () => edge.loop.connect())
  edge.loop.until('accepted', () => edge.loop.counters.read(METRICS.accepted.slot) === 60)
  edge.loop.settle()
  assert.equal(edge.open().frontend, 60)
  for (const client of clients) client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 60)
  assert.deepEqual(edge.open(), { backends: [0, 0, 0, 0, 0], frontend: 0 })
})

test('the backend sees the addresses that the edge was given, in turn', (t) => {
  const sourceAddresses = ['127.0.0.2', '::1', '127.0.0.3', '127.0.0.4']
  const edge = new TestEdge(t, 1, { sourceAddresses })
  const seen = Array.from({ length: 6 }, () => {
    edge.loop.connect()
    return edge.loop.acceptedFrom(edge.apps[0])
  })
  const round = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
  assert.deepEqual(seen, [...round, ...round])
})

test('an address that this host has lost is passed over; without any the connection fails and says so', (t) => {
  const some = new TestEdge(t, 1, { sourceAddresses: ['192.0.2.1', '127.0.0.2'] })
  for (let connection = 0; connection < 3; connection++) {
    some.loop.connect()
    assert.equal(some.loop.acceptedFrom(some.apps[0]), '127.0.0.2')
  }
  assert.equal(some.backendCounters(0).connectFailures, 0)
  const none = new TestEdge(t, 1, { sourceAddresses: ['192.0.2.1', '192.0.2.2'] })
  const client = none.loop.connect()
  assert.equal(none.loop.read(client), 'ECONNRESET')
  assert.deepEqual(none.loop.ended, ['connect-failed'])
  assert.equal(none.records[0].refusal, 'no-source-port')
})

test('a sampled connection gives one record, with its backend and the round trip time', (t) => {
  const edge = new TestEdge(t, [{ name: 'us-central1-b/my-group', count: 1 }], {
    logSampleRate: 1,
    frontendAddress: '203.0.113.10',
    frontendPort: 110,
  })
  const { client, backend } = edge.loop.establish(edge.apps[0], 'hello')
  edge.loop.read(backend)
  edge.loop.nowMs += 1_500
  client.finish()
  backend.finish()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  const [{ startTime, endTime, tcpRttMs, connection, ...rest }, ...more] = edge.records
  assert.deepEqual(more, [])
  assert.deepEqual(rest, {
    serverBytesReceived: '5',
    serverBytesSent: '0',
    end: 'finished',
    refusal: undefined,
    region: 'here',
    regionReason: 'nearest',
    frontend: 'my-rule',
    backendService: 'my-service',
    backend: 'us-central1-b/my-group/backend-0',
    peer: undefined,
  })
  assert.equal((connection as { serverIp: string }).serverIp, '203.0.113.10')
  assert.equal(Date.parse(String(endTime)) - Date.parse(String(startTime)), 1_500)
  assert.ok(typeof tcpRttMs === 'number' && tcpRttMs > 0 && tcpRttMs < 1_000, String(tcpRttMs))
})

test('a part of the connections is logged, as the service says', (t) => {
  const edge = new TestEdge(t, 1, { logSampleRate: 0.25 })
  for (let connection = 1; connection <= 12; connection++) {
    const client = edge.loop.connect()
    edge.loop.accept(edge.apps[0]).close()
    client.close()
    edge.loop.until('ended', () => edge.loop.ended.length === connection)
  }
  assert.equal(edge.records.length, 3)
})

test('without a log, connections that fail still give one record per peer, which names the last backend', (t) => {
  const edge = new TestEdge(t, 1)
  edge.apps[0].close()
  for (let connection = 1; connection <= 3; connection++) {
    edge.loop.connect()
    edge.loop.until('ended', () => edge.loop.ended.length === connection)
  }
  assert.equal(edge.records.length, 1)
  assert.equal(edge.records[0].end, 'connect-failed')
  assert.equal(edge.records[0].backend, 'group-0/backend-0')
})

test('a connection that failed before its place is used again leaves nothing behind', (t) => {
  const edge = new TestEdge(t, 2, { retriesMax: 0 })
  edge.apps[0].close()
  edge.loop.connect()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  edge.loop.connect()
  edge.loop.accept(edge.apps[1])
  assert.deepEqual(edge.backendCounters(1).retries, 0)
})

test('a service never has more connections than its limit: who comes then is reset, and who ends makes room', (t) => {
  const edge = new TestEdge(t, 2, { plan: { maxConnections: 2 } })
  const first = edge.loop.establish(edge.apps[0])
  edge.loop.establish(edge.apps[1])
  const third = edge.loop.connect()
  assert.equal(edge.loop.read(third), 'ECONNRESET')
  assert.deepEqual(edge.loop.ended, ['service-full'])
  assert.equal(edge.frontendCounters().refused, 1)
  assert.deepEqual(edge.open(), { backends: [1, 1], frontend: 2 })
  first.client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 2)
  edge.loop.establish(edge.apps[0])
})

test('failures in a row are counted until a connection reaches its backend; so are those that it breaks at once', (t) => {
  const edge = new TestEdge(t, 2, { retriesMax: 1 })
  const { failuresInRow, brokenInRow } = edge.cells
  edge.apps[0].close()
  for (let connection = 1; connection <= 4; connection++) edge.loop.establish(edge.apps[1])
  assert.deepEqual([failuresInRow[0], failuresInRow[1]], [4, 0])
  const broken = edge.loop.establish(edge.apps[1])
  broken.backend.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 1)
  assert.deepEqual([brokenInRow[0], brokenInRow[1], edge.backendCounters(1).broken], [0, 1, 1])
  // Whoever hangs up before the app has said anything has not shown that it works.
  edge.loop.establish(edge.apps[1]).client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 2)
  assert.equal(brokenInRow[1], 1)
  const spoken = edge.loop.establish(edge.apps[1])
  spoken.backend.send('hello')
  assert.equal(edge.loop.read(spoken.client), 'hello')
  spoken.backend.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 3)
  assert.equal(brokenInRow[1], 0)
})

test('with an affinity a client is sent by its address and that of the frontend, whatever its port', (t) => {
  const edge = new TestEdge(t, 5, {
    plan: { locality: { name: 'MAGLEV', affinity: 'CLIENT_IP', minimumRingSize: 1 } },
  })
  const counts = edge.spread(10)
  assert.deepEqual(
    counts.filter((count) => count > 0),
    [10],
  )
})
