import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { AGENT, echoThrough, startAgent } from '../rig/agent.ts'
import { startEchoApp } from '../rig/apps.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { residentBytes } from '../rig/process.ts'

/** The agent's deadlines are kept in ticks: a connection may be closed by so much earlier. */
const EARLY_MS_MAX = 100
/** What a busy machine may add between the deadline and the moment at which this process sees the end. */
const LATE_MS_MAX = 10_000
/** RSS of the third round beside the larger of those before: it wanders by as much without growing. */
const GROWTH_BYTES_MAX = 4 * 1024 * 1024

/**
 * `count` connections that say nothing are each closed at the header timeout, while a good client is served, and
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
    let closedCount = 0
    while (closings.length < count) {
      // From before they connect: the agent may have accepted one long before this process is told so.
      const startedMs = performance.now()
      const batch = Array.from({ length: Math.min(100, count - closings.length) }, () => edge.connect({ to: AGENT }))
      for (const socket of await Promise.all(batch)) {
        closings.push(
          untilEnd(socket).then(() => {
            closedCount += 1
            return performance.now() - startedMs
          }),
        )
      }
    }
    assert.equal(await echoThrough(edge, 'a good client'), 'a good client')
    assert.ok(closedCount < count, 'served while others say nothing')
    for (const elapsedMs of await Promise.all(closings)) {
      const lateMs = elapsedMs - headerTimeoutSec * 1_000
      assert.ok(lateMs >= -EARLY_MS_MAX && lateMs < LATE_MS_MAX, `closed after ${elapsedMs} ms`)
    }
    await eventually('none is open', async () => (await agent.metric('truepeer_connections_open')) === 0)
    assert.equal(await agent.metric('truepeer_connections_ended_total{reason="header-timeout"}'), count * (round + 1))
    residents.push(residentBytes(agent.program.pid))
  }
  const [first, second, third] = residents
  assert.ok(third - Math.max(first, second) <= GROWTH_BYTES_MAX, `resident after each round: ${residents.join(', ')}`)
}

/** Who is late with a header is reset. */
async function untilEnd(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  await new Promise((resolve) => socket.once('close', resolve))
  socket.destroy()
}
