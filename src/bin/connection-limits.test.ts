import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAgent } from '../cli/agent.ts'
import { parseEdge } from '../cli/edge.ts'
import { agentLimits, edgeLimits } from './connection-limits.ts'

/** Connections and flows of a process for which 1,000 descriptors are left. */
function agent(words: string): readonly number[] {
  const argv = `-l 127.0.0.1:53 -4 127.0.0.1:5353 --allow-all-subnets ${words}`.split(' ')
  const { connectionsMax, flowsMax } = agentLimits(parseAgent(argv), 1_000)
  return [connectionsMax, flowsMax]
}

function edge(words: string): readonly number[] {
  const { connectionsMax, flowsMax } = edgeLimits(parseEdge(words.split(' ')), 1_000)
  return [connectionsMax, flowsMax]
}

test('where both protocols are served, connections and flows share the descriptors', () => {
  assert.deepEqual(agent('-p tcp'), [500, 500])
  assert.deepEqual(agent('-p udp'), [500, 500])
  assert.deepEqual(agent('-p tcp,udp'), [250, 500])
  assert.deepEqual(agent('-p tcp,udp --max-connections 400'), [400, 200])
  assert.deepEqual(agent('-p tcp,udp --max-connections 100'), [100, 500])
  assert.deepEqual(agent('-p tcp,udp --max-flows 100'), [450, 100])
  assert.deepEqual(agent('-p tcp,udp --max-flows 5000 --max-connections 5000'), [5_000, 5_000])
  assert.deepEqual(agent('-p tcp,udp --max-connections 5000'), [5_000, 1])
})

test('an edge shares them, too, and where files say what it serves', () => {
  const oneLine = '--listen 127.0.0.1:53 --backend 127.0.0.1:5353 --allow-local-backends'
  assert.deepEqual(edge(oneLine), [500, 500])
  assert.deepEqual(edge(`${oneLine} -p tcp,udp`), [250, 500])
  assert.deepEqual(edge('--config edge.yaml'), [250, 500])
})
