import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { LOAD_CELLS, LoadCell } from '../proxy-protocol/load-report.ts'

const SAMPLE_MS = 1_000

/** Processor time since boot, summed over all processors, in milliseconds. */
export type ProcessorTimes = { readonly busyMs: number; readonly totalMs: number }

/** Samples the load of this host once a second into memory that the workers read. */
export class HostLoad {
  readonly shared = new Float64Array(new SharedArrayBuffer(LOAD_CELLS * Float64Array.BYTES_PER_ELEMENT))
  readonly #timer: NodeJS.Timeout
  #before = processorTimes()

  constructor() {
    this.shared[LoadCell.memory] = memoryUtilization(readMemoryFile())
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #sample(): void {
    const now = processorTimes()
    this.shared[LoadCell.cpu] = utilizationBetween(this.#before, now)
    this.shared[LoadCell.memory] = memoryUtilization(readMemoryFile())
    this.#before = now
  }
}

/** The part of the time between two samples that was busy, 0 to 1. */
export function utilizationBetween(before: ProcessorTimes, after: ProcessorTimes): number {
  const totalMs = after.totalMs - before.totalMs
  return totalMs <= 0 ? 0 : Math.min(1, Math.max(0, (after.busyMs - before.busyMs) / totalMs))
}

/** The part of the memory that is not available, from the text of /proc/meminfo (proc(5)); 1 when it does not say. */
export function memoryUtilization(text: string): number {
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1])
  const part = 1 - kilobytes('MemAvailable') / kilobytes('MemTotal')
  return Number.isFinite(part) ? Math.min(1, Math.max(0, part)) : 1
}

function processorTimes(): ProcessorTimes {
  let idleMs = 0
  let totalMs = 0
  for (const { times } of cpus()) {
    idleMs += times.idle
    totalMs += times.user + times.nice + times.sys + times.idle + times.irq
  }
  return { busyMs: totalMs - idleMs, totalMs }
}

function readMemoryFile(): string {
  try {
    return readFileSync('/proc/meminfo', 'utf8')
  } catch {
    return ''
  }
}
