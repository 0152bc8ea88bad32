// One edge with a thousand backends: loopback addresses of its own host, one of ten of them without an app.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import type { EdgeStatus } from '../../src/telemetry/edge-status.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf } from '../rig/line-app.ts'
import { startAppProgram } from '../rig/load.ts'
import { simple } from '../rig/resources.ts'

export const BACKENDS = 1_000
/** Every tenth has nobody on its port. */
export const DEAD = BACKENDS / 10
const [PORT, DEAD_PORT] = [9000, 9999]
const FRONTEND = `${IPV4.edge}:7000`

function endpoints(): string[] {
  return Array.from({ length: BACKENDS }, (_, index) => {
    const port = index % 10 === 9 ? DEAD_PORT : PORT
    return `127.1.${Math.floor(index / 250)}.${1 + (index % 250)}:${port}`
  })
}

export type ManyBackends = {
  readonly live: LiveEdge
  readonly client: Host
  /** The program of all apps that there are. */
  readonly app: Program
  /** Starts it again. */
  readonly restart: () => Promise<Program>
}

/** Starts apps and edge, and waits until every backend is known; nothing may be known wrong at any time. */
export async function startMany(t: TestContext, healthCheck: object): Promise<ManyBackends> {
  const { client, edge } = await edgeHosts(t)
  // One program for all of them: it listens on every address of the host.
  const restart = (): Promise<Program> => startAppProgram(edge, '0.0.0.0', PORT)
  const app = await restart()
  const startedMs = performance.now()
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, endpoints(), { healthCheck }))
  const listeningMs = performance.now() - startedMs
  const counts = healthCounts(await live.status())
  assert.ok(counts['HEALTHY'] > 0, 'serves at once')
  // The first round holds the port up for a second at most, however slow this machine is.
  await eventually('all are known', async () => healthCounts(await live.status())['UNKNOWN'] === undefined, 10_000)
  const knownMs = performance.now() - startedMs
  assert.deepEqual(healthCounts(await live.status()), { HEALTHY: BACKENDS - DEAD, UNHEALTHY: DEAD })
  t.diagnostic(
    `listening ${Math.round(listeningMs)} ms after its start, with ${counts['UNKNOWN'] ?? 0} unknown; ` +
      `all known after ${Math.round(knownMs)} ms`,
  )
  assert.deepEqual(Object.keys(await answersOf(client, FRONTEND, 50)), [`0.0.0.0:${PORT}`])
  return { live, client, app, restart }
}

/** How many backends there are of each health; that of each is checked against its port. */
export function healthCounts(status: EdgeStatus): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { groups } of status.services) {
    for (const { backends } of groups) {
      for (const { health, port, name } of backends) {
        counts[health] = (counts[health] ?? 0) + 1
        if (health !== 'UNKNOWN') assert.equal(health, port === DEAD_PORT ? 'UNHEALTHY' : 'HEALTHY', name)
      }
    }
  }
  return counts
}

/** Probes of all backends so far. */
export function probesOf(status: EdgeStatus): number {
  return status.services
    .flatMap(({ groups }) => groups.flatMap(({ backends }) => backends))
    .reduce((sum, { probes }) => sum + (probes?.total ?? 0), 0)
}
