import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
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

test('unless it is asked for more, an edge leaves a tenth of the ports of each address that it connects from', () => {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const [first, last] = range.trim().split(/\s+/).map(Number)
  const ofAnAddress = Math.floor(0.9 * (last - first + 1))
  const flowsMax = (words: string): number => {
    const oneLine = `--listen 127.0.0.1:53 -p udp --backend 127.0.0.1:5353 --allow-local-backends${words}`
    return edgeLimits(parseEdge(oneLine.split(' ')), 100_000_000).flowsMax
  }
  assert.equal(flowsMax(''), ofAnAddress)
  assert.equal(flowsMax(' --source-ranges 192.0.2.0/31'), 2 * ofAnAddress)
  assert.equal(flowsMax(' --max-flows 5000000'), 5_000_000)
})
