import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { buildDemoHosts, type DemoHosts } from '../../src/lab/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import type { Program } from '../../src/lab/program.ts'
import type { BackendStatus, EdgeStatus } from '../../src/telemetry/edge-status.ts'
import { COLD, eventually, openSockets, TRUEPEER } from './agent-host.ts'

/** Builds the hosts of the demo: client 209.52.88.4, edge 203.0.113.10 and 35.191.0.9, backend 10.128.0.2. */
export async function edgeHosts(t: TestContext): Promise<DemoHosts> {
  const lab = new Lab()
  t.after(() => lab.close())
  return await buildDemoHosts(lab)
}

/** What becomes the content of a file of resources: a text as it is, or resources, written as JSON. */
export type Configuration = string | readonly object[]

/** A running edge that was configured by a file. */
export type LiveEdge = {
  readonly program: Program
  /** Its file of resources. */
  readonly file: string
  /** The value for `--admin` of `truepeer status`. */
  readonly admin: string
  status(): Promise<EdgeStatus>
  /** The backend of this `service/group/backend`. */
  backend(key: string): Promise<BackendStatus>
  /** The value of a metric as it is written in the exposition. */
  metric(name: string): Promise<number>
  /** `POST /backends/NAME/drain` and `enable`. */
  steer(name: string, action: 'drain' | 'enable'): Promise<AdminReply>
  ask(method: 'GET' | 'POST', path: string): Promise<AdminReply>
  /** Writes the file, sends SIGHUP, and waits until the edge has applied or refused it. */
  reload(configuration: Configuration): Promise<'ok' | 'failed'>
  /** The connection records in its log so far. */
  records(): ConnectionRecord[]
}

export type AdminReply = { readonly status: number; readonly body: string }

/** What the tests read of a connection record. */
export type ConnectionRecord = {
  readonly connection: { readonly clientIp: string; readonly clientPort: number }
  readonly end: string
  readonly backend?: string
  readonly serverBytesSent: string
}

/** Makes a directory that is gone when the test ends. */
export function testDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-edge-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function textOf(configuration: Configuration): string {
  return typeof configuration === 'string' ? configuration : JSON.stringify(configuration, null, 2)
}

/** Starts `truepeer edge --config FILE args` on a host and waits until it listens. */
export async function startConfiguredEdge(
  t: TestContext,
  host: Host,
  configuration: Configuration,
  args: readonly string[] = [],
): Promise<LiveEdge> {
  const file = join(testDirectory(t), 'edge.yaml')
  // It may hold keys.
  writeFileSync(file, textOf(configuration), { mode: 0o600 })
  const socketPath = join(tmpdir(), `truepeer-edge-${randomUUID()}.sock`)
  const admin = `unix:${socketPath}`
  const program = host.start(TRUEPEER, ['edge', '--config', file, '--admin', admin, ...COLD, ...args])
  await program.waitForLine(/"msg":"listening"/)
  const ask = (method: 'GET' | 'POST', path: string): Promise<AdminReply> => askAdmin(socketPath, method, path)
  const status = async (): Promise<EdgeStatus> => JSON.parse((await ask('GET', '/status')).body) as EdgeStatus
  return {
    program,
    file,
    admin,
    status,
    ask,
    backend: async (key) => backendIn(await status(), key),
    metric: async (name) => metricIn((await ask('GET', '/metrics')).body, name),
    steer: (name, action) => ask('POST', `/backends/${name}/${action}`),
    async reload(next) {
      const { reloads } = (await status()).configuration
      writeFileSync(file, textOf(next))
      program.signal('SIGHUP')
      let outcome: 'ok' | 'failed' | undefined
      await eventually('the edge has applied or refused the file', async () => {
        // Not its version: that counts before every worker has taken its part.
        const now = (await status()).configuration.reloads
        if (now.ok > reloads.ok) outcome = 'ok'
        else if (now.failed > reloads.failed) outcome = 'failed'
        return outcome !== undefined
      })
      return outcome ?? 'failed'
    },
    records: () => connectionRecords(program),
  }
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

function connectionRecords(program: Program): ConnectionRecord[] {
  return program
    .texts()
    .filter((line) => line.includes('"msg":"connection"'))
    .map((line) => JSON.parse(line) as ConnectionRecord)
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

/** The value of a metric in the text of an exposition. */
export function metricIn(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  assert.ok(line, `there is no metric ${name}`)
  return Number(line.slice(name.length))
}

function askAdmin(socketPath: string, method: string, path: string): Promise<AdminReply> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    asked.on('error', reject)
    asked.end()
  })
}
