// An edge that is configured by a file of resources.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { BackendStatus, EdgeStatus, GroupStatus } from '../../src/telemetry/edge-status.ts'
import type { Reply } from './admin.ts'
import { testDirectory } from './directory.ts'
import { eventually } from './eventually.ts'
import { openSockets } from './process.ts'
import { type Running, type StartOptions, startTruepeer } from './truepeer.ts'

/** What becomes the content of a file of resources: a text as it is, or resources, written as JSON. */
export type Configuration = string | readonly object[]

/** A running edge that was configured by a file. */
export type LiveEdge = Running & {
  /** Its file of resources. */
  readonly file: string
  /** The backend of this `service/group/backend`. */
  backend(key: string): Promise<BackendStatus>
  /** The group of this `service/group`. */
  group(key: string): Promise<GroupStatus>
  /** `POST /backends/NAME/drain` and `enable`. */
  steer(name: string, action: 'drain' | 'enable'): Promise<Reply>
  /** Writes the file, and does nothing more. */
  write(configuration: Configuration): void
  /** Writes the file, sends SIGHUP, and waits until the edge has applied or refused it. */
  reload(configuration: Configuration): Promise<'ok' | 'failed'>
}

/** Starts `truepeer edge --config FILE args` on a host and waits until it listens. */
export async function startConfiguredEdge(
  t: TestContext,
  host: Host,
  configuration: Configuration,
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<LiveEdge> {
  const file = join(testDirectory(t), 'edge.yaml')
  const write = (next: Configuration): void => writeConfiguration(file, next)
  write(configuration)
  const edge = await startTruepeer(host, 'edge', ['--config', file, ...args], options)
  return {
    ...edge,
    file,
    group: async (key) => groupIn(await edge.status(), key),
    backend: async (key) => backendIn(await edge.status(), key),
    steer: (name, action) => edge.ask('POST', `/backends/${name}/${action}`),
    write,
    async reload(next) {
      const { reloads } = (await edge.status()).configuration
      write(next)
      edge.program.signal('SIGHUP')
      let outcome: 'ok' | 'failed' | undefined
      await eventually('the edge has applied or refused the file', async () => {
        // Not its version: that counts before every worker has taken its part.
        const now = (await edge.status()).configuration.reloads
        if (now.ok > reloads.ok) outcome = 'ok'
        else if (now.failed > reloads.failed) outcome = 'failed'
        return outcome !== undefined
      })
      return outcome ?? 'failed'
    },
  }
}

/** Writes a file of resources that only its owner may read: it may hold keys. */
export function writeConfiguration(file: string, configuration: Configuration): void {
  const text = typeof configuration === 'string' ? configuration : JSON.stringify(configuration, null, 2)
  writeFileSync(file, text, { mode: 0o600 })
}

/** Waits until no connection is open, is counted as open, or holds one more descriptor than there were `sockets`. */
export async function untilNothingIsLeft({ program, status }: LiveEdge, sockets: number): Promise<void> {
  const openNow = async (): Promise<number[]> => {
    const { frontends, services, leaving } = await status()
    const groups = services.flatMap((service) => service.groups)
    const backends = groups.flatMap((group) => group.backends)
    return [...frontends, ...groups, ...backends, ...leaving].map(({ open }) => open)
  }
  await eventually('no connection is open', async () => (await openNow()).every((open) => open === 0))
  await eventually('their sockets are closed', () => openSockets(program.pid) <= sockets)
}

/** The group of this `service/group` in a status. */
export function groupIn({ services }: EdgeStatus, key: string): GroupStatus {
  for (const service of services) {
    const group = service.groups.find(({ name }) => `${service.name}/${name}` === key)
    if (group !== undefined) return group
  }
  assert.fail(`there is no group ${key} in ${JSON.stringify(services)}`)
}

/** The backend of this `service/group/backend` in a status. */
export function backendIn(status: EdgeStatus, key: string): BackendStatus {
  for (const service of status.services) {
    for (const group of service.groups) {
      for (const backend of group.backends) {
        if (`${service.name}/${group.name}/${backend.name}` === key) return backend
      }
    }
  }
  assert.fail(`there is no backend ${key} in ${JSON.stringify(status.services)}`)
}
