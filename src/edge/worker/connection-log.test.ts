import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connection } from '../../dataplane/connection/connection-state.ts'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { logEntry, type RecordContext, Sampler } from './connection-log.ts'

const CONTEXT: RecordContext = {
  frontend: 'my-rule',
  backendService: 'my-service',
  backend: 'us-central1-b/my-group/my-backend',
  place: { region: 'us-central1', reason: 'full' },
  server: endpointOf('203.0.113.10:110'),
  endedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
}

function sampled(rate: number, count: number): boolean[] {
  const sampler = new Sampler(rate)
  return Array.from({ length: count }, () => sampler.take())
}

function amount(taken: readonly boolean[]): number {
  return taken.filter(Boolean).length
}

test('the sample is exactly the part that was asked for, evenly spread', () => {
  assert.equal(amount(sampled(0, 1_000)), 0)
  assert.equal(amount(sampled(1, 1_000)), 1_000)
  for (const rate of [0.001, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.999]) {
    const taken = sampled(rate, 100_000)
    assert.ok(Math.abs(amount(taken) - rate * 100_000) <= 1, `${rate}: ${amount(taken)}`)
  }
  assert.deepEqual(sampled(0.25, 8), [false, false, false, true, false, false, false, true])
  assert.equal(sampled(0.1, 10).at(-1), true)
})

test('the record has the names, units and types of a LoadBalancerLogEntry', () => {
  const connection = new Connection(0)
  connection.source = connection.peer = endpointOf('192.0.2.1:1025')
  connection.startedMs = 1_000
  connection.endedMs = 2_234.6
  connection.client.receivedBytes = 1_234
  connection.backend.receivedBytes = 2 ** 40
  assert.deepEqual(JSON.parse(JSON.stringify(logEntry(connection, 'finished', CONTEXT))), {
    connection: { clientIp: '192.0.2.1', clientPort: 1025, serverIp: '203.0.113.10', serverPort: 110, protocol: 6 },
    startTime: '2026-01-02T03:04:04.443Z',
    endTime: '2026-01-02T03:04:05.678Z',
    serverBytesReceived: '1234',
    serverBytesSent: '1099511627776',
    end: 'finished',
    frontend: 'my-rule',
    backendService: 'my-service',
    backend: 'us-central1-b/my-group/my-backend',
    region: 'us-central1',
    regionReason: 'full',
  })
})

test('behind a load balancer its header is no payload, and the record names it as the peer', () => {
  const connection = new Connection(0)
  connection.source = endpointOf('[2001:db8::1]:1025')
  connection.peer = endpointOf('198.51.100.7:4000')
  connection.client.receivedBytes = 150
  connection.headerBytes = 50
  const entry = logEntry(connection, 'finished', CONTEXT)
  assert.equal(entry.serverBytesReceived, '100')
  assert.equal(entry.peer, '198.51.100.7:4000')
  assert.equal((entry.connection as { clientIp: string }).clientIp, '2001:db8::1')
})

test('of a connection whose client is not known the record names the peer and the refusal', () => {
  const connection = new Connection(0)
  connection.peer = endpointOf('198.51.100.7:4000')
  connection.refusal = 'v1-syntax'
  const entry = logEntry(connection, 'header-malformed', { ...CONTEXT, backend: undefined, place: undefined })
  assert.equal(entry.peer, '198.51.100.7:4000')
  assert.equal(entry.refusal, 'v1-syntax')
  assert.equal((entry.connection as { clientIp: unknown }).clientIp, undefined)
})
