import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import type { AgentRoleOptions } from './agent-role-options.ts'
import { warmUpOptions } from './warm-up-agent.ts'

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return endpoint
}

test('whoever finds the port of a warm-up reaches nothing but its app', () => {
  const entrance: AgentRoleOptions['entrance'] = {
    protocol: 'tcp',
    service: 'port',
    headerTimeoutMs: 5_000,
    target4: endpointOf('127.0.0.1:112'),
    target6: endpointOf('[::1]:112'),
    allowedSubnets: ['35.191.0.0/16'],
    denyPrivateSources: true,
    keepsPort: true,
    local: 'check',
    headerLengthMax: 4_096,
    verbosity: 0,
    portOpen: new Int32Array(1),
  }
  const service: AgentRoleOptions['service'] = {
    transport: 'stream',
    mark: 7,
    sourcePort: 'preserve',
    target4: entrance.target4,
    target6: entrance.target6,
    liveness: { keepaliveMs: 0, userTimeoutMs: 0 },
    timeouts: { connectTimeoutMs: 5_000, idleTimeoutMs: 0, halfClosedTimeoutMs: 0 },
  }
  const played = warmUpOptions({ entrance, service }, endpointOf('127.0.0.1:40000'))
  const endpoints = Object.values(played.entrance).filter(
    (value): value is Endpoint => Object(value).port !== undefined,
  )
  assert.deepEqual(endpoints.map(formatEndpoint).sort(), ['127.0.0.1:40000', '[::1]:0'])
  assert.deepEqual([played.service.target4, played.service.target6], [played.entrance.target4, played.entrance.target6])
  assert.equal(played.service.mark, 0)
})
