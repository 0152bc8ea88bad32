import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import type { AgentRoleOptions } from './agent-role.ts'
import { warmUpAgent } from './warm-up-agent.ts'

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return endpoint
}

test('whoever finds the port of a warm-up reaches nothing but its app', () => {
  const options: AgentRoleOptions = {
    target4: endpointOf('127.0.0.1:112'),
    target6: endpointOf('[::1]:112'),
    allowedSubnets: ['35.191.0.0/16'],
    denyPrivateSources: true,
    local: 'check',
    mark: 7,
    sourcePort: 'preserve',
    headerLengthMax: 4_096,
    liveness: { keepaliveMs: 0, userTimeoutMs: 0 },
    load: new Float64Array(8),
    verbosity: 0,
  }
  const { roleOptions } = warmUpAgent(options, endpointOf('127.0.0.1:40000'))
  const endpoints = Object.values(roleOptions).filter((value): value is Endpoint => Object(value).port !== undefined)
  assert.deepEqual(endpoints.map(formatEndpoint).sort(), ['127.0.0.1:40000', '[::1]:0'])
})
