// A lab as a user runs it: by `truepeer lab`.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { LabStatus } from '../../src/lab/process/lab-status.ts'
import { Program } from '../../src/lab/program.ts'
import { runChecked } from '../../src/linux/run.ts'
import { type Asked, askController } from './controller.ts'
import { TRUEPEER } from './truepeer.ts'

/** Where labs of root are. */
export const LABS = '/run/truepeer/lab'
const START_MS_MAX = 60_000

/** A lab that runs. */
export type RunningLab = Asked & {
  status(): Promise<LabStatus>
  /** Runs a command on a host to its end, which has to be a good one; returns what it printed. */
  exec(host: string, ...command: readonly string[]): Promise<string>
  /** Starts a command on a host. */
  start(host: string, ...command: readonly string[]): Program
  /** The process of the edge of a region, by its number inside. */
  edgeProcess(region: string): Promise<string>
  reset(): Promise<void>
  down(): Promise<void>
}

/** Starts a lab. */
export async function startLab(name: string): Promise<RunningLab> {
  const lab = (...args: readonly string[]) => [...args.slice(0, 1), '--name', name, ...args.slice(1)]
  const run = (...args: readonly string[]): Promise<string> =>
    runChecked(TRUEPEER, ['lab', ...lab(...args)], { timeoutMs: START_MS_MAX })
  await run('up')
  const status = async (): Promise<LabStatus> => JSON.parse(await run('status', '--json')) as LabStatus
  return {
    status,
    exec: (host, ...command) => run('exec', host, '--', ...command),
    start: (host, ...command) => new Program(TRUEPEER, ['lab', ...lab('exec', host, '--', ...command)]),
    ask: (method, path, body) => askController(join(LABS, name, 'controller.sock'), method, path, body),
    async edgeProcess(region) {
      const edge = (await status()).hosts.find((host) => host.kind === 'edge' && host.region === region)
      const [, pid] = /^serves, process (\d+)$/.exec(edge?.state ?? '') ?? []
      assert.ok(pid, `the edge of ${region}: ${edge?.state}`)
      return pid
    },
    async reset() {
      await run('reset')
    },
    async down() {
      await run('down')
    },
  }
}
