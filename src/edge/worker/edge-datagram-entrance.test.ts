import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { formatIpAddress } from '../../address/ip-address.ts'
import { NO_LIVENESS, WIDE_LIMITS } from '../../dataplane/connection/test-loop.ts'
import { TestDatagrams, TestFlows } from '../../dataplane/flow/test-flows.ts'
import { Services } from '../../dataplane/worker/services.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { Availability } from '../balance/availability.ts'
import { BackendTable } from '../balance/backend-table.ts'
import { TestPlan } from '../test-plan.ts'
import { ClientCounts, makeClientCells } from './client-counts.ts'
import { EdgeRole } from './edge-role.ts'
import type { EdgeService } from './edge-service.ts'

/** An edge's UDP frontend in front of one backend, where each client may have so many flows. */
function start(t: TestContext, flowsPerClientMax: number) {
  const flows = new TestFlows()
  const { app, endpoint } = flows
  const table = new BackendTable(1)
  const plan = new TestPlan([{ count: 1 }], () => ({
    address: formatIpAddress(app.endpoint.address),
    port: app.endpoint.port,
  }))
  table.show(table.takeBackend('0', 0), Availability.up)
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
      acceptProxyFrom: null,
      headerLengthMax: 4_096,
      clientLimit: limit,
      flowLimit: limit,
      liveness: NO_LIVENESS,
      verbosity: 0,
    },
    {
      workerIndex: 0,
      log: () => {},
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
    logSampleRate: 0,
    tls: undefined,
    plan: plan.plan,
  })
  services.set('names', service)
  const frontend = { id: 0, name: 'my-rule', address: '127.0.0.1', tls: null, service: 'names' }
  const listen = (port: number) =>
    role.makeDatagramEntrance({ ...frontend, port, proxyHeader: { kind: 'NONE' } }, services)
  flows.port.entrance = listen(endpoint.port)
  t.after(() => flows.close())
  const client = (): TestDatagrams => {
    const socket = new TestDatagrams({ to: endpoint })
    t.after(() => socket.close())
    return socket
  }
  return { flows, cells, client, listen }
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
