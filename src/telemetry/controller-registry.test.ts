import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControllerStatus } from './controller-metrics.ts'
import { ControllerMetrics } from './controller-registry.ts'

const STATUS: ControllerStatus = {
  revision: 7,
  resources: new Map([
    ['instances', 2],
    ['firewalls', 0],
  ]),
  operations: { done: 5, running: 1 },
  databaseBytes: 4096,
  edges: [
    { name: 'edge-1', isConnected: true, appliedVersion: 7, isRefusing: false },
    { name: 'edge-2', isConnected: false, appliedVersion: 6, isRefusing: true },
  ],
}

test('a scrape has what was counted, and the status of that moment; an edge that was forgotten is gone', async () => {
  let status: ControllerStatus | undefined
  const metrics = new ControllerMetrics(
    () => status,
    () => 3,
    '1.2.3',
  )
  assert.doesNotMatch(await metrics.text(), /^truepeer_controller_resources\{/m)
  status = STATUS
  metrics.answered('healthChecks.insert', 200, 30)
  metrics.answered('healthChecks.insert', 200, 3)
  metrics.answered('unknown', 404, 0.1)
  const scraped = await metrics.text()
  for (const line of [
    'truepeer_controller_requests_total{method="healthChecks.insert",code="200"} 2',
    'truepeer_controller_requests_total{method="unknown",code="404"} 1',
    'truepeer_controller_request_seconds_bucket{le="0.005",method="healthChecks.insert"} 1',
    'truepeer_controller_request_seconds_count{method="healthChecks.insert"} 2',
    'truepeer_controller_revision 7',
    'truepeer_controller_resources{collection="instances"} 2',
    'truepeer_controller_resources{collection="firewalls"} 0',
    'truepeer_controller_operations{state="done"} 5',
    'truepeer_controller_operations{state="running"} 1',
    'truepeer_controller_database_bytes 4096',
    'truepeer_controller_edge_connected{edge="edge-1"} 1',
    'truepeer_controller_edge_connected{edge="edge-2"} 0',
    'truepeer_controller_edge_revision{edge="edge-2"} 6',
    'truepeer_controller_edge_refusing{edge="edge-2"} 1',
    'truepeer_log_dropped_total 3',
  ]) {
    assert.ok(scraped.split('\n').includes(line), `${line} is missing in\n${scraped}`)
  }
  assert.match(scraped, /^process_cpu_seconds_total /m)
  status = { ...STATUS, edges: STATUS.edges.slice(0, 1) }
  assert.doesNotMatch(await metrics.text(), /edge-2/)
})
