import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import {
  adoptPort,
  DATAGRAMS_PER_BATCH,
  DatagramBatch,
  HEADROOM_BYTES,
  LOCAL_INTS,
  openDatagrams,
  openPeerSocket,
  openPort,
  PEER_INTS,
} from './datagram.ts'
import { EAGAIN, ECONNREFUSED, EFAULT, EMSGSIZE, errnoName } from './errno.ts'
import { native } from './native.ts'
import { bindTo, close, connectTo, localEndpoint } from './socket.ts'

const SOL_SOCKET = 1
const SO_BROADCAST = 6
const SO_RCVBUF = 8

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

/** A port on `at`, and where it is. */
function port(t: TestContext, at = '127.0.0.1:0') {
  const fd = openPort(endpointOf(at))
  t.after(() => close(fd))
  const endpoint = localEndpoint(fd)
  assert.ok(endpoint)
  return { fd, endpoint }
}

/** A socket of `from` that is connected to `to`. */
function client(t: TestContext, to: Endpoint, from?: Endpoint) {
  const fd = openDatagrams(to.address.family)
  t.after(() => close(fd))
  if (from !== undefined) assert.equal(bindTo(fd, from.address, from.port), 0)
  assert.equal(connectTo(fd, to), 0)
  const endpoint = localEndpoint(fd)
  assert.ok(endpoint)
  return { fd, endpoint }
}

function sendText(fd: number, text: string): void {
  assert.equal(native.send(fd, Buffer.from(text), 0, text.length, 0), text.length)
}

/** What one socket has received, up to a batch. */
function texts(fd: number, batch = new DatagramBatch()): string[] {
  const count = batch.receive(fd, 0, DATAGRAMS_PER_BATCH)
  if (count === EAGAIN) return []
  assert.ok(count >= 0, errnoName(count))
  return Array.from({ length: count }, (_, slot) =>
    Buffer.from(batch.bytes.subarray(batch.start(slot), batch.end(slot))).toString(),
  )
}

/** Sends one datagram of a batch; 0 or a negated errno. */
function sendOne(batch: DatagramBatch, fd: number, slot: number): number {
  batch.enqueue(slot, fd, false)
  batch.sendAll()
  return batch.result(slot)
}

/** Sends each of these back to where it came from. */
function answer(fd: number, batch: DatagramBatch, count: number): void {
  const peer = new Int32Array(PEER_INTS)
  const local = new Int32Array(LOCAL_INTS)
  for (let slot = 0; slot < count; slot++) {
    batch.copyPeer(slot, peer, 0)
    batch.copyLocal(slot, local, 0)
    batch.addressToPeer(slot, peer, 0, local, 0)
    batch.enqueue(slot, fd, false)
  }
  batch.sendAll()
  for (let slot = 0; slot < count; slot++) assert.equal(batch.result(slot), 0)
}

test('datagrams of many peers come with one call, each with its bytes and its sender, and so do the empty ones', (t) => {
  const { fd, endpoint } = port(t)
  const [one, other] = [client(t, endpoint), client(t, endpoint)]
  for (const [from, text] of [
    [one, 'first'],
    [other, ''],
    [one, 'third'],
  ] as const)
    sendText(from.fd, text)
  const batch = new DatagramBatch()
  assert.deepEqual(texts(fd, batch), ['first', '', 'third'])
  const peers = [0, 1, 2].map((slot) => formatEndpoint(batch.peer(slot)))
  assert.deepEqual(
    peers,
    [one, other, one].map((from) => formatEndpoint(from.endpoint)),
  )
  assert.equal(batch.local(0), undefined, 'the port has one address')
  assert.equal(batch.receive(fd, 0, DATAGRAMS_PER_BATCH), EAGAIN)
})

test('one call sends to many peers; what is in the headroom goes with it', (t) => {
  const { fd, endpoint } = port(t)
  const clients = Array.from({ length: 5 }, () => client(t, endpoint))
  for (const [index, from] of clients.entries()) sendText(from.fd, `${index}`)
  const batch = new DatagramBatch()
  assert.equal(batch.receive(fd, 0, DATAGRAMS_PER_BATCH), 5)
  for (let slot = 0; slot < 5; slot++) {
    const start = batch.start(slot) - HEADROOM_BYTES
    batch.bytes.fill(0x2d, start, batch.start(slot))
    batch.setRange(slot, start, batch.end(slot))
  }
  answer(fd, batch, 5)
  for (const [index, from] of clients.entries()) {
    assert.deepEqual(texts(from.fd), [`${'-'.repeat(HEADROOM_BYTES)}${index}`])
  }
})

test('a connected socket needs no address for what it sends', (t) => {
  const { fd, endpoint } = port(t)
  const target = port(t)
  const flow = client(t, target.endpoint)
  sendText(client(t, endpoint).fd, 'hello')
  const batch = new DatagramBatch()
  assert.equal(batch.receive(fd, 0, 1), 1)
  batch.addressToTarget(0)
  assert.equal(sendOne(batch, flow.fd, 0), 0)
  assert.deepEqual(texts(target.fd), ['hello'])
})

for (const at of ['0.0.0.0:0', '[::]:0']) {
  test(`a port on ${at} answers what came to a broadcast address from one of the host`, (t) => {
    const { fd, endpoint } = port(t, at)
    const from = openDatagrams(4)
    t.after(() => close(from))
    assert.equal(native.setsockoptInt(from, SOL_SOCKET, SO_BROADCAST, 1), 0)
    assert.equal(connectTo(from, endpointOf(`127.255.255.255:${endpoint.port}`)), 0)
    sendText(from, 'who is there?')
    assert.equal(connectTo(from, endpointOf(`127.0.0.1:${endpoint.port}`)), 0)
    const batch = new DatagramBatch()
    assert.deepEqual(texts(fd, batch), ['who is there?'])
    answer(fd, batch, 1)
    assert.deepEqual(texts(from), ['who is there?'])
  })
}

for (const [at, addresses] of [
  ['0.0.0.0:0', ['127.0.0.5', '127.0.0.6']],
  ['[::]:0', ['127.0.0.5', '::1']],
] as const) {
  test(`a port on ${at} says to which address a datagram came, and answers from it`, (t) => {
    const { fd, endpoint } = port(t, at)
    const batch = new DatagramBatch()
    for (const address of addresses) {
      const to = endpointOf(`${address.includes(':') ? `[${address}]` : address}:${endpoint.port}`)
      // Connected: what comes from another address than was asked is not received.
      const from = client(t, to)
      sendText(from.fd, address)
      assert.deepEqual(texts(fd, batch), [address])
      const local = batch.local(0)
      assert.equal(local && formatIpAddress(local), address)
      assert.equal(formatEndpoint(batch.peer(0)), formatEndpoint(from.endpoint))
      answer(fd, batch, 1)
      assert.deepEqual(texts(from.fd), [address])
    }
  })
}

test('the largest datagram passes whole; one byte more, and the kernel says so', (t) => {
  const { fd, endpoint } = port(t)
  const from = client(t, endpoint)
  const batch = new DatagramBatch()
  const start = batch.room(7)
  for (let i = 0; i < 65_508; i++) batch.bytes[start + i] = i % 251
  batch.addressToTarget(7)
  batch.setRange(7, start, start + 65_508)
  assert.equal(sendOne(batch, from.fd, 7), EMSGSIZE)
  batch.setRange(7, start, start + 65_507)
  assert.equal(sendOne(batch, from.fd, 7), 0)
  const received = new DatagramBatch()
  assert.equal(received.receive(fd, 0, 1), 1)
  assert.equal(received.isTruncated(0), false)
  assert.equal(received.end(0) - received.start(0), 65_507)
  for (let i = 0; i < 65_507; i += 13) assert.equal(received.bytes[received.start(0) + i], i % 251)
})

test('what the queue had no room for is told with what comes after it', (t) => {
  const { fd, endpoint } = port(t)
  assert.equal(native.setsockoptInt(fd, SOL_SOCKET, SO_RCVBUF, 4_096), 0)
  const from = client(t, endpoint)
  for (let i = 0; i < 40; i++) sendText(from.fd, `${i}`)
  const batch = new DatagramBatch()
  const queued = texts(fd, batch).length
  assert.ok(queued < 40, `${queued}`)
  assert.equal(batch.droppedBefore(0), 0)
  sendText(from.fd, 'after')
  assert.deepEqual(texts(fd, batch), ['after'])
  assert.equal(batch.droppedBefore(0), 40 - queued)
})

test('an ICMP error comes back once, and the next datagram is tried', (t) => {
  const gone = port(t)
  const flow = client(t, gone.endpoint)
  close(gone.fd)
  const batch = new DatagramBatch()
  batch.addressToTarget(0)
  batch.setRange(0, batch.room(0), batch.room(0) + 3)
  assert.equal(sendOne(batch, flow.fd, 0), 0)
  assert.equal(batch.receive(flow.fd, 0, 1), ECONNREFUSED)
  assert.equal(batch.receive(flow.fd, 0, 1), EAGAIN)
  const back = openPort(gone.endpoint)
  assert.equal(sendOne(batch, flow.fd, 0), 0)
  assert.deepEqual(texts(back), ['\0\0\0'])
  // The test's end closes this number.
  assert.equal(back, gone.fd)
})

for (const at of ['127.0.0.1:0', '[::]:0']) {
  test(`a socket connected to a peer takes its datagrams over from a port on ${at}, and answers from there`, (t) => {
    const { fd, endpoint } = port(t, at)
    const to = endpointOf(`127.0.0.1:${endpoint.port}`)
    const [moved, other] = [client(t, to), client(t, to)]
    sendText(moved.fd, 'before')
    const batch = new DatagramBatch()
    assert.deepEqual(texts(fd, batch), ['before'])
    const peer = new Int32Array(PEER_INTS)
    batch.copyPeer(0, peer, 0)
    const taken = openPeerSocket(endpoint.address.family, to, peer, batch.local(0) !== undefined)
    assert.ok(taken >= 0, errnoName(taken))
    t.after(() => close(taken))
    for (let i = 0; i < 20; i++) {
      sendText(moved.fd, 'moved')
      sendText(other.fd, 'other')
    }
    assert.deepEqual(texts(taken, batch), Array(20).fill('moved'))
    const again = new Int32Array(PEER_INTS)
    batch.copyPeer(0, again, 0)
    assert.deepEqual(again, peer, 'the peer is known by the same integers')
    assert.deepEqual(texts(fd), Array(20).fill('other'))
    batch.addressToTarget(0)
    assert.equal(sendOne(batch, taken, 0), 0)
    assert.deepEqual(texts(moved.fd), ['moved'])
  })
}

test('an inherited port is taken over with what a worker needs to know', (t) => {
  const inherited = openDatagrams(4)
  t.after(() => close(inherited))
  assert.equal(bindTo(inherited, endpointOf('0.0.0.0:0').address, 0), 0)
  const endpoint = localEndpoint(inherited)
  assert.ok(endpoint)
  const fd = adoptPort(inherited, endpoint)
  t.after(() => close(fd))
  sendText(client(t, endpointOf(`127.0.0.9:${endpoint.port}`)).fd, 'x')
  const batch = new DatagramBatch()
  assert.deepEqual(texts(fd, batch), ['x'])
  const local = batch.local(0)
  assert.equal(local && formatIpAddress(local), '127.0.0.9')
})

test('a port that is taken names the endpoint, the error and the remedy', (t) => {
  const taken = openDatagrams(4)
  t.after(() => close(taken))
  assert.equal(bindTo(taken, endpointOf('127.0.0.1:0').address, 0), 0)
  const endpoint = localEndpoint(taken)
  assert.ok(endpoint)
  assert.throws(
    () => openPort(endpoint),
    new RegExp(`Receiving on "127.0.0.1:${endpoint.port}" \\(UDP\\): EADDRINUSE; another program receives there`),
  )
})

test('slots that a batch does not have are refused, not written to', (t) => {
  const { fd } = port(t)
  const batch = new DatagramBatch()
  for (const [from, to] of [
    [0, DATAGRAMS_PER_BATCH + 1],
    [-1, 3],
    [3, 1],
    [DATAGRAMS_PER_BATCH, DATAGRAMS_PER_BATCH + 1],
  ]) {
    assert.equal(batch.receive(fd, from, to), EFAULT)
  }
  batch.setRange(0, batch.bytes.length - 1, batch.bytes.length + 1)
  batch.enqueue(0, fd, false)
  assert.throws(() => batch.sendAll(), /EFAULT/)
})

test('one call receives from many sockets, so much of each, and says what each had', (t) => {
  const ports = Array.from({ length: 4 }, () => port(t))
  const from = ports.map(({ endpoint }) => client(t, endpoint))
  // The third has none.
  for (const [index, count] of [3, 40, 0, 40].entries()) {
    for (let i = 0; i < count; i++) sendText(from[index].fd, `${index}.${i}`)
  }
  const batch = new DatagramBatch()
  const sources = Int32Array.from(ports.flatMap(({ fd }) => [fd, 0]))
  assert.equal(batch.receiveEach(sources, 4, 32), 4)
  assert.deepEqual(
    [1, 3, 5, 7].map((at) => sources[at]),
    [3, 32, EAGAIN, 29],
  )
  const received = Array.from({ length: DATAGRAMS_PER_BATCH }, (_, slot) =>
    Buffer.from(batch.bytes.subarray(batch.start(slot), batch.end(slot))).toString(),
  )
  const expected = [3, 32, 0, 29].flatMap((count, index) => Array.from({ length: count }, (_, i) => `${index}.${i}`))
  assert.deepEqual(received, expected)
  // The fourth fills the slots that the second has left; nothing is said of whom there is no slot for.
  const again = Int32Array.from([1, 3, 1, 3].flatMap((index) => [ports[index].fd, 7]))
  for (let i = 0; i < DATAGRAMS_PER_BATCH; i++) sendText(from[1].fd, 'more')
  assert.equal(batch.receiveEach(again, 4, 64), 1)
  assert.deepEqual(
    [1, 3, 5, 7].map((at) => again[at]),
    [64, 7, 7, 7],
  )
})

test('one call sends by many sockets; one that fails is told of, and does not keep the others', (t) => {
  const targets = Array.from({ length: 3 }, () => port(t))
  const flows = targets.map(({ endpoint }) => client(t, endpoint))
  const batch = new DatagramBatch()
  const order = [0, 1, 1, 1, -1, 2]
  for (const [slot, index] of order.entries()) {
    const start = batch.room(slot)
    batch.bytes[start] = 0x30 + slot
    batch.addressToTarget(slot)
    // The third is larger than a datagram can be.
    batch.setRange(slot, start, start + (slot === 2 ? 65_508 : 1))
    if (index >= 0) batch.enqueue(slot, flows[index].fd, false)
  }
  batch.sendAll()
  assert.deepEqual(
    [0, 1, 2, 3, 5].map((slot) => batch.result(slot)),
    [0, 0, EMSGSIZE, 0, 0],
  )
  assert.deepEqual(
    targets.map(({ fd }) => texts(fd)),
    [['0'], ['1', '3'], ['5']],
  )
})

test('datagrams of one length to one receiver are joined on request, and come out as they went in', (t) => {
  const { fd, endpoint } = port(t)
  const from = client(t, endpoint)
  const batch = new DatagramBatch()
  const lengths = [5, 5, 5, 4, 4, 0, 0, 5, 5]
  for (const [slot, length] of lengths.entries()) {
    const start = batch.room(slot)
    batch.bytes.fill(0x30 + slot, start, start + length)
    batch.addressToTarget(slot)
    batch.setRange(slot, start, start + length)
    batch.enqueue(slot, from.fd, slot < 8)
  }
  batch.sendAll()
  const joined = lengths.map((_, slot) => batch.isJoined(slot))
  assert.deepEqual(joined, [true, true, true, true, true, false, false, false, false])
  assert.deepEqual(
    lengths.map((_, slot) => batch.result(slot)),
    lengths.map(() => 0),
  )
  assert.deepEqual(
    texts(fd),
    lengths.map((length, slot) => `${slot}`.repeat(length)),
  )
})

test('what is joined is never longer than a datagram can be, and fails together', (t) => {
  const { fd, endpoint } = port(t)
  const from = client(t, endpoint)
  const batch = new DatagramBatch()
  for (let slot = 0; slot < 3; slot++) {
    batch.addressToTarget(slot)
    batch.setRange(slot, batch.room(slot), batch.room(slot) + 30_000)
    batch.enqueue(slot, from.fd, true)
  }
  batch.sendAll()
  assert.deepEqual(
    [0, 1, 2].map((slot) => batch.isJoined(slot)),
    [true, true, false],
  )
  // lo has room for them in one packet.
  assert.deepEqual(
    [0, 1, 2].map((slot) => batch.result(slot)),
    [0, 0, 0],
  )
  close(fd)
  assert.deepEqual(texts(from.fd), [])
  for (let slot = 0; slot < 2; slot++) batch.enqueue(slot, from.fd, true)
  batch.sendAll()
  for (let slot = 0; slot < 2; slot++) batch.enqueue(slot, from.fd, true)
  batch.sendAll()
  assert.deepEqual(
    [0, 1].map((slot) => batch.result(slot)),
    [ECONNREFUSED, ECONNREFUSED],
  )
  batch.sendAgain(0)
  assert.equal(batch.result(0), 0)
  assert.equal(openPort(endpoint), fd, 'the end of the test closes this number')
})
