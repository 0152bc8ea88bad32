import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { type Datagram, Flow, Verdict } from '../dataplane/flow/datagram-entrance.ts'
import { DatagramBatch, openDatagrams, openPort } from '../linux/datagram.ts'
import { bindTo, close, connectTo, localEndpoint, transmit } from '../linux/socket.ts'
import { loadQuestion } from '../proxy-protocol/load-report.ts'
import { writeSimpleProxy } from '../proxy-protocol/simple-proxy.ts'
import { PROXY_V2_SIGNATURE } from '../proxy-protocol/v2-format.ts'
import { type ProxyV2Options, writeProxyV2, writeProxyV2Local } from '../proxy-protocol/write-v2.ts'
import type { DropReason } from '../telemetry/flow-reasons.ts'
import type { LogFields } from '../telemetry/log.ts'
import { Counters, METRICS } from '../telemetry/metrics.ts'
import { AgentDatagramEntrance } from './agent-datagram-entrance.ts'
import type { AgentDatagramEntranceOptions } from './agent-role-options.ts'
import { makeNewestCells, NewestSockets } from './newest-sockets.ts'

const CONNECT = {
  transport: 'dgram',
  sourcePort: 'preserve-or-ephemeral',
  mark: 0,
  liveness: { keepaliveMs: 0, userTimeoutMs: 0 },
} as const
/** As many integers as the key of an entrance may have. */
const KEY_INTS = 19
const APP = endpointOf('127.0.0.1:9')
const CLIENT = endpointOf('198.51.100.7:40001')
const OTHER_CLIENT = endpointOf('198.51.100.8:40001')
const FRONTEND = endpointOf('203.0.113.10:53')
const OTHER_FRONTEND = endpointOf('203.0.113.11:53')
const EDGE = endpointOf('127.0.0.1:0')
const OTHER_EDGE = endpointOf('127.0.0.2:0')

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

function header(source: Endpoint, options: ProxyV2Options = {}, destination = FRONTEND): Buffer {
  const target = Buffer.alloc(200)
  return target.subarray(0, writeProxyV2(target, 0, source, destination, { transport: 'dgram', ...options }))
}

function simpleHeader(source: Endpoint): Buffer {
  const target = Buffer.alloc(38)
  writeSimpleProxy(target, 0, source, FRONTEND)
  return target
}

const LOCAL = Buffer.alloc(16)
writeProxyV2Local(LOCAL, 0)

/** A port with an entrance behind it, and what has become of datagrams that came there. */
class Port {
  readonly counters = new Counters()
  readonly records: LogFields[] = []
  readonly portOpen = new Int32Array(1)
  readonly cells = makeNewestCells(2)
  readonly #fd = openPort(endpointOf('127.0.0.1:0'))
  readonly #batch = new DatagramBatch()
  readonly #t: TestContext
  readonly #flows = new Map<string, Flow>()
  entrance: AgentDatagramEntrance
  /** Of the last datagram. */
  dropped: DropReason | undefined
  verdict: Verdict = Verdict.Pass
  answer = ''
  key = ''
  flow: Flow | undefined
  /** The socket that a flow was given last. */
  renewed = -1

  constructor(t: TestContext, options: Partial<AgentDatagramEntranceOptions> = {}) {
    this.#t = t
    t.after(() => close(this.#fd))
    this.entrance = this.enter(options)
  }

  enter(options: Partial<AgentDatagramEntranceOptions>): AgentDatagramEntrance {
    const all: AgentDatagramEntranceOptions = {
      protocol: 'udp',
      target4: APP,
      target6: null,
      allowedSubnets: ['127.0.0.0/8'],
      denyPrivateSources: false,
      keepsPort: false,
      portOpen: this.portOpen,
      local: 'forward',
      headerLengthMax: 536,
      verbosity: 0,
      connect: CONNECT,
      udpHeader: 'every',
      idleMs: 60_000,
      flowsPerEdgeMax: 0,
      ...options,
    }
    const log = (_level: string, _message: string, fields: LogFields = {}): void => void this.records.push(fields)
    const { counters } = this
    this.entrance = new AgentDatagramEntrance(all, new Float64Array(2), new NewestSockets(this.cells, 0), {
      log,
      counters,
      openTotal: new Int32Array(1),
      flowTotal: new Int32Array(1),
    })
    return this.entrance
  }

  /** A socket of an edge that sends here. */
  socket({ address }: Endpoint = EDGE): (...parts: (Buffer | string)[]) => string | undefined {
    const fd = openDatagrams(4)
    this.#t.after(() => close(fd))
    const to = localEndpoint(this.#fd)
    assert.ok(to !== undefined && bindTo(fd, address, 0) === 0 && connectTo(fd, to) === 0)
    return (...parts) => {
      const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)))
      assert.equal(transmit(fd, bytes, 0, bytes.length), bytes.length)
      return this.#take()
    }
  }

  /** What is passed on of the next datagram; undefined: nothing. */
  #take(): string | undefined {
    assert.equal(this.#batch.receive(this.#fd, 0, 1), 1)
    const datagram = new Received(this.#batch)
    const key = new Int32Array(KEY_INTS)
    let verdict = this.entrance.identify(datagram, key)
    this.key = key.join(' ')
    this.flow = this.#flows.get(this.key)
    if (verdict === Verdict.Pass) {
      verdict = this.flow === undefined ? this.#open(datagram) : this.entrance.meet(this.flow, datagram)
    }
    if (verdict === Verdict.Renew && this.flow !== undefined) this.renewed = this.#renew(this.flow, datagram)
    this.verdict = verdict
    this.dropped = datagram.dropReason ?? undefined
    this.answer = datagram.answered
    if (verdict !== Verdict.Pass || !datagram.isPassedOn) return undefined
    return Buffer.from(datagram.bytes.subarray(datagram.start, datagram.end)).toString()
  }

  #renew(flow: Flow, datagram: Received): number {
    const fd = this.entrance.renew(flow, datagram)
    if (fd >= 0) this.#t.after(() => close(fd))
    return fd
  }

  #open(datagram: Received): Verdict {
    const flow = new Flow(this.#flows.size)
    const fd = this.entrance.open(flow, datagram)
    if (fd < 0) return Verdict.Drop
    this.#t.after(() => close(fd))
    flow.fd = fd
    flow.entrance = this.entrance
    this.flow = flow
    this.#flows.set(this.key, flow)
    return Verdict.Pass
  }
}

/** The first of a batch, as a worker gives it to an entrance. */
class Received implements Datagram {
  readonly batch: DatagramBatch
  readonly slot = 0
  readonly bytes: Uint8Array
  start: number
  readonly end: number
  dropReason: DropReason | null = null
  endReason = 'idle' as const
  isPassedOn = true
  answered = ''

  constructor(batch: DatagramBatch) {
    this.batch = batch
    this.bytes = batch.bytes
    this.start = batch.start(0)
    this.end = batch.end(0)
  }

  peer(): Endpoint {
    return this.batch.peer(0)
  }

  local(): Endpoint {
    return EDGE
  }

  drop(reason: DropReason): typeof Verdict.Drop {
    this.dropReason = reason
    return Verdict.Drop
  }

  answer(bytes: Uint8Array): typeof Verdict.Done {
    this.answered = Buffer.from(bytes).toString()
    return Verdict.Done
  }

  makeWay(): boolean {
    return false
  }
}

function sourceOf({ flow }: Port): string {
  const local = flow === undefined ? undefined : localEndpoint(flow.fd)
  return local === undefined ? 'nobody' : formatEndpoint(local)
}

test("a client's datagrams leave from its address and port, whichever socket of the edge they come from", (t) => {
  const port = new Port(t)
  const [first, second] = [port.socket(), port.socket()]
  assert.equal(first(header(CLIENT), 'one'), 'one')
  assert.equal(sourceOf(port), '198.51.100.7:40001')
  const { flow } = port
  assert.equal(first(header(CLIENT)), '', 'an empty datagram is one')
  assert.equal(second(header(CLIENT), 'two'), 'two')
  assert.equal(port.flow, flow)
  assert.equal(first(header(OTHER_CLIENT), 'three'), 'three')
  assert.equal(sourceOf(port), '198.51.100.8:40001')
  assert.equal(port.portOpen[0], 2)
})

test('a flow that goes on in another worker keeps its port', (t) => {
  const [one, another] = [new Port(t), new Port(t)]
  assert.equal(one.socket()(header(CLIENT), 'one'), 'one')
  assert.equal(another.socket()(header(CLIENT), 'two'), 'two')
  assert.equal(sourceOf(another), '198.51.100.7:40001')
  assert.equal(another.socket()(header(CLIENT, {}, OTHER_FRONTEND), 'three'), 'three')
  assert.match(sourceOf(another), /^198\.51\.100\.7:(?!40001$)/, 'what the client sends elsewhere is another flow')
})

test('a flow gets a newer socket with the same two ends once another worker has one, and none from another port', (t) => {
  const port = new Port(t)
  const edge = port.socket()
  assert.equal(edge(header(CLIENT), 'one'), 'one')
  assert.equal(edge(header(CLIENT), 'two'), 'two')
  const other = new NewestSockets(port.cells, 1)
  const overtake = (): void => other.claimCell(port.flow?.entranceId ?? -1)
  overtake()
  edge(header(CLIENT), 'three')
  assert.equal(port.verdict, Verdict.Renew)
  assert.deepEqual(localEndpoint(port.renewed), CLIENT)
  assert.equal(edge(header(CLIENT), 'four'), 'four')
  const chosen = new Port(t, { connect: { ...CONNECT, sourcePort: 'ephemeral' } })
  const third = chosen.socket()
  assert.equal(third(header(CLIENT), 'one'), 'one')
  assert.equal(chosen.flow?.entranceId, -1)
})

test('two edges that name the same client have two flows, of which one gets another port', (t) => {
  const port = new Port(t)
  assert.equal(port.socket()(header(CLIENT), 'one'), 'one')
  assert.equal(port.socket(OTHER_EDGE)(header(CLIENT), 'two'), 'two')
  assert.match(sourceOf(port), /^198\.51\.100\.7:(?!40001$)/)
  assert.equal(port.counters.read(METRICS.sourcePortFallbacks.slots['connection-in-use']), 1)
  const strict = new Port(t, {
    keepsPort: true,
    connect: { transport: 'dgram', sourcePort: 'preserve', mark: 0, liveness: { keepaliveMs: 0, userTimeoutMs: 0 } },
  })
  assert.equal(strict.socket(OTHER_EDGE)(header(CLIENT), 'three'), undefined)
  assert.equal(strict.dropped, 'source-refused')
})

test('sockets that name no client have flows of their own, and the app sees them', (t) => {
  const port = new Port(t)
  const [first, second] = [port.socket(), port.socket()]
  assert.equal(first(LOCAL, 'one'), 'one')
  const source = sourceOf(port)
  assert.equal(second(LOCAL, 'two'), 'two')
  assert.notEqual(sourceOf(port), source)
  assert.match(sourceOf(port), /^127\.0\.0\.1:/)
  assert.equal(first(LOCAL, 'three'), 'three')
  assert.equal(sourceOf(port), source)
})

test('what is no header for datagrams is dropped, each with its reason', (t) => {
  const port = new Port(t)
  const edge = port.socket()
  const broken = header(CLIENT, { hasChecksum: true })
  broken[20] ^= 1
  for (const [bytes, reason, malformed] of [
    ['hello', 'header-missing', 'not-proxy'],
    ['PROXY UDP4 198.51.100.7 203.0.113.10 1 2\r\n', 'header-malformed', 'v1-in-datagram'],
    [header(CLIENT).subarray(0, 27), 'header-malformed', 'truncated'],
    [broken, 'header-malformed', 'v2-crc'],
    ['', 'header-malformed', 'truncated'],
  ] as const) {
    const before = port.counters.read(METRICS.malformed.slots[malformed])
    assert.equal(edge(bytes), undefined)
    assert.equal(port.dropped, reason)
    assert.equal(port.counters.read(METRICS.malformed.slots[malformed]), before + 1, malformed)
  }
  assert.equal(edge(header(CLIENT, { transport: 'stream' }), 'x'), undefined)
  assert.equal(port.dropped, 'source-refused')
  assert.equal(port.counters.read(METRICS.sourceRefused.slots['transport-mismatch']), 1)
  assert.deepEqual(
    port.records.map((record) => record.refusal),
    ['not-proxy', 'v1-in-datagram', 'truncated', 'v2-crc', 'transport-mismatch'],
    'one record for each',
  )
})

test('sources that may not be impersonated are refused, and the target by itself, too', (t) => {
  const port = new Port(t)
  const edge = port.socket()
  for (const [source, reason] of [
    ['127.0.0.2:1', 'src-loopback'],
    ['0.0.0.0:1', 'src-unspecified'],
    ['224.0.0.1:1', 'src-multicast'],
    ['255.255.255.255:1', 'src-broadcast'],
    ['203.0.113.10:53', 'src-equals-dst'],
  ] as const) {
    assert.equal(edge(header(endpointOf(source)), 'x'), undefined)
    assert.equal(port.dropped, 'source-refused')
    assert.equal(port.counters.read(METRICS.sourceRefused.slots[reason]), 1, reason)
  }
  const elsewhere = new Port(t, { target4: CLIENT })
  assert.equal(elsewhere.socket()(header(CLIENT), 'x'), undefined)
  assert.equal(elsewhere.counters.read(METRICS.sourceRefused.slots['src-equals-dst']), 1)
  assert.equal(elsewhere.socket()(header(endpointOf('[2001:db8::7]:1')), 'x'), undefined)
  assert.equal(elsewhere.dropped, 'connect-failed', 'there is no app for its family')
})

test('who is not trusted is not heard, also not any more after a reload, whatever it sends', (t) => {
  const port = new Port(t, { allowedSubnets: ['127.0.0.1/32'] })
  const [edge, stranger] = [port.socket(), port.socket(OTHER_EDGE)]
  for (const bytes of ['hello', header(CLIENT), LOCAL, Buffer.from(loadQuestion())]) {
    assert.equal(stranger(bytes), undefined)
    assert.equal(port.dropped, 'untrusted-peer')
  }
  assert.equal(port.answer, '')
  assert.equal(edge(header(CLIENT), 'one'), 'one')
  port.enter({ allowedSubnets: ['127.0.0.0/8'] })
  assert.equal(edge(header(CLIENT), 'two'), 'two')
  port.enter({ allowedSubnets: ['127.0.0.2/32'] })
  assert.equal(edge(header(CLIENT), 'three'), undefined)
  assert.equal(port.dropped, 'untrusted-peer')
})

test('a header with other TLVs is taken if it is valid', (t) => {
  const port = new Port(t)
  const edge = port.socket()
  const tlvs = (value: number) => [{ type: 5, value: Uint8Array.of(value) }]
  assert.equal(edge(header(CLIENT, { tlvs: tlvs(1) }), 'one'), 'one')
  const { flow } = port
  assert.equal(edge(header(CLIENT, { tlvs: tlvs(2) }), 'two'), 'two')
  assert.equal(edge(header(CLIENT), 'three'), 'three')
  assert.equal(port.flow, flow)
  const broken = header(CLIENT, { tlvs: tlvs(3), hasChecksum: true })
  broken[broken.length - 1] ^= 1
  assert.equal(edge(broken, 'four'), undefined)
  assert.equal(port.dropped, 'header-malformed')
  // As long as the one before it, which is what is compared first.
  assert.equal(edge(header(CLIENT, { tlvs: tlvs(3), hasChecksum: true }), 'five'), 'five')
  assert.equal(edge(broken, 'six'), undefined)
  assert.equal(port.dropped, 'header-malformed')
})

test('a flow that ends is not counted at its port any more, and leaves its record', (t) => {
  const port = new Port(t, { verbosity: 2 })
  assert.equal(port.socket()(header(CLIENT), 'one'), 'one')
  assert.ok(port.flow)
  port.entrance.onEnd(port.flow, 'idle')
  assert.equal(port.portOpen[0], 0)
  assert.deepEqual(
    port.records.map(({ client, end }) => [client, end]),
    [[formatEndpoint(CLIENT), 'idle']],
  )
})

test('a question for the load is answered with one datagram', (t) => {
  const port = new Port(t)
  port.socket()(Buffer.from(loadQuestion()))
  assert.deepEqual(JSON.parse(port.answer), {
    cpu_utilization: 0,
    mem_utilization: 0,
    open_connections: 0,
    port_connections: 0,
    app_listening: false,
  })
})

test('with "local: check", what names no client does not reach the app', (t) => {
  const port = new Port(t, { local: 'check' })
  assert.equal(port.socket()(LOCAL, 'x'), undefined)
  assert.equal(port.dropped, 'local-probe')
  assert.equal(port.socket()(header(CLIENT), 'x'), 'x')
})

test('with a header on the first datagram, all that follows on that socket is of this client', (t) => {
  const port = new Port(t, { udpHeader: 'first' })
  const [first, second] = [port.socket(), port.socket()]
  assert.equal(first('early'), undefined)
  assert.equal(port.dropped, 'header-missing')
  assert.equal(first(header(CLIENT), 'one'), 'one')
  const { flow } = port
  assert.equal(first('two'), 'two')
  assert.equal(first(''), '')
  const [long, front] = ['x'.repeat(99), Buffer.from(PROXY_V2_SIGNATURE)]
  assert.equal(first(long), long)
  assert.equal(first(front), front.toString(), 'too short for a header')
  assert.equal(first(header(CLIENT), 'three'), 'three', 'the edge may repeat it')
  assert.equal(first(header(CLIENT)), '')
  assert.equal(port.flow, flow)
  assert.equal(second(header(OTHER_CLIENT), 'four'), 'four')
  assert.equal(sourceOf(port), '198.51.100.8:40001')
})

for (const udpHeader of ['first', 'alone'] as const) {
  test(`a client cannot name another one by a header of its own: ${udpHeader}`, (t) => {
    const port = new Port(t, { udpHeader })
    const edge = port.socket()
    edge(header(CLIENT))
    assert.equal(edge('one'), 'one')
    const { flow } = port
    assert.equal(edge(header(OTHER_CLIENT), 'two'), undefined)
    assert.equal(port.dropped, 'header-changed')
    assert.equal(port.verdict, Verdict.Done, 'dropped, and yet a use of the flow')
    assert.equal(edge('three'), undefined, 'nobody can say whose this is')
    assert.equal(port.dropped, 'header-changed')
    assert.equal(port.verdict, Verdict.Done)
    assert.equal(port.flow, flow)
    assert.equal(sourceOf(port), '198.51.100.7:40001')
    const another = port.socket()
    another(header(OTHER_CLIENT))
    assert.equal(another(LOCAL), undefined, 'nor does the shortest header of all speak for the edge')
    assert.equal(port.dropped, 'header-changed')
  })
}

test('a header that comes alone is not passed on, and empty datagrams after it are', (t) => {
  const port = new Port(t, { udpHeader: 'alone' })
  const edge = port.socket()
  assert.equal(edge(header(CLIENT)), undefined)
  assert.equal(port.dropped, undefined)
  assert.equal(sourceOf(port), '198.51.100.7:40001')
  assert.equal(edge('one'), 'one')
  assert.equal(edge(''), '')
  assert.equal(edge(header(CLIENT)), undefined, 'nor is it when it comes again')
  assert.equal(port.dropped, undefined)
})

test('the Simple Proxy Protocol has a header in every datagram, and in front of every answer', (t) => {
  const port = new Port(t, { udpHeader: 'spp' })
  const edge = port.socket()
  assert.equal(edge(simpleHeader(CLIENT), 'one'), 'one')
  assert.equal(sourceOf(port), '198.51.100.7:40001')
  assert.deepEqual(Buffer.from(port.flow?.answerPrefix ?? []), simpleHeader(CLIENT))
  assert.equal(edge(simpleHeader(CLIENT)), '')
  assert.equal(edge(simpleHeader(OTHER_CLIENT), 'two'), 'two')
  assert.equal(sourceOf(port), '198.51.100.8:40001')
  assert.equal(edge(header(CLIENT), 'three'), undefined)
  assert.equal(port.dropped, 'header-missing')
  assert.equal(edge(simpleHeader(CLIENT).subarray(0, 20)), undefined)
  assert.equal(port.dropped, 'header-malformed')
  assert.equal(edge(simpleHeader(endpointOf('127.0.0.9:1')), 'four'), undefined)
  assert.equal(port.dropped, 'source-refused')
})

test('a listener that reads headers in another way since a reload does not mistake its flows', (t) => {
  const port = new Port(t)
  const edge = port.socket()
  assert.equal(edge(LOCAL, 'one'), 'one')
  port.enter({ udpHeader: 'first' })
  assert.equal(edge('two'), undefined)
  assert.equal(port.dropped, 'header-missing')
})
