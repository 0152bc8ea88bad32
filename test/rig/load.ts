import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import type { LoadOrder, LoadResult } from '../programs/load.ts'

const APP = fileURLToPath(new URL('../programs/line-app.js', import.meta.url))
const LOAD = fileURLToPath(new URL('../programs/load.js', import.meta.url))

/** Starts an app of lines as a program of its own. */
export async function startAppProgram(host: Host, address: string, port: number): Promise<Program> {
  const program = host.start(process.execPath, [APP, address, `${port}`])
  await program.waitForLine(/^listening on/)
  return program
}

/** Clients that come at an even pace until they are stopped. */
export type Load = { readonly stop: () => Promise<LoadResult> }

/** Starts clients on a host; resolves when the first one was served. */
export async function startLoad(host: Host, order: LoadOrder): Promise<Load> {
  const program = host.start(process.execPath, [LOAD, JSON.stringify(order)])
  await program.waitForLine(/^started$/)
  return {
    async stop() {
      program.signal('SIGTERM')
      return JSON.parse(await program.waitForLine(/^\{/, { timeoutMs: 20_000 })) as LoadResult
    },
  }
}
