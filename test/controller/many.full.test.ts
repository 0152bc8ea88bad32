import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { insertChain, insertRule, startController, startFollowingEdge } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { edgeHosts } from '../rig/hosts.ts'

const RULES = 1_000
const FIRST_PORT = 20_000
/** What a client may wait for a rule, and the time of one change with all the others there. */
const INSERT_MS_MAX = 1_000

test('1000 forwarding rules are live on one edge, each within a second of its insert', async (t) => {
  const hosts = await edgeHosts(t)
  await hosts.backend.listen(`${IPV4.backend}:110`, (socket) => socket.end('hello'))
  const directory = testDirectory(t)
  const controller = await startController(hosts.edge, join(directory, 'data'), ['--addresses', IPV4.edge])
  await startFollowingEdge(hosts.edge, controller.url, join(directory, 'state'))
  await insertChain(controller, IPV4.backend, 110)
  const times: number[] = []
  const isServed = async (port: number): Promise<boolean> => {
    const socket = await hosts.client.connect({ to: `${IPV4.edge}:${port}` })
    const answer = (await readToEnd(socket)).toString()
    // The client's side is still open, and one client may have only so many connections.
    socket.destroy()
    return answer === 'hello'
  }
  for (let index = 0; index < RULES; index++) {
    const startedMs = performance.now()
    await insertRule(controller, `rule-${index}`, IPV4.edge, FIRST_PORT + index)
    assert.ok(await isServed(FIRST_PORT + index))
    times.push(performance.now() - startedMs)
  }
  for (let index = 0; index < RULES; index++) assert.ok(await isServed(FIRST_PORT + index))
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): number => Math.round(sorted[Math.floor(part * (RULES - 1))])
  t.diagnostic(`insert until served: median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} ms`)
  assert.ok(at(1) < INSERT_MS_MAX)
})
