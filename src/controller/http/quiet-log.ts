import type { Log, LogFields } from '../../telemetry/log.ts'

/** A limit that bites is logged once in this time. */
const QUIET_MS = 60_000

/** Warns of limits that bite, of each once in a while. */
export function quietLog(log: Log): (message: string, fields: LogFields) => void {
  const untilMs = new Map<string, number>()
  return (message, fields) => {
    const nowMs = performance.now()
    if (nowMs < (untilMs.get(message) ?? 0)) return
    untilMs.set(message, nowMs + QUIET_MS)
    log('warn', message, fields)
  }
}
