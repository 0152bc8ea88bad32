import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOf } from '../../dataplane/connection/test-loop.ts'
import { Flow } from '../../dataplane/flow/datagram-entrance.ts'
import { ECONNREFUSED } from '../../linux/errno.ts'
import { flowEntry } from './flow-log.ts'

test('the record of a flow has the names of that of a connection, its datagrams, and the last error that came back', () => {
  const flow = new Flow(0)
  flow.source = endpointOf('[2001:db8::1]:1025')
  flow.peer = endpointOf('198.51.100.7:4000')
  flow.startedMs = 1_000
  flow.endedMs = 2_234.6
  flow.bytesFromClient = 1_234
  flow.bytesFromBackend = 2 ** 40
  flow.datagramsFromClient = 3
  flow.datagramsFromBackend = 4
  flow.lastError = ECONNREFUSED
  const entry = flowEntry(flow, 'idle', {
    frontend: 'my-rule',
    backendService: 'my-service',
    backend: 'us-central1-b/my-group/my-backend',
    place: { region: 'us-central1', reason: 'full' },
    server: endpointOf('203.0.113.10:53'),
    endedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  })
  assert.deepEqual(JSON.parse(JSON.stringify(entry)), {
    connection: { clientIp: '2001:db8::1', clientPort: 1025, serverIp: '203.0.113.10', serverPort: 53, protocol: 17 },
    startTime: '2026-01-02T03:04:04.443Z',
    endTime: '2026-01-02T03:04:05.678Z',
    serverBytesReceived: '1234',
    serverBytesSent: '1099511627776',
    datagramsReceived: 3,
    datagramsSent: 4,
    end: 'idle',
    lastError: 'ECONNREFUSED',
    frontend: 'my-rule',
    backendService: 'my-service',
    backend: 'us-central1-b/my-group/my-backend',
    region: 'us-central1',
    regionReason: 'full',
    peer: '198.51.100.7:4000',
  })
})
