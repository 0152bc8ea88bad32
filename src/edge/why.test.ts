import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { ipv4Address } from '../address/ip-address.ts'
import { GOOGLE_REGIONS } from '../balancing/google-regions.ts'
import type { BackendService } from '../snapshot/snapshot.ts'
import { DEFAULT_SPREADING } from '../snapshot/spreading.ts'
import { testBackend, testFrontend, testGroup, testService, testSnapshot } from '../snapshot/test-snapshot.ts'
import type { Explanation, WhyAnswer } from '../telemetry/edge-why.ts'
import type { BackendState } from './backends/backend-states.ts'
import { idOf, placedBackends, takeIds } from './backends/edge-ids.ts'
import { LookupTables } from './backends/lookup-tables.ts'
import { RegionDistances } from './backends/region-distances.ts'
import { Spreads } from './backends/spreads.ts'
import { Availability } from './balance/availability.ts'
import { BackendTable } from './balance/backend-table.ts'
import { BackendChooser } from './balance/choose-backend.ts'
import { ServiceCell } from './balance/service-cells.ts'
import { explain } from './why.ts'

const FRONTEND: Endpoint = { address: ipv4Address(0xcb00710a), port: 110 }

const UP: BackendState = {
  health: 'HEALTHY',
  availability: Availability.up,
  isDrained: false,
  isEjected: false,
  wouldServe: true,
  probes: undefined,
  load: undefined,
}

/** An edge with one service of two groups of five backends each, all of them up. */
function start(
  t: TestContext,
  fields: Partial<BackendService>,
  address = '203.0.113.10',
  frontends = ['rule'],
  stateOf: (name: string) => Partial<BackendState> = () => ({}),
) {
  const groups = ['a', 'b'].map((name, index) => {
    const backends = [1, 2, 3, 4, 5].map((number) => {
      return testBackend({ name: `vm-${number}`, address: `10.128.${index}.${number}` })
    })
    return testGroup({ name: `us-central1-b/${name}`, backends })
  })
  const service = testService({ groups, ...fields })
  const snapshot = testSnapshot(
    frontends.map((name, index) => testFrontend({ name, address, port: 110 + index })),
    [service],
  )
  const table = new BackendTable(1)
  takeIds(table, snapshot)
  for (const { idKey } of placedBackends(snapshot)) table.show(idOf(table.backends, idKey), Availability.up)
  const place = { region: 'us-central1', zone: undefined, positions: GOOGLE_REGIONS, proximity: 'distance' } as const
  const distances = new RegionDistances(place)
  const spreads = new Spreads({
    table,
    tables: new LookupTables(),
    distances,
    factsOf: () => ({ members: 5, healthy: 5, drained: 0, utilization: undefined, others: undefined }),
    onRearranged: () => {},
  })
  t.after(() => spreads.stop())
  spreads.use(snapshot)
  const names = new Map(placedBackends(snapshot).map(({ idKey, backend }) => [idKey, backend.name]))
  const states = { state: (idKey: string) => ({ ...UP, ...stateOf(names.get(idKey) ?? '') }) }
  const ask = (client: string, frontend?: string): WhyAnswer =>
    explain({ client, frontend }, { snapshot, table, spreads, distances, states })
  const why = (client: string): Explanation => {
    const answer = ask(client)
    assert.ok(answer.kind === 'explained')
    return answer.explanations[0]
  }
  /** What a worker gives the client. */
  const chosen = (client: Endpoint, turn = 0): string => {
    const candidate = new BackendChooser(spreads.planOf(service), table.cells, turn).first(client, FRONTEND)
    return candidate === undefined ? '' : formatEndpoint(candidate.endpoint)
  }
  return { ask, why, chosen, cells: spreads.planOf(service).service }
}

test('a client gets what was explained, from every worker, whatever its port; and so does its address inside IPv6', (t) => {
  const { why, chosen } = start(t, { affinity: 'CLIENT_IP', locality: { kind: 'MAGLEV' } })
  for (let number = 1; number <= 50; number++) {
    const { choice, affinity } = why(`198.51.100.${number}`)
    assert.equal(choice?.decidedBy, 'client')
    for (const turn of [0, 1, 2]) {
      assert.equal(chosen({ address: ipv4Address(0xc6336400 + number), port: 1000 + turn }, turn), choice.endpoint)
    }
    const mapped = why(`::ffff:198.51.100.${number}`)
    assert.deepEqual([mapped.choice, mapped.affinity], [choice, affinity])
  }
})

test('where ports are hashed, too, only who gives his port is sure of his backend', (t) => {
  const { why, chosen } = start(t, {
    affinity: 'CLIENT_IP_PORT_PROTO',
    locality: { kind: 'RING_HASH', minimumRingSize: 1024 },
  })
  const { choice, affinity } = why('198.51.100.7')
  assert.deepEqual([choice?.decidedBy, affinity], ['connection', undefined])
  for (const port of [1, 1025, 65_535]) {
    const whole = why(`198.51.100.7:${port}`)
    assert.equal(whole.choice?.decidedBy, 'client')
    assert.match(whole.affinity?.hash ?? '', /^[0-9a-f]{8}$/)
    assert.equal(chosen({ address: ipv4Address(0xc6336407), port }), whole.choice.endpoint)
  }
})

test('who connects to a wildcard may get another one: the address behind it is hashed', (t) => {
  const { why } = start(t, { affinity: 'CLIENT_IP', locality: { kind: 'MAGLEV' } }, '0.0.0.0')
  const { choice, affinity } = why('198.51.100.7')
  assert.deepEqual([choice?.decidedBy, affinity], ['connection', undefined])
})

test('who comes to a full service gets no backend, and one that is certain neither', (t) => {
  const { why, cells } = start(t, { affinity: 'CLIENT_IP', locality: { kind: 'MAGLEV' }, maxConnections: 2 })
  Atomics.store(cells, ServiceCell.open, 1)
  assert.equal(why('198.51.100.7').choice?.decidedBy, 'client')
  Atomics.store(cells, ServiceCell.open, 2)
  const { choice, open, openMax } = why('198.51.100.7')
  assert.deepEqual([choice, open, openMax], [undefined, 2, 2])
})

test('without an affinity, and where backends have their turns in spite of one, nobody is sure', (t) => {
  const kinds = [
    { locality: { kind: 'ROUND_ROBIN' } },
    { locality: { kind: 'MAGLEV' } },
    { affinity: 'CLIENT_IP', locality: { kind: 'LEAST_REQUEST' } },
  ] as const
  for (const fields of kinds) assert.equal(start(t, fields).why('198.51.100.7:1025').choice?.decidedBy, 'turns')
})

test('groups come in the order of their levels, with the part of each; those that are in none come last', (t) => {
  const groups = [
    { name: 'asia-east1-b/far', region: 'asia-east1' },
    { name: 'us-central1-b/a', region: 'us-central1', backends: [testBackend({ name: 'a', address: '10.128.0.1' })] },
    { name: 'us-central1-c/b', region: 'us-central1', backends: [testBackend({ name: 'b', address: '10.128.0.2' })] },
  ].map(testGroup)
  const shown = (isolation: 'NONE' | 'STRICT'): unknown[] =>
    start(t, { groups, spreading: { ...DEFAULT_SPREADING, isolation } })
      .why('198.51.100.7')
      .groups.map(({ name, level, share, part, state }) => [name, level, share, part, state])
  const near = [
    ['us-central1-b/a', 0, 1, 0.5, 'serving'],
    ['us-central1-c/b', 0, 1, 0.5, 'serving'],
  ]
  assert.deepEqual(shown('NONE'), [...near, ['asia-east1-b/far', 1, 0, 1, 'serving']])
  assert.deepEqual(shown('STRICT'), [...near, ['asia-east1-b/far', undefined, 0, 0, 'isolated']])
})

test('what cannot be asked is refused, with what can', (t) => {
  const names = Array.from({ length: 21 }, (_, index) => `rule-${index}`)
  const problemOf = (answer: WhyAnswer): string => (answer.kind === 'refused' ? answer.problem : '')
  const { ask } = start(t, {}, '203.0.113.10', names)
  assert.match(problemOf(ask('my-client')), /^"my-client" is not a client; give its address/)
  assert.equal(problemOf(ask('198.51.100.7')), 'The edge has 21 frontends; name one of them')
  assert.match(
    problemOf(ask('198.51.100.7', 'other')),
    /^The edge has no frontend "other"; it has rule-0, .* rule-19 and 1 more$/,
  )
  assert.equal(ask('198.51.100.7', 'rule-20').kind, 'explained')
  const few = start(t, {}, '203.0.113.10', ['one', 'two'])
  assert.equal(problemOf(few.ask('198.51.100.7', 'other')), 'The edge has no frontend "other"; it has one, two')
  const none = start(t, {}, '203.0.113.10', [])
  assert.equal(problemOf(none.ask('198.51.100.7', 'other')), 'The edge has no frontend "other"; it has none')
})

test('backends that get nothing are counted by why, each once', (t) => {
  const { down, draining } = Availability
  const load = { cpu_utilization: 1, mem_utilization: 0, open_connections: 0, app_listening: false }
  const states: Readonly<Record<string, Partial<BackendState>>> = {
    'vm-1': { availability: draining, isDrained: true, health: 'UNKNOWN' },
    'vm-2': { availability: down, health: 'UNHEALTHY', isEjected: true },
    'vm-3': { availability: down, health: 'UNKNOWN' },
    'vm-4': { availability: down, isEjected: true },
    'vm-5': { availability: down, load },
  }
  const outOf = (stateOf: (name: string) => Partial<BackendState>): unknown =>
    start(t, {}, undefined, undefined, stateOf).why('198.51.100.7').groups[0].out
  const all = { drained: 1, unhealthy: 1, unknown: 1, ejected: 1, appDown: 1 }
  assert.deepEqual(
    outOf((name) => states[name]),
    all,
  )
  // With all others down those that are ejected serve.
  assert.deepEqual(
    outOf((name) => (name === 'vm-4' ? { isEjected: true } : states[name])),
    { ...all, ejected: 0 },
  )
})

test('a client is explained at the frontends that it can reach: those of its family, and the wildcard of IPv6', (t) => {
  const kindOf = (address: string, client: string) => start(t, {}, address).ask(client).kind
  assert.equal(kindOf('203.0.113.10', '2001:db8::7'), 'refused')
  assert.equal(kindOf('2001:db8::10', '198.51.100.7'), 'refused')
  assert.equal(kindOf('0.0.0.0', '2001:db8::7'), 'refused')
  assert.equal(kindOf('::', '198.51.100.7'), 'explained')
  assert.equal(kindOf('2001:db8::10', '2001:db8::7'), 'explained')
})
