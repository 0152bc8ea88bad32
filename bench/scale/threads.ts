import { readdirSync, readFileSync } from 'node:fs'

const NS_PER_MS = 1_000_000

/** CPU time in milliseconds, by the thread's id. */
export type CpuTimes = ReadonlyMap<number, number>

/**
 * The CPU time that each thread of a process has used so far.
 *
 * From schedstat, which counts nanoseconds where stat counts ticks of 10 ms; that of a thread which runs right now may
 * lag behind by a tick.
 */
export function cpuTimes(pid: number): CpuTimes {
  const times = new Map<number, number>()
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    try {
      const [ns] = readFileSync(`/proc/${pid}/task/${name}/schedstat`, 'utf8').split(' ')
      times.set(Number(name), Number(ns) / NS_PER_MS)
    } catch {
      // It has ended meanwhile.
    }
  }
  return times
}

/** What a process has used between two readings. */
export type CpuUse = {
  readonly mainMs: number
  /** All workers together. */
  readonly workersMs: number
  /** All threads, those of node and V8 included. */
  readonly allMs: number
}

export function cpuUse(before: CpuTimes, after: CpuTimes, main: number, workers: readonly number[]): CpuUse {
  const used = (id: number): number => (after.get(id) ?? 0) - (before.get(id) ?? 0)
  const sum = (ids: readonly number[]): number => ids.reduce((total, id) => total + used(id), 0)
  return { mainMs: used(main), workersMs: sum(workers), allMs: sum([...after.keys()]) }
}
