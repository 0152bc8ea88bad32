import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { Connection, type HeaderRead } from '../dataplane/connection/connection-state.ts'
import { NO_LIVENESS, TestApp } from '../dataplane/connection/test-loop.ts'
import { Services } from '../dataplane/worker/services.ts'
import { ECONNREFUSED, EMFILE, ENOMEM, ETIMEDOUT } from '../linux/errno.ts'
import { close, localEndpoint } from '../linux/socket.ts'
import { LoadCell, loadQuestion, parseLoadReport } from '../proxy-protocol/load-report.ts'
import { Counters, METRICS } from '../telemetry/metrics.ts'
import { AgentRole } from './agent-role.ts'
import type { AgentRoleOptions } from './agent-role-options.ts'
import type { AgentService } from './agent-service.ts'

const EDGE = endpointOf('35.191.0.9:40000')
const EDGE6 = endpointOf('[2600:2d00::9]:40000')
/** Nobody listens there: the namespaces of a test run have no other programs. */
const NOBODY4 = endpointOf('127.0.0.1:9')
const NOBODY6 = endpointOf('[::1]:9')

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text)
  assert.ok(address, text)
  return address
}

type Options = Partial<
  Omit<AgentRoleOptions['entrance'] & AgentRoleOptions['service'], 'protocol' | 'transport'> &
    AgentRoleOptions['worker']
>

function start({ load = new Float64Array(2), sourcePort = 'preserve-or-ephemeral', ...options }: Options = {}) {
  const counters = new Counters()
  const messages: string[] = []
  const openTotal = new Int32Array(1)
  const role = new AgentRole(
    { load, newestSockets: null },
    {
      workerIndex: 0,
      log: (_level, message) => messages.push(message),
      counters,
      openTotal,
      flowTotal: new Int32Array(1),
    },
  )
  const timeouts = { connectTimeoutMs: 5_000, idleTimeoutMs: 0, halfClosedTimeoutMs: 0 }
  const { target4 = NOBODY4, target6 = NOBODY6 } = options
  const service = role.makeService({
    transport: 'stream',
    sourcePort,
    mark: 0,
    liveness: NO_LIVENESS,
    target4,
    target6,
    timeouts,
  })
  const services = new Services<AgentService>()
  services.set('port', service)
  const entrance = role.makeEntrance(
    {
      protocol: 'tcp',
      service: 'port',
      headerTimeoutMs: 5_000,
      target4: NOBODY4,
      target6: NOBODY6,
      allowedSubnets: ['35.191.0.0/16'],
      denyPrivateSources: false,
      keepsPort: sourcePort === 'preserve',
      local: 'forward',
      headerLengthMax: 536,
      verbosity: 0,
      portOpen: new Int32Array(1),
      ...options,
    },
    services,
  )
  const read = (header: string | Uint8Array, peer = EDGE): { connection: Connection; result: HeaderRead } => {
    const connection = new Connection(0)
    connection.peer = peer
    const bytes = Buffer.from(header)
    return { connection, result: entrance.readHeader(connection, bytes, bytes.length) }
  }
  return { entrance, service, counters, messages, openTotal, read }
}

function appAt(t: TestContext, endpoint?: Endpoint): TestApp {
  const app = new TestApp(endpoint)
  t.after(() => app.close())
  return app
}

test('who is in a listed subnet is admitted, and nobody else', () => {
  const { entrance } = start({ allowedSubnets: ['35.191.0.0/16', '2600:2d00::/32'] })
  for (const [address, refusal] of [
    ['35.191.255.255', undefined],
    ['::ffff:35.191.0.1', undefined],
    ['2600:2d00::1', undefined],
    ['35.192.0.0', 'untrusted-peer'],
    ['127.0.0.1', 'untrusted-peer'],
    ['2600:2d01::1', 'untrusted-peer'],
  ] as const) {
    assert.equal(entrance.admit(new Connection(0), addressOf(address)), refusal, address)
  }
})

test('an empty list admits nobody, a text that is no subnet admits nobody, and null admits everybody', () => {
  const refusalOf = (allowedSubnets: readonly string[] | null) =>
    start({ allowedSubnets }).entrance.admit(new Connection(0), addressOf('192.0.2.1'))
  assert.equal(refusalOf([]), 'untrusted-peer')
  assert.equal(refusalOf(['everybody']), 'untrusted-peer')
  assert.equal(refusalOf(null), undefined)
})

test('a header names the client, whose family chooses the target', () => {
  const { read } = start()
  const four = read('PROXY TCP4 209.52.88.4 203.0.113.10 51234 110\r\nhello')
  assert.deepEqual(four.result, { kind: 'complete', payloadStart: 47 })
  assert.equal(four.connection.showsPeer, false)
  assert.equal(formatEndpoint(four.connection.source ?? EDGE), '209.52.88.4:51234')
  assert.equal(formatEndpoint(four.connection.target ?? EDGE), '127.0.0.1:9')
  const six = read('PROXY TCP6 2001:db8::4 2001:db8::10 51234 110\r\n')
  assert.equal(formatEndpoint(six.connection.source ?? EDGE), '[2001:db8::4]:51234')
  assert.equal(formatEndpoint(six.connection.target ?? EDGE), '[::1]:9')
})

test('a header that names nobody shows the peer, and is counted', () => {
  const { read, counters } = start()
  for (const [peer, target] of [
    [EDGE, NOBODY4],
    [EDGE6, NOBODY6],
  ] as const) {
    const { connection, result } = read('PROXY UNKNOWN\r\nhello', peer)
    assert.deepEqual(result, { kind: 'complete', payloadStart: 15 })
    assert.equal(connection.showsPeer, true)
    assert.equal(connection.source, peer)
    assert.equal(formatEndpoint(connection.target ?? EDGE), formatEndpoint(target))
  }
  assert.equal(counters.read(METRICS.local.slot), 2)
  read('PROXY TCP4 209.52.88.4 203.0.113.10 51234 110\r\n')
  assert.equal(counters.read(METRICS.local.slot), 2)
})

test('a header that is not whole waits for what is missing', () => {
  assert.deepEqual(start().read('PROXY TCP4').result, { kind: 'incomplete', bytesNeeded: 11 })
})

test('a wrong header and a source that may not be are refused, each counted by its reason', () => {
  const { read, counters } = start({ denyPrivateSources: true, sourcePort: 'preserve', headerLengthMax: 12 })
  const wrong = read('GET / HTTP/1.1\r\n')
  assert.deepEqual(wrong.result, { kind: 'refused', reason: 'header-malformed' })
  assert.equal(wrong.connection.refusal, 'not-proxy')
  assert.equal(counters.read(METRICS.malformed.slots['not-proxy']), 1)
  const signature = '\r\n\r\n\0\r\nQUIT\n'
  assert.equal(read(`${signature}\x20\0\0\x0d`).connection.refusal, 'v2-too-long')
  assert.equal(read(`${signature}\x20\0\0\x0c`).result.kind, 'incomplete')
  for (const [source, reason] of [
    ['127.0.0.1 203.0.113.10 1', 'src-loopback'],
    ['10.0.0.1 203.0.113.10 1', 'src-private'],
    ['209.52.88.4 203.0.113.10 0', 'src-port-zero'],
  ] as const) {
    const { connection, result } = read(`PROXY TCP4 ${source} 110\r\n`)
    assert.deepEqual(result, { kind: 'refused', reason: 'source-refused' })
    assert.equal(connection.refusal, reason)
    assert.equal(counters.read(METRICS.sourceRefused.slots[reason]), 1)
  }
  assert.equal(start().read('PROXY TCP4 10.0.0.1 203.0.113.10 0 110\r\n').result.kind, 'complete')
})

test('a peer that nobody knows is nobody to speak for', () => {
  const { entrance, service } = start()
  const bytes = Buffer.from('PROXY UNKNOWN\r\n')
  assert.deepEqual(entrance.readHeader(new Connection(0), bytes, bytes.length), {
    kind: 'refused',
    reason: 'source-refused',
  })
  assert.deepEqual(service.dial(new Connection(0)), { kind: 'refused', reason: 'source-refused' })
})

test('with --local check a connection without a client is answered by whether the app listens', (t) => {
  const app = appAt(t)
  const listening = start({ local: 'check', target4: app.endpoint })
  assert.deepEqual(listening.read('PROXY UNKNOWN\r\n').result, { kind: 'refused', reason: 'local-probe' })
  assert.deepEqual(listening.read('PROXY UNKNOWN\r\n', EDGE6).result, { kind: 'refused', reason: 'app-down' })
  const client = listening.read('PROXY TCP4 209.52.88.4 203.0.113.10 51234 110\r\n')
  assert.equal(client.result.kind, 'complete', 'a client is none of its business')
})

test('clients of an address family without a target are refused; probes are answered for the other target', (t) => {
  const app = appAt(t)
  const { read } = start({ target4: app.endpoint, target6: null })
  const { connection, result } = read('PROXY TCP6 2600:1901::5 2001:db8::10 51234 110\r\n')
  assert.deepEqual(result, { kind: 'refused', reason: 'connect-failed' })
  assert.equal(connection.refusal, 'no-app-for-family')
  assert.equal(read('PROXY TCP4 209.52.88.4 203.0.113.10 51234 110\r\n').result.kind, 'complete')
  const checking = start({ local: 'check', target4: app.endpoint, target6: null })
  assert.deepEqual(checking.read('PROXY UNKNOWN\r\n', EDGE6).result, { kind: 'refused', reason: 'local-probe' })
  const answer = checking.read(loadQuestion(), EDGE6).result
  assert.ok(answer.kind === 'answer')
  assert.equal(parseLoadReport(Buffer.from(answer.bytes).toString())?.app_listening, true)
})

test('the load question is answered with the load of the host, of the app that the peer would get, and no app is asked', (t) => {
  const app = appAt(t)
  const load = new Float64Array(2)
  load[LoadCell.cpu] = 0.25
  load[LoadCell.memory] = 0.75
  const portOpen = new Int32Array(1)
  const { read, openTotal } = start({ load, target4: app.endpoint, local: 'check', portOpen })
  openTotal[0] = 7
  portOpen[0] = 3
  const question = loadQuestion()
  const { result } = read(Buffer.concat([question, Buffer.from('rest')]))
  assert.ok(result.kind === 'answer')
  assert.equal(result.payloadStart, question.length)
  assert.deepEqual(parseLoadReport(Buffer.from(result.bytes).toString()), {
    cpu_utilization: 0.25,
    mem_utilization: 0.75,
    open_connections: 7,
    port_connections: 3,
    app_listening: true,
  })
  const six = read(question, EDGE6).result
  assert.ok(six.kind === 'answer')
  assert.equal(parseLoadReport(Buffer.from(six.bytes).toString())?.app_listening, false)
})

test('the app sees the client as its peer, at its own port or, where that is taken, at another', (t) => {
  const app = appAt(t)
  const { service, read, counters } = start({ target4: app.endpoint })
  const sources = Array.from({ length: 2 }, () => {
    const { connection } = read('PROXY TCP4 209.52.88.4 203.0.113.10 51234 110\r\n')
    const dial = service.dial(connection)
    assert.ok(dial.kind === 'connecting')
    t.after(() => close(dial.fd))
    assert.equal(dial.isLoopback, true)
    return localEndpoint(dial.fd)
  })
  assert.equal(sources[0] && formatEndpoint(sources[0]), '209.52.88.4:51234')
  assert.match(sources[1] ? formatEndpoint(sources[1]) : '', /^209\.52\.88\.4:(?!51234$)\d+$/)
  const { slots } = METRICS.sourcePortFallbacks
  assert.equal(counters.read(slots['bind-in-use']) + counters.read(slots['connection-in-use']), 1)
})

test('with --source-port preserve a port that is taken is refused, and the refusal counted', (t) => {
  const app = appAt(t)
  const { service, read, counters } = start({ target4: app.endpoint, sourcePort: 'preserve' })
  const header = 'PROXY TCP4 209.52.88.4 203.0.113.10 51235 110\r\n'
  const first = service.dial(read(header).connection)
  assert.ok(first.kind === 'connecting')
  t.after(() => close(first.fd))
  const { connection } = read(header)
  assert.deepEqual(service.dial(connection), { kind: 'refused', reason: 'source-refused' })
  assert.equal(connection.refusal, 'src-port-in-use')
  assert.equal(counters.read(METRICS.sourceRefused.slots['src-port-in-use']), 1)
})

test('an app that refuses, or descriptors that ran out, are worth another attempt after 50, 100, 200, 400, 500 ms', () => {
  const { service } = start()
  const connection = new Connection(0)
  for (const error of [ECONNREFUSED, EMFILE, ENOMEM]) {
    const waits = [1, 2, 3, 4, 5, 6, 1_000].map((attempts) => {
      connection.attempts = attempts
      return service.afterFailure(connection, error, 5_000)
    })
    assert.deepEqual(waits, [50, 100, 200, 400, 500, 500, 500])
  }
})

test('a target that refuses twice although its app is there is not tried again, and the record says why', (t) => {
  const app = appAt(t)
  const sixOfApp = { address: NOBODY6.address, port: app.endpoint.port }
  for (const { target, target6, refusal } of [
    { target: app.endpoint, target6: NOBODY6, refusal: 'rejected-by-firewall' },
    { target: sixOfApp, target6: sixOfApp, refusal: 'no-app-for-family' },
    // Another app.
    { target: NOBODY6, target6: NOBODY6, refusal: '' },
  ]) {
    const { service } = start({ target4: app.endpoint, target6 })
    const connection = new Connection(0)
    connection.target = target
    const next = [1, 2].map((attempts) => {
      connection.attempts = attempts
      return service.afterFailure(connection, ECONNREFUSED, 5_000)
    })
    assert.deepEqual(next, [50, refusal === '' ? 100 : 'give-up'], refusal)
    assert.equal(connection.refusal, refusal)
  }
})

test('an app that was there once, and is not any more, may be restarting', (t) => {
  const app = new TestApp()
  const { service } = start({ target4: app.endpoint })
  const connection = new Connection(0)
  connection.target = app.endpoint
  connection.attempts = 1
  assert.equal(service.afterFailure(connection, ECONNREFUSED, 5_000), 50)
  app.close()
  assert.equal(service.afterFailure(connection, ECONNREFUSED, 5_000), 50)
  appAt(t, app.endpoint)
  assert.equal(service.afterFailure(connection, ECONNREFUSED, 5_000), 50)
})

test('an attempt that could only begin after the timeout, or after another error, is given up', () => {
  const { service } = start()
  const connection = new Connection(0)
  connection.attempts = 1
  assert.equal(service.afterFailure(connection, ECONNREFUSED, 51), 50)
  assert.equal(service.afterFailure(connection, ECONNREFUSED, 50), 'give-up')
  assert.equal(service.afterFailure(connection, ETIMEDOUT, 5_000), 'give-up')
})

test('an end is reported as much as the operator asked for, and a refused source always', () => {
  const end = (verbosity: 0 | 2): readonly string[] => {
    const { entrance, messages } = start({ verbosity })
    const connection = new Connection(0)
    connection.peer = EDGE
    for (const reason of ['finished', 'source-refused'] as const) entrance.onEnd(connection, reason)
    return messages
  }
  assert.equal(end(0).length, 1)
  assert.equal(end(2).length, 2)
})

test('an agent expects a header, writes none, and has one timeout for all attempts', () => {
  const { entrance, service } = start()
  assert.deepEqual([entrance.expectsHeader, entrance.writesHeader, service.sharesConnectTimeout], [true, false, true])
  assert.equal(entrance.writeHeader(), 0)
  assert.equal(entrance.route(), service)
})
