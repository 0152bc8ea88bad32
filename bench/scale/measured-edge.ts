import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Program } from '../../src/lab/program.ts'
import { askHttp, askPreload } from './ask.ts'
import { type Counted, type HeapReport, SOCKET_VARIABLE } from './preload-protocol.ts'
import { type CpuUse, cpuTimes, cpuUse } from './threads.ts'

const PRELOAD = new URL('preload.js', import.meta.url).href
const START_MS_MAX = 120_000
const HEALTH_MS_MAX = 120_000
const APPLY_MS_MAX = 120_000
const REPORT_MS_MAX = 10_000
const POLL_MS = 20
/** For what an edge does behind a change: it collects garbage, writes files, reports. */
const SETTLE_MS = 1_000
/** Workers play connections with themselves for so long at most. */
const WARM_UP_MS = 3_000
const APPLIED = /"msg":"configuration applied"/

/** A change as it was measured. */
export type MeasuredChange = CpuUse & {
  /** From its request to the edge's word that it is applied. */
  readonly untilAppliedMs: number
  /** All that the CPU times belong to. */
  readonly durationMs: number
}

/** `truepeer edge` of a checkout, seen from outside and by the preload. */
export class MeasuredEdge {
  readonly #program: Program
  readonly #admin: string
  readonly #preload: string
  #workers: readonly number[] = []

  private constructor(program: Program, admin: string, preload: string) {
    this.#program = program
    this.#admin = admin
    this.#preload = preload
  }

  /** Starts it in a folder of its own and waits until `backends` backends get connections. */
  static async start(
    checkout: string,
    folder: string,
    args: readonly string[],
    backends: number,
  ): Promise<MeasuredEdge> {
    const admin = join(folder, 'admin.sock')
    const preload = join(folder, 'preload.sock')
    const environment = [`NODE_OPTIONS=--import=${PRELOAD}`, `${SOCKET_VARIABLE}=${preload}`]
    const words = [join(checkout, 'bin/truepeer'), 'edge', ...args, '--admin', `unix:${admin}`]
    // env(1) becomes the program, with its PID.
    const edge = new MeasuredEdge(new Program('env', [...environment, ...words]), admin, preload)
    try {
      await edge.#waitUntilUp(backends)
      return edge
    } catch (error) {
      await edge.stop()
      throw error
    }
  }

  async #waitUntilUp(backends: number): Promise<void> {
    await this.#program.waitForLine(/"msg":"listening"/, { timeoutMs: START_MS_MAX })
    const deadlineMs = performance.now() + HEALTH_MS_MAX
    for (let up = 0; up !== backends; ) {
      const { body } = await askHttp(this.#admin, 'GET', '/status')
      up = body.split('"availability":"up"').length - 1
      if (up === backends) break
      if (performance.now() > deadlineMs) throw new Error(`${up} of ${backends} backends are up after two minutes`)
      await sleep(SETTLE_MS)
    }
    await sleep(WARM_UP_MS)
  }

  /** Ends it. */
  async stop(): Promise<void> {
    if (this.#program.isRunning) await this.#program.stop()
  }

  /** Counts what workers are sent, from now on. */
  async startCounting(): Promise<void> {
    await askPreload(this.#preload, 'count')
  }

  /** What workers have been sent; nothing is counted from now on. */
  async stopCounting(): Promise<Counted> {
    return (await askPreload(this.#preload, 'counted')) as Counted
  }

  /** Every thread of JavaScript, after a full collection of garbage. @throws Error when a worker does not answer */
  async heaps(workers: number): Promise<readonly HeapReport[]> {
    await askPreload(this.#preload, 'ask')
    const deadlineMs = performance.now() + REPORT_MS_MAX
    for (;;) {
      // For an answer to this, the edge sends its workers something.
      await askHttp(this.#admin, 'GET', '/connections')
      const reports = (await askPreload(this.#preload, 'reports')) as readonly HeapReport[]
      const current = reports.filter((report) => report.isCurrent)
      if (current.length === workers + 1) {
        this.#workers = current.flatMap(({ isMain, kernelId }) => (isMain ? [] : [kernelId]))
        return current
      }
      if (performance.now() > deadlineMs) {
        throw new Error(
          'The workers do not tell their heap: they look for messages in another way than the preload knows',
        )
      }
      await sleep(POLL_MS)
    }
  }

  /** The resident memory of the whole process, in bytes. */
  residentBytes(): number {
    const text = readFileSync(`/proc/${this.#program.pid}/smaps_rollup`, 'utf8')
    return Number(/^Rss: +([0-9]+) kB$/m.exec(text)?.[1] ?? 0) * 1024
  }

  /** What is used while `run` runs. {@link heaps} has to come first: it finds the workers. */
  async using(run: () => Promise<unknown>): Promise<CpuUse & { readonly durationMs: number }> {
    const { pid } = this.#program
    const startedMs = performance.now()
    const before = cpuTimes(pid)
    await run()
    return { ...cpuUse(before, cpuTimes(pid), pid, this.#workers), durationMs: performance.now() - startedMs }
  }

  /** Requests a change, waits until it is applied, and for what comes behind it. */
  async change(request: () => unknown): Promise<MeasuredChange> {
    let untilAppliedMs = 0
    const use = await this.using(async () => {
      const startedMs = performance.now()
      const from = this.#program.output.length
      const applied = this.#program.waitForLine(APPLIED, { from, timeoutMs: APPLY_MS_MAX })
      await Promise.all([applied, request()])
      untilAppliedMs = performance.now() - startedMs
      await sleep(SETTLE_MS)
    })
    return { ...use, untilAppliedMs }
  }

  /** Has it read its file again. */
  reload(): void {
    this.#program.signal('SIGHUP')
  }

  /** Takes a backend out, or in again. */
  async steer(backend: string, action: 'drain' | 'enable'): Promise<void> {
    const path = `/backends/${encodeURIComponent(backend)}/${action}`
    const { status, body } = await askHttp(this.#admin, 'POST', path)
    if (status !== 200) throw new Error(`POST ${path}: ${status} ${body.slice(0, 200)}`)
  }
}
