import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipv4Address } from '../../address/ip-address.ts'
import { METRICS } from '../../telemetry/metrics.ts'
import { TestEdge } from '../test-edge.ts'
import { makeClientCells } from './client-counts.ts'
import { ClientLimit, type ClientLimitOptions } from './client-limit.ts'

const CONNECTIONS = 1_000

/** A limit, and clients that take all that they get. */
function makeLimit(options: Partial<ClientLimitOptions> = {}) {
  const openTotal = new Int32Array(1)
  const all = {
    cells: makeClientCells(),
    connectionsPerClientMax: 'fair',
    connectionsMax: CONNECTIONS,
    unlimitedClients: [],
    ...options,
  } as const
  const limit = new ClientLimit(all, openTotal)
  /** How many of so many attempts succeed. */
  const take = (client: number, attempts = CONNECTIONS): number => {
    let taken = 0
    for (let attempt = 0; attempt < attempts && openTotal[0] < CONNECTIONS; attempt++) {
      openTotal[0] += 1
      if (limit.enter(ipv4Address(client)) === 'refused') openTotal[0] -= 1
      else taken += 1
    }
    return taken
  }
  return { limit, take, openTotal }
}

test('fair: whoever takes what he can gets as much as is left for others', () => {
  const { take, limit, openTotal } = makeLimit()
  // An eighth of what is then left: 111 of 889.
  assert.deepEqual([take(1), take(2)], [111, 98])
  assert.equal(take(1), 0)
  for (let client = 3; client <= 20; client++) take(client)
  assert.ok(openTotal[0] < 0.92 * CONNECTIONS, `twenty clients have ${openTotal[0]}`)
  assert.ok(take(999) >= 8)
  for (let count = 0; count < 111; count++) limit.leave(ipv4Address(1))
  openTotal[0] -= 111
  assert.ok(take(1) > 15, 'what is given back can be taken again')
})

test('fair: everybody has one connection, as long as there is a place', () => {
  const { take, openTotal } = makeLimit()
  openTotal[0] = CONNECTIONS - 1
  assert.deepEqual([take(1), take(2)], [1, 0])
})

test('a number holds for each client; null, and clients that are named, have no limit', () => {
  const numbered = makeLimit({ connectionsPerClientMax: 10, unlimitedClients: ['0.0.0.5/32'] })
  assert.deepEqual([numbered.take(1), numbered.take(2), numbered.take(5)], [10, 10, 980])
  assert.equal(makeLimit({ connectionsPerClientMax: null }).take(1), CONNECTIONS)
})

const LIMITED = {
  clientLimit: {
    cells: makeClientCells(),
    connectionsPerClientMax: 2,
    connectionsMax: CONNECTIONS,
    unlimitedClients: [],
  },
} as const

test('a connection beyond the limit is reset and recorded, and one that ends makes room', (t) => {
  const edge = new TestEdge(t, 1, LIMITED)
  const first = edge.loop.establish(edge.apps[0])
  edge.loop.establish(edge.apps[0])
  const third = edge.loop.connect()
  assert.equal(edge.loop.read(third), 'ECONNRESET')
  assert.deepEqual(edge.loop.ended, ['client-limit'])
  assert.equal(edge.loop.counters.read(METRICS.ended.slots['client-limit']), 1)
  assert.equal(edge.frontendCounters().refused, 1)
  const [{ end, connection }] = edge.records
  assert.deepEqual([end, (connection as { clientIp: string }).clientIp], ['client-limit', '127.0.0.1'])
  first.client.reset()
  edge.loop.until('ended', () => edge.loop.ended.length === 2)
  edge.loop.establish(edge.apps[0], 'again')
})

test('behind a load balancer the source in the header counts, and the load balancer itself has no limit', (t) => {
  const edge = new TestEdge(t, 1, {
    clientLimit: { ...LIMITED.clientLimit, cells: makeClientCells() },
    acceptProxyFrom: ['127.0.0.0/8'],
  })
  const line = (client: string): string => `PROXY TCP4 ${client} 203.0.113.10 1025 110\r\n`
  const open = (client: string): void => void edge.loop.establish(edge.apps[0], `${line(client)}x`)
  for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3', '192.0.2.2']) open(client)
  const refused = edge.loop.connect()
  refused.send(line('192.0.2.1'))
  assert.equal(edge.loop.read(refused), 'ECONNRESET')
  assert.deepEqual(edge.loop.ended, ['client-limit'])
  for (let count = 0; count < 3; count++) edge.loop.establish(edge.apps[0], 'PROXY UNKNOWN\r\nx')
  assert.deepEqual(edge.loop.ended, ['client-limit'])
})
