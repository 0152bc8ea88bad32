// The program as a user starts it: the one way in which tests start an edge or an agent.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import { Program } from '../../src/lab/program.ts'
import type { EdgeStatus } from '../../src/telemetry/edge-status.ts'
import { askSocket, metricIn, type Reply } from './admin.ts'
import { eventually } from './eventually.ts'

export const TRUEPEER = fileURLToPath(new URL('../../../bin/truepeer', import.meta.url))

/** Most tests look at one thing for a moment: half a second of the processor for each start would be wasted. */
export const COLD: readonly string[] = ['--warm-up', 'off']

/** For a start: a busy machine needs many seconds for what takes half of one otherwise. */
const START_TIMEOUT_MS = 60_000

/** A running edge or agent with its admin server. */
export type Running = {
  readonly program: Program
  /** The value for `--admin` of `truepeer status`. */
  readonly admin: string
  ask(method: 'GET' | 'POST', path: string): Promise<Reply>
  /** The body of a page of the admin server. */
  read(path: string): Promise<string>
  /** The value of a metric, by its name as it is written in the exposition: `truepeer_x_total{reason="y"}`. */
  metric(name: string): Promise<number>
  /** Only of an edge. */
  status(): Promise<EdgeStatus>
  /** The connection records in its log so far. */
  records(): ConnectionRecord[]
}

/** What the tests read of a connection record. */
export type ConnectionRecord = {
  readonly level: string
  readonly connection: { readonly clientIp: string; readonly clientPort: number }
  readonly end: string
  readonly backend?: string
  readonly serverBytesSent: string
}

export type StartOptions = {
  /** Another program that executes it in its own place, such as `prlimit --nofile=64:64`. */
  readonly through?: readonly string[]
  readonly warmUp?: readonly string[]
  /** The line of the log after which it is started; default: it listens. */
  readonly ready?: RegExp
  /** The log goes elsewhere: it is started when it says so when asked. */
  readonly isSilent?: boolean
}

/** Starts `truepeer COMMAND args` on a host, or outside of all, and waits until it listens. */
export async function startTruepeer(
  host: Host | undefined,
  command: 'agent' | 'edge',
  args: readonly string[],
  { through = [], warmUp = COLD, ready = /"msg":"listening"/, isSilent = false }: StartOptions = {},
): Promise<Running> {
  const socketPath = freshSocketPath()
  const admin = `unix:${socketPath}`
  const [first, ...words] = [...through, TRUEPEER, command, ...args, ...warmUp, '--admin', admin]
  const program = host === undefined ? new Program(first, words) : host.start(first, words)
  if (isSilent) await untilReady(program, socketPath)
  else await program.waitForLine(ready, { timeoutMs: START_TIMEOUT_MS })
  return running(program, socketPath)
}

function untilReady(program: Program, socketPath: string): Promise<void> {
  const isReady = (): Promise<boolean> =>
    askSocket(socketPath, 'GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    )
  return eventually('it is ready', () => {
    assert.ok(program.isRunning, program.texts().join('\n'))
    return isReady()
  })
}

/** A path for a socket. PIDs are not unique: two runs of the tests on one machine may share /tmp. */
export function freshSocketPath(): string {
  return join(tmpdir(), `truepeer-${randomUUID()}.sock`)
}

function running(program: Program, socketPath: string): Running {
  const ask: Running['ask'] = (method, path) => askSocket(socketPath, method, path)
  const read: Running['read'] = async (path) => (await ask('GET', path)).body
  return {
    program,
    admin: `unix:${socketPath}`,
    ask,
    read,
    metric: async (name) => metricIn(await read('/metrics'), name),
    status: async () => JSON.parse(await read('/status')) as EdgeStatus,
    records: () =>
      program
        .texts()
        .filter((line) => line.includes('"msg":"connection"'))
        .map((line) => JSON.parse(line) as ConnectionRecord),
  }
}
