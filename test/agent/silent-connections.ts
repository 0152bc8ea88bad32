import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { AGENT, echoThrough, startAgent } from '../rig/agent.ts'
import { startEchoApp } from '../rig/apps.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { residentBytes } from '../rig/process.ts'

const TOLERANCE = 0.1
const GOOD_CLIENT_MS_MAX = 500
/** RSS of the third round beside the larger of those before: it wanders by as much without growing. */
const GROWTH_BYTES_MAX = 2 * 1024 * 1024

/**
 * B4: `count` connections that say nothing are each closed at the header timeout, while a good client is served, and
 * the memory they took is used again by the next as many.
 */
export async function checkSilentConnections(t: TestContext, count: number, headerTimeoutSec: number): Promise<void> {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startAgent(backend, [
    '--header-timeout',
    `${headerTimeoutSec}s`,
    '--max-connections',
    `${count + 100}`,
  ])
  const residents: number[] = []
  for (let round = 0; round < 3; round++) {
    const closings: Promise<number>[] = []
    while (closings.length < count) {
      const batch = Array.from({ length: Math.min(100, count - closings.length) }, () => edge.connect({ to: AGENT }))
      for (const socket of await Promise.all(batch)) closings.push(millisecondsToEnd(socket))
    }
    const startedMs = performance.now()
    assert.equal(await echoThrough(edge, 'a good client'), 'a good client')
    const goodMs = performance.now() - startedMs
    assert.ok(goodMs < GOOD_CLIENT_MS_MAX, `the good client took ${goodMs} ms`)
    for (const elapsedMs of await Promise.all(closings)) {
      assert.ok(Math.abs(elapsedMs / (headerTimeoutSec * 1_000) - 1) <= TOLERANCE, `closed after ${elapsedMs} ms`)
    }
    await eventually('none is open', async () => (await agent.metric('truepeer_connections_open')) === 0)
    assert.equal(await agent.metric('truepeer_connections_ended_total{reason="header-timeout"}'), count * (round + 1))
    residents.push(residentBytes(agent.program.pid))
  }
  const [first, second, third] = residents
  assert.ok(third - Math.max(first, second) <= GROWTH_BYTES_MAX, `resident after each round: ${residents.join(', ')}`)
}

async function millisecondsToEnd(socket: Socket): Promise<number> {
  const acceptedMs = performance.now()
  socket.resume()
  await new Promise((resolve) => socket.once('end', resolve))
  const elapsedMs = performance.now() - acceptedMs
  socket.destroy()
  return elapsedMs
}
