import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { formatEndpoint } from '../../address/endpoint.ts'
import { ipv4Address } from '../../address/ip-address.ts'
import { connectSpec, openConnected } from '../../linux/connect.ts'
import { SO_RCVBUF, SOL_SOCKET } from '../../linux/constants.ts'
import { ECONNREFUSED } from '../../linux/errno.ts'
import { native } from '../../linux/native.ts'
import { connectTo, localEndpoint, openListener } from '../../linux/socket.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { connectSocket, endpointOf, LineRole, NO_LIVENESS, TestApp, type TestSocket } from '../connection/test-loop.ts'
import { Flow, Verdict } from './datagram-entrance.ts'
import { ownEndpoint } from './port.ts'
import { LetterEntrance, TestDatagrams, TestFlows } from './test-flows.ts'

/** socket(7) */
const SO_NO_CHECK = 11

function start(t: TestContext, options: ConstructorParameters<typeof TestFlows>[0] = {}): TestFlows {
  const flows = new TestFlows(options)
  t.after(() => flows.close())
  return flows
}

function client(t: TestContext, ...args: ConstructorParameters<typeof TestDatagrams>): TestDatagrams {
  const socket = new TestDatagrams(...args)
  t.after(() => socket.close())
  return socket
}

test('a datagram opens a flow, later ones go the same way, and answers come back, the empty ones, too', (t) => {
  const flows = start(t)
  const { app } = flows
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'ahello', 'a', 'aagain'), ['hello', '', 'again'])
  assert.equal(flows.openCount, 1)
  assert.deepEqual(flows.ask(edge, 'bother', 'asame'), ['other', 'same'])
  assert.equal(flows.openCount, 2)
  assert.equal(app.echo(), 0)
  const { slots } = METRICS.datagrams
  assert.deepEqual(
    [slots['client-to-backend'], slots['backend-to-client']].map((slot) => flows.counters.read(slot)),
    [5, 5],
  )
  const bytes = METRICS.datagramBytes.slots
  assert.deepEqual(
    [bytes['client-to-backend'], bytes['backend-to-client']].map((slot) => flows.counters.read(slot)),
    [19, 19],
  )
  assert.equal(flows.counters.read(METRICS.flowsOpened.slot), 2)
  assert.equal(flows.counters.read(METRICS.flowsOpen.slot), 2)
})

test('flows of one batch keep the order of what each was sent', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  const texts = Array.from({ length: 60 }, (_, i) => `${'abc'[i % 3]}${i}`)
  const answers = flows.ask(edge, ...texts)
  for (const letter of 'abc') {
    const sent = texts.filter((text) => text.startsWith(letter)).map((text) => text.slice(1))
    assert.deepEqual(
      answers.filter((text) => sent.includes(text)),
      sent,
    )
  }
})

test('where the kernel does not take several datagrams as one message, they go one by one from then on', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1', 'a2'), ['1', '2'])
  const [flow] = flows.loop.flows?.from(0, 1).flows ?? []
  assert.deepEqual([flow.mayJoin, flows.port.mayJoin], [true, true])
  // Without checksums there is nothing that it could cut.
  for (const { fd } of [flow, flows.port]) assert.equal(native.setsockoptInt(fd, SOL_SOCKET, SO_NO_CHECK, 1), 0)
  assert.deepEqual(flows.ask(edge, 'a3', 'a4', 'a5'), ['3', '4', '5'])
  assert.deepEqual([flow.mayJoin, flows.port.mayJoin], [false, false])
  assert.deepEqual(flows.ask(edge, 'a6', 'a7'), ['6', '7'])
  assert.equal(flow.errors, 0)
})

test('only many datagrams in a turn make the next ones wait, and only while none is left', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  flows.ask(edge, 'a')
  const busyAfter = (count: number): boolean | undefined => {
    for (let i = 0; i < count; i++) edge.send('a')
    flows.loop.step(0)
    return flows.loop.flows?.isBusy
  }
  assert.deepEqual([busyAfter(0), busyAfter(1), busyAfter(7), busyAfter(8)], [false, false, false, true])
  assert.equal(busyAfter(257), false, 'one is left')
  assert.equal(busyAfter(0), false)
})

test('answers go to the socket from which the last datagram of the flow has come', (t) => {
  const flows = start(t)
  const [before, after] = [client(t, { to: flows.endpoint }), client(t, { to: flows.endpoint })]
  assert.deepEqual(flows.ask(before, 'afirst'), ['first'])
  assert.deepEqual(flows.ask(after, 'asecond'), ['second'])
  assert.equal(flows.openCount, 1)
  assert.deepEqual(before.receive(), [])
})

test('peers at other addresses have flows of their own', (t) => {
  const flows = start(t)
  const edges = ['127.0.0.1', '127.0.0.2'].map((address) =>
    client(t, {
      at: {
        ...flows.endpoint,
        address: { family: 4, w0: 0, w1: 0, w2: 0, w3: address.endsWith('1') ? 0x7f000001 : 0x7f000002 },
        port: 0,
      },
      to: flows.endpoint,
    }),
  )
  for (const [index, edge] of edges.entries()) assert.deepEqual(flows.ask(edge, `a${index}`), [`${index}`])
  assert.equal(flows.openCount, 2)
})

test('the largest datagrams pass both ways; one that is too large with what comes in front of it is counted', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  const [answer] = flows.ask(edge, Buffer.alloc(65_507, 'a'))
  assert.equal(answer.length, 65_506)
  flows.entrance.prefix = Buffer.from('0123456789')
  assert.deepEqual(flows.ask(edge, Buffer.alloc(65_507, 'b')), [])
  assert.equal(flows.dropped('too-large'), 1)
  assert.deepEqual(flows.ask(edge, 'b!'), ['0123456789!'])
})

test('prefixes are written in front of datagrams and of answers, and payload is counted without them', (t) => {
  const flows = start(t)
  flows.entrance.prefix = Buffer.from('<to>')
  flows.entrance.answerPrefix = Buffer.from('<back>')
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'ax', 'a'), ['<back><to>x', '<back><to>'])
  flows.loop.close()
  assert.deepEqual(flows.entrance.totals, [[2, 1, 2, 9]])
})

test('what is dropped and what is answered at once has no flow', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, '', 'X', '?'), ['answer'])
  assert.equal(flows.openCount, 0)
  assert.equal(flows.dropped('header-missing'), 1)
  assert.equal(flows.dropped('header-malformed'), 1)
})

test('an entrance that meets a datagram can drop it, keep it, or have another flow take its place', (t) => {
  const flows = start(t)
  const { entrance } = flows
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  const meet = entrance.meet.bind(entrance)
  entrance.meet = (_flow, datagram) => datagram.drop('header-malformed')
  assert.deepEqual(flows.ask(edge, 'a2'), [])
  assert.equal(flows.dropped('header-malformed'), 1)
  entrance.meet = meet
  entrance.verdict = Verdict.Done
  assert.deepEqual(flows.ask(edge, 'a2'), [])
  entrance.verdict = Verdict.Replace
  // The second ends the flow of the first, which must still be sent by it.
  assert.deepEqual(flows.ask(edge, 'a3', 'a4').at(-1), '4')
  assert.deepEqual(entrance.ended, ['backend-unhealthy', 'backend-unhealthy'])
  assert.equal(flows.openCount, 1)
  assert.deepEqual(
    entrance.totals.map(([datagrams]) => datagrams),
    [1, 1],
  )
})

test('a flow that gets a newer socket goes on by that one, and what had come to the one before is passed on', (t) => {
  const flows = start(t)
  const { app, entrance } = flows
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  const [flow] = flows.loop.flows?.from(0, 1).flows ?? []
  const before = localEndpoint(flow.fd)
  const descriptors = readdirSync('/proc/self/fd').length
  edge.send('a2')
  flows.settle()
  app.echo()
  entrance.renew = () => openConnected({ ...connectSpec(), transport: 'dgram', destination: app.endpoint })
  entrance.verdict = Verdict.Renew
  edge.send('a3')
  flows.loop.step(0)
  assert.deepEqual(edge.receive(), ['2'])
  assert.notDeepEqual(localEndpoint(flow.fd), before)
  entrance.renew = () => -1
  assert.deepEqual(flows.ask(edge, 'a4'), ['3', '4'], 'there is none: it goes on by the one it has')
  assert.deepEqual([entrance.ended, readdirSync('/proc/self/fd').length], [[], descriptors])
})

test('flows of a client that has a share of its own make way for each other, but for those that were confirmed', (t) => {
  const flows = start(t)
  const { entrance } = flows
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'z1'), ['1'])
  entrance.groupsByPeer = false
  const open = entrance.open.bind(entrance)
  entrance.open = (flow, datagram) => {
    const shared = ipv4Address(0x0a000001)
    if (flows.openCount > 2 && !datagram.makeWay(shared)) {
      datagram.drop('client-limit')
      return -1
    }
    flow.sharedBy = shared
    return open(flow, datagram)
  }
  for (const text of ['a1', 'a2', 'b1', 'c1', 'c2']) assert.deepEqual(flows.ask(edge, text), [text.slice(1)])
  assert.deepEqual(entrance.ended, ['client-limit'])
  assert.deepEqual(flows.ask(edge, 'd1', 'a3', 'c3', 'z2'), ['3', '3', '2'])
  assert.equal(flows.dropped('client-limit'), 1)
  assert.deepEqual([entrance.ended, entrance.opened.length], [['client-limit'], 4])
})

test('an app that is away is told of by errno; nothing has to be waited for when it is back', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  const { endpoint } = flows.app
  flows.app.close()
  for (const text of ['a2', 'a3', 'a4']) {
    edge.send(text)
    flows.settle()
  }
  assert.ok(flows.counters.read(METRICS.flowErrors.slots.ECONNREFUSED) >= 2)
  assert.equal(flows.logged.length, 1)
  const back = client(t, { at: endpoint })
  edge.send('a5')
  flows.settle()
  assert.equal(back.echo(), 1)
  flows.settle()
  assert.deepEqual(edge.receive(), ['5'])
  flows.loop.close()
  assert.equal(flows.entrance.lastError, ECONNREFUSED)
})

test('an error that is told in place of sending counts against the target, and the datagram is sent once more', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  flows.app.close()
  // The second is sent before anybody has asked what has become of the first.
  for (const text of ['a2', 'a3']) {
    edge.send(text)
    flows.loop.step(0)
  }
  flows.settle()
  assert.equal(flows.loop.flows?.from(0, 1).flows[0].errors, 2)
  assert.equal(flows.counters.read(METRICS.datagrams.slots['client-to-backend']), 3)
  assert.equal(flows.dropped('unreachable'), 0)
})

test('a flow whose place another had before begins with nothing of that one', (t) => {
  const flows = start(t)
  const { entrance } = flows
  const seen: Flow[] = []
  const open = entrance.open.bind(entrance)
  entrance.open = (flow, datagram) => {
    seen.push(Object.assign(new Flow(flow.index), flow))
    const fd = open(flow, datagram)
    const everything = { showsPeer: true, refusal: 'x', entranceId: 1, choice: 1, choiceGroup: 1, choiceReason: 1 }
    Object.assign(flow, everything, { destination: flow.target, tlvs: [{}], header: Buffer.of(1), state: 1 })
    flow.sharedBy = ipv4Address(1)
    return fd
  }
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  flows.advance(61_000)
  assert.deepEqual(flows.ask(edge, 'b1'), ['1'])
  const [first, second] = seen
  assert.equal(second.generation, first.generation + 1)
  // When the one before began and ended, and its totals, hold until it has begun.
  const { startedMs, endedMs, datagramsFromClient, bytesFromClient, datagramsFromBackend, bytesFromBackend } = second
  const kept = { startedMs, endedMs, datagramsFromClient, bytesFromClient, datagramsFromBackend, bytesFromBackend }
  assert.deepEqual(second, Object.assign(first, kept, { generation: second.generation }))
})

test('what the queues of a port and of a flow had no room for is counted, each time', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  const [flow] = flows.loop.flows?.from(0, 1).flows ?? []
  for (const { fd } of [flow, flows.port]) assert.equal(native.setsockoptInt(fd, SOL_SOCKET, SO_RCVBUF, 4_096), 0)
  const at = localEndpoint(flow.fd)
  assert.ok(at && connectTo(flows.app.fd, at) === 0)
  for (const [socket, direction] of [
    [edge, 'client-to-backend'],
    [flows.app, 'backend-to-client'],
  ] as const) {
    const passed = flows.counters.read(METRICS.datagrams.slots[direction])
    const dropped = flows.dropped('receive-queue-full')
    for (let burst = 1; burst <= 2; burst++) {
      for (let i = 0; i < 99; i++) socket.send('a')
      flows.settle()
      // The kernel tells of it with the next that it has room for.
      socket.send('a')
      flows.settle()
      const news = flows.dropped('receive-queue-full') - dropped
      assert.ok(news > 50 * burst, `${news}`)
      assert.equal(flows.counters.read(METRICS.datagrams.slots[direction]) - passed + news, 100 * burst)
    }
  }
})

test('a flow that is silent both ways for its idle time ends; a datagram in either direction starts it anew', (t) => {
  const flows = start(t)
  flows.entrance.idleMs = 30_000
  const edge = client(t, { to: flows.endpoint })
  edge.send('a')
  flows.settle()
  flows.advance(29_000)
  flows.app.echo()
  flows.settle()
  flows.advance(29_000)
  assert.deepEqual(flows.ask(edge, 'a'), ['', ''])
  flows.advance(29_000)
  assert.equal(flows.openCount, 1)
  flows.advance(1_100)
  assert.equal(flows.openCount, 0)
  assert.deepEqual(flows.entrance.ended, ['idle'])
  assert.equal(flows.counters.read(METRICS.flowsEnded.slots.idle), 1)
})

test('a flow is not forgotten while its client sends what is dropped, where the entrance says so', (t) => {
  const flows = start(t)
  flows.entrance.idleMs = 30_000
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  flows.entrance.meet = (_flow, datagram) => {
    datagram.drop('header-changed')
    return Verdict.Done
  }
  flows.advance(29_000)
  assert.deepEqual(flows.ask(edge, 'a2'), [])
  assert.equal(flows.dropped('header-changed'), 1)
  flows.advance(29_000)
  assert.equal(flows.openCount, 1)
  flows.advance(1_100)
  assert.deepEqual(flows.entrance.ended, ['idle'])
})

test('flows have the idle time of what opened them', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  flows.entrance.idleMs = 60_000
  edge.send('a')
  flows.settle()
  flows.entrance.idleMs = 5_000
  edge.send('b')
  flows.settle()
  flows.advance(5_100)
  assert.equal(flows.openCount, 1)
  flows.advance(55_000)
  assert.equal(flows.openCount, 0)
})

test('a port gets another entrance while flows go on, and what opened them is closed after them', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1'), ['1'])
  const other = client(t)
  const next = new LetterEntrance(other.endpoint)
  flows.port.entrance = next
  flows.entrance.uses.retire()
  assert.equal(flows.entrance.isClosed, false)
  assert.deepEqual(flows.ask(edge, 'a2'), ['2'])
  edge.send('b3')
  flows.settle()
  assert.equal(other.echo(), 1)
  flows.settle()
  flows.advance(61_000)
  assert.deepEqual([flows.entrance.ended, next.ended], [['idle'], ['idle']])
  assert.equal(flows.entrance.isClosed, true)
})

test('flows of a backend end when it is said, and no others', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  for (const [choice, letter] of ['a', 'b', 'c'].entries()) {
    flows.entrance.choice = choice
    assert.deepEqual(flows.ask(edge, `${letter}1`), ['1'])
  }
  flows.loop.flows?.endThoseOf(new Set([0, 2]), 'drained')
  assert.equal(flows.openCount, 1)
  assert.deepEqual(flows.entrance.ended, ['drained', 'drained'])
})

for (const listen of ['0.0.0.0:0', '[::]:0']) {
  test(`a port on ${listen} answers from the address that it was asked at`, (t) => {
    const flows = start(t, { listen: endpointOf(listen) })
    for (const address of ['127.0.0.7', '127.0.0.8']) {
      const edge = client(t, { to: endpointOf(`${address}:${flows.endpoint.port}`) })
      assert.deepEqual(flows.ask(edge, `a${address}`), [address])
    }
    assert.deepEqual(flows.entrance.opened, [`127.0.0.7:${flows.endpoint.port}`])
  })
}

test('where there is no place, a flow that was never confirmed makes some', (t) => {
  const flows = start(t, { flowsMax: 3 })
  const edge = client(t, { to: flows.endpoint })
  for (const letter of 'ab') {
    assert.deepEqual(flows.ask(edge, `${letter}1`), ['1'])
    assert.deepEqual(flows.ask(edge, `${letter}2`), ['2'])
  }
  for (const letter of 'cdefg') assert.deepEqual(flows.ask(edge, `${letter}1`), ['1'])
  assert.equal(flows.openCount, 3)
  assert.equal(flows.counters.read(METRICS.flowsEnded.slots.evicted), 4)
  assert.equal(flows.logged.length, 1)
  // The first two are still those that they were.
  assert.deepEqual(flows.ask(edge, 'a3', 'b3'), ['3', '3'])
  assert.equal(flows.counters.read(METRICS.flowsOpened.slot), 7)
})

test('where there is no descriptor, only a flow that was never confirmed makes place', (t) => {
  const flows = start(t)
  const { entrance } = flows
  const open = entrance.open.bind(entrance)
  entrance.open = (flow, datagram) => {
    if (flows.openCount < 2) return open(flow, datagram)
    datagram.drop('flow-limit')
    return -1
  }
  const edge = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(edge, 'a1', 'b1'), ['1', '1'])
  assert.deepEqual(flows.ask(edge, 'a2', 'c1'), ['2', '1'])
  assert.deepEqual(entrance.ended, ['evicted'])
  assert.equal(flows.dropped('flow-limit'), 0)
  assert.deepEqual(flows.ask(edge, 'c2', 'd1'), ['2'])
  assert.equal(flows.dropped('flow-limit'), 1)
  assert.deepEqual(flows.ask(edge, 'a3', 'c3'), ['3', '3'])
})

test('one peer may have so many flows, and its own make place', (t) => {
  const flows = start(t)
  flows.entrance.flowsPerPeerMax = 2
  const edge = client(t, { to: flows.endpoint })
  for (const letter of 'abc') assert.deepEqual(flows.ask(edge, `${letter}1`), ['1'])
  assert.equal(flows.openCount, 2)
})

test('more flows in one batch than there are places: each datagram goes to its own client’s app socket', (t) => {
  const flows = start(t, { flowsMax: 4 })
  const edge = client(t, { to: flows.endpoint })
  for (let i = 0; i < 60; i++) edge.send(`${String.fromCharCode(0x61 + (i % 20))}${i % 20}`)
  flows.settle()
  const seen = flows.app.receive()
  assert.equal(seen.length, 60)
  assert.equal(flows.openCount, 4)
  // Descriptors are used again at once: each flow that was opened has counted its own datagram.
  flows.loop.close()
  assert.equal(
    flows.entrance.totals.reduce((sum, [datagrams]) => sum + datagrams, 0),
    60,
  )
})

test('a busy port and busy flows leave connections their turn', (t) => {
  const flows = start(t)
  const app = new TestApp()
  t.after(() => app.close())
  const listener = openListener(endpointOf('127.0.0.1:0'), NO_LIVENESS)
  const tcp = localEndpoint(listener)
  assert.ok(tcp)
  flows.loop.addListener(listener, new LineRole(app.endpoint))
  const edge = client(t, { to: flows.endpoint })
  flows.ask(edge, 'a')
  const passed = flows.counters.read(METRICS.datagrams.slots['client-to-backend'])
  const connection = connectSocket(tcp)
  connection.send('header\nhello')
  let backend: TestSocket | undefined
  let text = 'nothing'
  let steps = 0
  for (; text !== 'hello'; steps++) {
    for (let i = 0; i < 400; i++) edge.send('ax')
    flows.app.echo('y'.repeat(100))
    flows.loop.step(0)
    backend ??= app.take()
    text = backend?.receive() ?? 'nothing'
  }
  // As without datagrams: it is accepted in the first step, and relays in the second.
  assert.ok(steps <= 3, `${steps}`)
  assert.equal(flows.counters.read(METRICS.datagrams.slots['client-to-backend']) - passed, steps * 4 * 64)
  assert.ok(flows.counters.read(METRICS.datagrams.slots['backend-to-client']) <= steps * 5 * 64)
})

test('answers of many flows take turns, and none is left behind', (t) => {
  const flows = start(t)
  const { app } = flows
  const edge = client(t, { to: flows.endpoint })
  const letters = Array.from({ length: 30 }, (_, i) => String.fromCharCode(0x61 + i))
  assert.equal(flows.ask(edge, ...letters).length, letters.length)
  for (const { fd } of flows.loop.flows?.from(0, letters.length).flows ?? []) {
    const at = localEndpoint(fd)
    assert.ok(at && connectTo(app.fd, at) === 0)
    for (let i = 0; i < 16; i++) app.send('y')
  }
  const passed = (): number => flows.counters.read(METRICS.datagrams.slots['backend-to-client']) - letters.length
  flows.loop.step(0)
  assert.ok(passed() <= 5 * 64, `${passed()}`)
  flows.settle()
  assert.equal(passed(), letters.length * 16)
})

test('closing a port takes what is queued, and its flows go on by sockets of their peers; newcomers go elsewhere', (t) => {
  const flows = start(t)
  const [one, two] = [client(t, { to: flows.endpoint }), client(t, { to: flows.endpoint })]
  assert.deepEqual(flows.ask(one, 'a1'), ['1'])
  one.send('a2')
  two.send('b1')
  flows.loop.closePort(flows.port)
  assert.equal(flows.app.echo(), 2)
  flows.settle()
  assert.deepEqual([one.receive(), two.receive()], [['2'], ['1']])

  const second = start(t, { listen: flows.endpoint })
  const three = client(t, { to: flows.endpoint })
  assert.deepEqual(flows.ask(one, 'a3'), ['3'])
  assert.deepEqual(flows.ask(two, 'b2'), ['2'])
  assert.deepEqual(second.ask(three, 'c1'), ['1'])
  assert.equal(flows.openCount, 2)
  // What began later at a peer's socket does not keep it.
  flows.advance(50_000)
  assert.deepEqual(flows.ask(two, 'z1'), ['1'])
  flows.advance(11_000)
  assert.deepEqual(flows.entrance.ended.sort(), ['drained', 'idle', 'idle'])
  assert.deepEqual(second.ask(two, 'b3'), ['3'])
})

test('a peer of a port that was closed is answered at its own socket; one that is gone is no fault of the target', (t) => {
  const flows = start(t)
  const [gone, peer] = [new TestDatagrams({ to: flows.endpoint }), client(t, { to: flows.endpoint })]
  assert.deepEqual(flows.ask(peer, 'b1'), ['1'])
  assert.deepEqual(flows.ask(gone, 'c', 'd', 'e', 'f', 'g').length, 5)
  const all = flows.loop.flows?.from(0, 6).flows ?? []
  flows.loop.closePort(flows.port)
  peer.send('?')
  flows.settle()
  assert.deepEqual([peer.receive(), gone.receive()], [['answer'], []])
  gone.close()
  // More than a batch has room for: the second one is told of the first.
  for (const { fd, peer: to } of all) {
    const at = localEndpoint(fd)
    assert.ok(at && connectTo(flows.app.fd, at) === 0)
    for (let i = 0; to?.port === gone.endpoint.port && i < 16; i++) flows.app.send('y')
  }
  flows.settle()
  assert.deepEqual([all.map(({ errors }) => errors), flows.openCount, flows.logged], [Array(6).fill(0), 6, []])
  assert.ok(flows.dropped('unreachable') > 0)
})

test('a peer of a port that was closed is heard behind the error that its last answer has come back with', (t) => {
  const flows = start(t)
  const { app } = flows
  const gone = new TestDatagrams({ to: flows.endpoint })
  assert.deepEqual(flows.ask(gone, 'a1'), ['1'])
  flows.loop.closePort(flows.port)
  gone.send('a2')
  flows.settle()
  gone.close()
  app.echo()
  flows.loop.step(0)
  client(t, { at: gone.endpoint, to: flows.endpoint }).send('a3')
  flows.settle()
  assert.deepEqual(app.receive(), ['3'])
})

test('a peer that sends without a pause has turns at its own socket, and no more', (t) => {
  const flows = start(t)
  const { entrance, loop } = flows
  const edge = client(t, { to: flows.endpoint })
  entrance.choice = 1
  flows.ask(edge, 'a')
  loop.closePort(flows.port)
  flows.settle()
  loop.flows?.endThoseOf(new Set([1]), 'drained')
  let received = 0
  entrance.identify = (datagram) => {
    if (++received < 2_000) edge.send('x')
    return datagram.drop('header-missing')
  }
  for (let i = 0; i < 64; i++) edge.send('x')
  loop.step(0)
  assert.ok(received <= 5 * 64, `${received}`)
  flows.until('all was received', () => received === 2_063)
})

test('who cannot go on after a port was closed is told of', (t) => {
  const flows = start(t, { listen: endpointOf('0.0.0.0:0'), flowsMax: 2_000 })
  const edge = client(t)
  flows.entrance.identify = (datagram, key) => {
    datagram.batch.copyLocal(datagram.slot, key, 0)
    return Verdict.Pass
  }
  for (let i = 0; i < 1_026; i++) {
    const address = ipv4Address(0x7f000001 + i)
    assert.equal(connectTo(edge.fd, { address, port: flows.endpoint.port }), 0)
    edge.send('a')
    if (i % 64 === 0) flows.loop.step(0)
  }
  flows.settle()
  assert.equal(flows.openCount, 1_026)
  flows.loop.closePort(flows.port)
  assert.equal(flows.openCount, 1_024)
  assert.deepEqual(flows.logged, ['warn: Flows of a UDP port that is closed cannot go on'])
})

for (const listen of ['127.0.0.1:0', '0.0.0.0:0', '[::]:0']) {
  test(`a hand-over of a port on ${listen} loses no datagram of clients that go on sending`, (t) => {
    const first = start(t, { listen: endpointOf(listen) })
    const to = endpointOf(`127.0.0.1:${first.endpoint.port}`)
    const edges = Array.from({ length: 20 }, () => client(t, { to }))
    for (const edge of edges.slice(0, 10)) edge.send('a-')
    first.settle()
    const second = start(t, { listen: first.endpoint, app: first.app })
    for (let round = 0; round < 6; round++) {
      for (const [index, edge] of edges.entries()) edge.send(`${String.fromCharCode(0x61 + index)}${round}`)
      if (round === 2) first.loop.closePort(first.port)
      if (round === 3) assert.ok(first.openCount >= 1)
    }
    first.settle()
    second.settle()
    assert.equal(first.app.receive().length, 10 + 6 * edges.length)
  })
}

for (const listen of ['127.0.0.1:0', '0.0.0.0:0', '[::]:0']) {
  test(`a port on ${listen} that is connected to itself gets nothing more, so that its queue can be read to its end`, (t) => {
    const first = start(t, { listen: endpointOf(listen) })
    const second = start(t, { listen: first.endpoint })
    assert.equal(connectTo(first.port.fd, ownEndpoint(first.endpoint)), 0)
    const to = endpointOf(`127.0.0.1:${first.endpoint.port}`)
    for (let i = 0; i < 20; i++) client(t, { to }).send('a')
    first.settle()
    second.settle()
    assert.deepEqual([first.app.receive().length, second.app.receive().length], [0, 20])
  })
}

test('the list of open flows comes in pieces, with numbers that are up to date', (t) => {
  const flows = start(t)
  const edge = client(t, { to: flows.endpoint })
  for (const letter of 'abcde') flows.ask(edge, `${letter}12`)
  const first = flows.loop.flows?.from(0, 3)
  assert.ok(first)
  assert.equal(first.flows.length, 3)
  const rest = flows.loop.flows?.from(first.next, 10)
  assert.deepEqual([rest?.flows.length, rest?.next], [2, -1])
  const [{ peer, bytesFromClient, datagramsFromBackend }] = first.flows
  assert.equal(peer && formatEndpoint(peer), formatEndpoint(edge.endpoint))
  assert.deepEqual([bytesFromClient, datagramsFromBackend], [2, 1])
})

test('closing the loop ends every flow and gives every descriptor back', () => {
  const app = new TestDatagrams()
  const edge = new TestDatagrams()
  const before = readdirSync('/proc/self/fd').length
  const flows = new TestFlows({ app })
  const peer = flows.client()
  for (const letter of 'abc') flows.ask(peer, letter)
  flows.loop.closePort(flows.port)
  flows.loop.close()
  peer.close()
  assert.deepEqual(flows.entrance.ended, ['shutdown', 'shutdown', 'shutdown'])
  // The wake-up belongs to whoever made it.
  assert.equal(readdirSync('/proc/self/fd').length, before + 1)
  app.close()
  edge.close()
})
