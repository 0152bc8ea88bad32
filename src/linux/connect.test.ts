import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { type ConnectSpec, connectFailure, connectSpec, openConnected } from './connect.ts'
import { openDatagrams, openPort } from './datagram.ts'
import { findFlow, NO_FLOW } from './datagram-sockets.ts'
import { EADDRNOTAVAIL, EAGAIN, errnoName } from './errno.ts'
import { bindTo, close, connectTo, localEndpoint, openListener, receive, setReuseAddress, transmit } from './socket.ts'

const NO_LIVENESS = { keepaliveMs: 0, userTimeoutMs: 0 }
/** In no network of the host: only a transparent socket can have it. */
const FOREIGN = addressOf('198.51.100.7')
const LOOPBACK = addressOf('127.0.0.1')

function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text)
  assert.ok(address, text)
  return address
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

function listen(t: TestContext, at = '127.0.0.1:0'): Endpoint {
  const fd = openListener(endpointOf(at), NO_LIVENESS)
  t.after(() => close(fd))
  const bound = localEndpoint(fd)
  assert.ok(bound)
  return bound
}

/** What became of an attempt: from where it connects, or the step and the error. */
function attempt(t: TestContext, spec: Partial<ConnectSpec>): string {
  const before = openFds()
  const fd = openConnected({ ...connectSpec(), ...spec })
  if (fd < 0) {
    assert.equal(openFds(), before, 'an attempt that failed has left nothing open')
    const { step, error } = connectFailure
    return error === 0 ? step : `${step}: ${errnoName(error)}`
  }
  t.after(() => close(fd))
  const local = localEndpoint(fd)
  return local === undefined ? '' : formatEndpoint(local)
}

function openFds(): number {
  return readdirSync('/proc/self/fd').length
}

test('connections leave from the source and port that are asked for', (t) => {
  const destination = listen(t)
  const source = addressOf('127.0.0.2')
  assert.match(attempt(t, { destination }), /^127\.0\.0\.1:/)
  assert.match(attempt(t, { destination, source }), /^127\.0\.0\.2:/)
  assert.match(attempt(t, { destination, source, sourcePort: 'by-bind' }), /^127\.0\.0\.2:/)
  assert.equal(attempt(t, { destination, source, sourcePort: 5_001 }), '127.0.0.2:5001')
  assert.equal(attempt(t, { destination, source, sourcePort: 5_002, sourceKind: 'any' }), '127.0.0.2:5002')
  assert.equal(attempt(t, { destination, source: FOREIGN, sourcePort: 5_003, sourceKind: 'any' }), '198.51.100.7:5003')
  assert.match(attempt(t, { destination, source: FOREIGN, sourceKind: 'foreign' }), /^198\.51\.100\.7:/)
})

test('a foreign source is none of this host', (t) => {
  const destination = listen(t)
  for (const sourcePort of [5_001, 'by-connect', 'by-bind'] as const) {
    for (const source of [LOOPBACK, addressOf('127.9.9.9')]) {
      assert.equal(attempt(t, { destination, source, sourcePort, sourceKind: 'foreign' }), 'own-source')
    }
  }
})

test('a source that this host does not have needs a transparent socket', (t) => {
  assert.equal(attempt(t, { destination: listen(t), source: FOREIGN }), 'bind: EADDRNOTAVAIL')
})

test('a port that a listener on all addresses holds is in use at bind(2)', (t) => {
  const { port } = listen(t, '0.0.0.0:0')
  assert.equal(
    attempt(t, { destination: listen(t), source: FOREIGN, sourcePort: port, sourceKind: 'foreign' }),
    'bind: EADDRINUSE',
  )
})

test('a port is used towards two destinations at once, and towards one of them only once', (t) => {
  const spec = { source: FOREIGN, sourcePort: 5_001, sourceKind: 'foreign' } as const
  const [first, second] = [listen(t), listen(t)]
  assert.equal(attempt(t, { ...spec, destination: first }), '198.51.100.7:5001')
  assert.equal(attempt(t, { ...spec, destination: second }), '198.51.100.7:5001')
  assert.equal(attempt(t, { ...spec, destination: first }), 'connect: EADDRNOTAVAIL')
})

test('a connection to itself is none', (t) => {
  const destination = parseEndpoint('127.0.0.1:5009')
  assert.ok(destination)
  assert.equal(attempt(t, { destination, source: LOOPBACK, sourcePort: 5_009, sourceKind: 'any' }), 'to-itself')
})

test('what connect(2) and setsockopt(2) refuse is told apart', (t) => {
  const broadcast = parseEndpoint('255.255.255.255:9')
  assert.ok(broadcast)
  assert.match(attempt(t, { destination: broadcast }), /^connect: E/)
  // More than the kernel takes for TCP_KEEPIDLE (tcp(7)).
  const liveness = { keepaliveMs: 40_000_000, userTimeoutMs: 0 }
  assert.equal(attempt(t, { destination: listen(t), liveness }), 'options: EINVAL')
})

test('UDP sockets are as TCP connections: a port towards two destinations at once, towards one only once', (t) => {
  const spec = { transport: 'dgram', source: FOREIGN, sourcePort: 5_101, sourceKind: 'foreign' } as const
  const [first, second] = [endpointOf('127.0.0.1:9001'), endpointOf('127.0.0.1:9002')]
  // The thread keeps the socket with which it asks.
  assert.equal(findFlow(first, second), NO_FLOW)
  assert.equal(attempt(t, { ...spec, destination: first }), '198.51.100.7:5101')
  assert.equal(attempt(t, { ...spec, destination: first, flow: 1 }), 'connect: EADDRNOTAVAIL')
  assert.equal(attempt(t, { ...spec, destination: second }), '198.51.100.7:5101')
  assert.equal(attempt(t, { ...spec, destination: second, flow: 1 }), 'connect: EADDRNOTAVAIL')
  const chosen = attempt(t, { ...spec, destination: first, sourcePort: 'by-connect' })
  assert.match(chosen, /^198\.51\.100\.7:/)
  assert.notEqual(chosen, '198.51.100.7:5101')
  assert.equal(attempt(t, { ...spec, destination: first, source: LOOPBACK }), 'own-source')
  const own = { ...spec, source: LOOPBACK, sourceKind: 'any', destination: endpointOf('127.0.0.1:5101') } as const
  assert.equal(attempt(t, own), 'to-itself')
  assert.match(attempt(t, { transport: 'dgram', destination: first }), /^127\.0\.0\.1:/)
  assert.equal(attempt(t, { ...spec, sourceKind: 'own', destination: first }), 'bind: EADDRNOTAVAIL')
})

test('a UDP port is shared with a socket on all addresses only where that lets others share it', (t) => {
  for (const [port, reuses] of [
    [5_201, false],
    [5_202, true],
  ] as const) {
    const wildcard = openDatagrams(4)
    t.after(() => close(wildcard))
    if (reuses) setReuseAddress(wildcard)
    assert.equal(bindTo(wildcard, addressOf('0.0.0.0'), port), 0)
    const spec = { transport: 'dgram', source: FOREIGN, sourcePort: port, sourceKind: 'foreign' } as const
    const expected = reuses ? `198.51.100.7:${port}` : 'bind: EADDRINUSE'
    assert.equal(attempt(t, { ...spec, destination: endpointOf('127.0.0.1:9001') }), expected)
  }
})

test('a UDP port of ours on all addresses and sockets that leave from its port do not get in the way of each other', (t) => {
  const spec = { transport: 'dgram', source: FOREIGN, sourceKind: 'foreign' } as const
  for (const [port, opensFirst] of [
    [5_401, true],
    [5_402, false],
  ] as const) {
    const open = (): void => {
      const fd = openPort(endpointOf(`0.0.0.0:${port}`))
      t.after(() => close(fd))
    }
    if (opensFirst) open()
    const destination = endpointOf('127.0.0.1:9001')
    assert.equal(attempt(t, { ...spec, sourcePort: port, destination }), `198.51.100.7:${port}`)
    assert.equal(attempt(t, { ...spec, sourcePort: port, destination, flow: 1 }), 'connect: EADDRNOTAVAIL')
    if (!opensFirst) open()
  }
})

for (const [family, source, app] of [
  ['IPv4', LOOPBACK, '127.0.0.1:9101'],
  ['IPv6', addressOf('::1'), '[::1]:9101'],
] as const) {
  test(`a flow that goes on by another socket keeps its ends, and the newest socket hears the answers: ${family}`, (t) => {
    const destination = endpointOf(app)
    const target = openDatagrams(source.family)
    t.after(() => close(target))
    assert.equal(bindTo(target, destination.address, destination.port), 0)
    assert.equal(connectTo(target, { address: source, port: 5_501 }), 0)
    const open = (flow: number): number =>
      openConnected({
        ...connectSpec(),
        transport: 'dgram',
        source,
        sourcePort: 5_501,
        sourceKind: 'any',
        destination,
        flow,
      })
    const [older, newer] = [open(77), open(77)]
    t.after(() => [older, newer].map(close))
    assert.ok(older >= 0 && newer >= 0)
    assert.equal(open(78), -1, 'another flow cannot have them')
    assert.equal(connectFailure.error, EADDRNOTAVAIL)
    const bytes = new Uint8Array(8)
    assert.equal(transmit(target, bytes, 0, 3), 3)
    assert.equal(receive(older, bytes, 0, 8), EAGAIN)
    assert.equal(receive(newer, bytes, 0, 8), 3)
  })
}

test('UDP sockets of IPv6 have their two ends to themselves, too', (t) => {
  const source = addressOf('2001:db8:77::1')
  const destination = endpointOf('[::1]:9001')
  const spec = { transport: 'dgram', source, sourcePort: 5_301, sourceKind: 'foreign', destination } as const
  assert.equal(attempt(t, spec), '[2001:db8:77::1]:5301')
  assert.equal(attempt(t, { ...spec, flow: 1 }), 'connect: EADDRNOTAVAIL')
  assert.equal(attempt(t, { ...spec, destination: endpointOf('[::1]:9002') }), '[2001:db8:77::1]:5301')
})
