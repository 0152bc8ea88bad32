import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { cpuMs, residentBytes } from '../rig/process.ts'
import { BACKENDS, DEAD, healthCounts, probesOf, startMany } from './many.ts'

const SECONDS = 20
const INTERVAL_SECONDS = 5

test('1,000 backends probed every 5 s take a small part of one processor and stay what they are', async (t) => {
  const { live } = await startMany(t, { checkIntervalSec: INTERVAL_SECONDS, timeoutSec: INTERVAL_SECONDS })
  await sleep(INTERVAL_SECONDS * 1_000)
  const { pid } = live.program
  const before = { cpuMs: cpuMs(pid), probes: probesOf(await live.status()), atMs: performance.now() }
  await sleep(SECONDS * 1_000)
  const usedMs = cpuMs(pid) - before.cpuMs
  const seconds = (performance.now() - before.atMs) / 1_000
  const status = await live.status()
  const perSecond = (probesOf(status) - before.probes) / seconds
  const part = usedMs / 1_000 / seconds
  t.diagnostic(
    `${perSecond.toFixed(0)} probes/s, ${(100 * part).toFixed(1)} % of a processor, ` +
      `${(residentBytes(pid) / 2 ** 20).toFixed(0)} MiB resident`,
  )
  assert.ok(Math.abs(perSecond - BACKENDS / INTERVAL_SECONDS) < 0.1 * (BACKENDS / INTERVAL_SECONDS), `${perSecond}`)
  assert.ok(part < 0.25, `${part} of a processor`)
  assert.deepEqual(healthCounts(status), { HEALTHY: BACKENDS - DEAD, UNHEALTHY: DEAD })
  const transitions = status.services[0].groups[0].backends.filter(({ probes }) => (probes?.transitions ?? 0) > 0)
  assert.deepEqual(transitions, [])
})

test('1,000 backends that all go are known to be down after two intervals, and up again when they return', async (t) => {
  const { live, app, restart } = await startMany(t, { checkIntervalSec: 1, timeoutSec: 1 })
  app.kill()
  await app.exited
  const downMs = await untilHealthy(live, 0)
  await restart()
  const upMs = await untilHealthy(live, BACKENDS - DEAD)
  t.diagnostic(`all down after ${Math.round(downMs)} ms, and up again after ${Math.round(upMs)} ms`)
  // Two probes in a row decide, the first of which comes at any time within the interval.
  assert.ok(downMs > 900 && downMs < 3_500, `${downMs} ms`)
  assert.ok(upMs > 900 && upMs < 3_500, `${upMs} ms`)
})

async function untilHealthy(live: LiveEdge, count: number): Promise<number> {
  const startedMs = performance.now()
  await eventually(
    `${count} are healthy`,
    async () => {
      const { backends } = (await live.status()).services[0].groups[0]
      return backends.filter(({ health }) => health === 'HEALTHY').length === count
    },
    10_000,
  )
  return performance.now() - startedMs
}
