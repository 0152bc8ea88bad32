import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { formatIpAddress } from '../../address/ip-address.ts'
import { endpointOf, NO_LIVENESS, WIDE_LIMITS } from '../../dataplane/connection/test-loop.ts'
import { TestDatagrams, TestFlows } from '../../dataplane/flow/test-flows.ts'
import { Services } from '../../dataplane/worker/services.ts'
import { writeProxyV2 } from '../../proxy-protocol/write-v2.ts'
import type { LogFields } from '../../telemetry/log.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { Availability } from '../balance/availability.ts'
import { BackendTable, FrontendCounter } from '../balance/backend-table.ts'
import { TestPlan } from '../test-plan.ts'
import { ClientCounts, makeClientCells } from './client-counts.ts'
import { EdgeRole } from './edge-role.ts'
import type { EdgeService } from './edge-service.ts'

/** An edge's UDP frontend in front of one backend, where each client may have so many flows. */
function start(t: TestContext, flowsPerClientMax: number, acceptProxyFrom: readonly string[] | null = null) {
  const flows = new TestFlows()
  const records: LogFields[] = []
  const { app, endpoint } = flows
  const table = new BackendTable(1)
  const plan = new TestPlan([{ count: 1 }], () => ({
    address: formatIpAddress(app.endpoint.address),
    port: app.endpoint.port,
  }))
  const backend = table.takeBackend('0', 0)
  table.show(backend, Availability.up)
  plan.spread(table.cells)
  const cells = makeClientCells()
  const limit = {
    cells,
    connectionsPerClientMax: flowsPerClientMax,
    connectionsMax: 1_000,
    unlimitedClients: [],
  }
  const { headerTimeoutMs, ...timeouts } = WIDE_LIMITS
  const role = new EdgeRole(
    {
      cells: table.cells,
      headerTimeoutMs,
      timeouts,
      retriesMax: 0,
      sourceAddresses: [],
      acceptProxyFrom,
      headerLengthMax: 4_096,
      clientLimit: limit,
      flowLimit: limit,
      liveness: NO_LIVENESS,
      verbosity: 0,
    },
    {
      workerIndex: 0,
      log: (_level, _message, fields = {}) => records.push(fields),
      counters: flows.counters,
      openTotal: new Int32Array(1),
      flowTotal: new Int32Array(1),
    },
  )
  const services = new Services<EdgeService>()
  const service = role.makeService({
    name: 'names',
    idleTimeoutMs: 60_000,
    flows: { persistsOnUnhealthy: true },
    logSampleRate: 1,
    tls: undefined,
    plan: plan.plan,
  })
  services.set('names', service)
  const frontend = { id: 0, name: 'my-rule', tls: null, service: 'names' }
  const listen = (port: number, address = '127.0.0.1') =>
    role.makeDatagramEntrance({ ...frontend, address, port, proxyHeader: { kind: 'NONE' } }, services)
  flows.port.entrance = listen(endpoint.port)
  t.after(() => flows.close())
  const client = (): TestDatagrams => {
    const socket = new TestDatagrams({ to: endpoint })
    t.after(() => socket.close())
    return socket
  }
  const show = (availability: Availability) => table.show(backend, availability)
  const counted = (counter: FrontendCounter): number => table.readFrontend(0, counter)
  const open = (): number => table.cells.frontendOpen[0]
  return { flows, cells, client, listen, show, counted, open, records }
}

test("above a client's share, its own oldest flow that nobody has answered to makes way, and none that is assured", (t) => {
  const { flows, cells, client } = start(t, 3)
  const { address } = flows.endpoint
  const known = client()
  for (let times = 0; times < 3; times++) assert.deepEqual(flows.ask(known, 'a'), ['a'])
  // As many as anybody who sends in the name of the client likes.
  for (let spoofed = 0; spoofed < 20; spoofed++) client().send('x')
  flows.settle()
  flows.app.receive()
  const newcomer = client()
  assert.deepEqual(flows.ask(newcomer, 'b'), ['b'])
  assert.deepEqual(flows.ask(known, 'a'), ['a'])
  assert.equal(flows.openCount, 3)
  assert.equal(flows.counters.read(METRICS.flowsEnded.slots['client-limit']), 19)
  assert.equal(flows.dropped('client-limit'), 0)
  // All three are the client's own now.
  const third = client()
  for (let times = 0; times < 2; times++) {
    for (const socket of [newcomer, third]) assert.deepEqual(flows.ask(socket, 'c'), ['c'])
  }
  assert.deepEqual(flows.ask(client(), 'd'), [])
  assert.equal(flows.dropped('client-limit'), 1)
  assert.deepEqual(flows.logged, [])
  const counts = new ClientCounts(cells)
  assert.equal(counts.enter(address), 4)
  counts.leave(address)
  flows.loop.close()
  assert.equal(counts.enter(address), 1, 'what was counted was given back')
})

test('what says that it comes from another frontend opens no flow, until that frontend is gone', (t) => {
  const { flows, client, listen } = start(t, 3)
  const socket = client()
  const other = listen(socket.endpoint.port)
  assert.deepEqual(flows.ask(socket, 'a', 'b'), [])
  assert.equal(flows.dropped('not-a-client'), 2)
  assert.equal(flows.openCount, 0)
  other.uses.retire()
  assert.deepEqual(flows.ask(socket, 'c'), ['c'])
})

test('a frontend counts its flows, and what came while no backend was there, which takes nothing of a share', (t) => {
  const { flows, cells, client, show, counted, open } = start(t, 3)
  show(Availability.down)
  assert.deepEqual(flows.ask(client(), 'a'), [])
  assert.equal(flows.dropped('no-backend'), 1)
  assert.equal(new ClientCounts(cells).enter(flows.endpoint.address), 1)
  show(Availability.up)
  assert.deepEqual(flows.ask(client(), 'b'), ['b'])
  const counts = () => [
    open(),
    counted(FrontendCounter.connections),
    counted(FrontendCounter.noBackend),
    counted(FrontendCounter.refused),
  ]
  assert.deepEqual(counts(), [1, 1, 1, 0])
  flows.loop.close()
  assert.deepEqual(counts(), [0, 1, 1, 0])
})

test('behind a load balancer, what has no header, or one with more than there is room for, is refused', (t) => {
  const { flows, client, counted } = start(t, 3, ['127.0.0.1/32'])
  assert.deepEqual(flows.ask(client(), 'a'), [])
  assert.equal(flows.dropped('header-missing'), 1)
  assert.equal(counted(FrontendCounter.refused), 1)
  const withTlv = (length: number): Uint8Array => {
    const bytes = new Uint8Array(1_024)
    const ends = [endpointOf(`192.0.2.1:${length}`), endpointOf('203.0.113.10:53')] as const
    const tlvs = [{ type: 0xe0, value: new Uint8Array(length) }]
    return bytes.subarray(0, writeProxyV2(bytes, 0, ...ends, { transport: 'dgram', tlvs }) + 1)
  }
  const balancer = client()
  assert.deepEqual(flows.ask(balancer, withTlv(410)), [])
  assert.equal(flows.dropped('too-large'), 1)
  assert.equal(counted(FrontendCounter.refused), 2)
  assert.deepEqual(flows.ask(balancer, withTlv(409)), ['\0'])
})

test('the record of a flow at a frontend on every address has the one that was sent to', (t) => {
  const { flows, client, listen, records } = start(t, 3)
  const { port } = flows.endpoint
  flows.port.entrance.uses.retire()
  flows.port.entrance = listen(port, '0.0.0.0')
  const socket = client()
  assert.deepEqual(flows.ask(socket, 'a'), ['a'])
  flows.loop.close()
  assert.deepEqual(
    records.map(({ connection }) => connection),
    [
      {
        clientIp: '127.0.0.1',
        clientPort: socket.endpoint.port,
        serverIp: '127.0.0.1',
        serverPort: port,
        protocol: 17,
      },
    ],
  )
})
