/** What may come on top of a wait before it counts as overlong: a busy machine is late by less. */
const LATE_MS_MAX = 1_000

/**
 * The clock of a loop, in monotonic milliseconds: told how long the loop has asked to wait (-1: for ever), it leaves out
 * a wait that was overlong.
 *
 * A process that was stopped (SIGSTOP, a debugger, a machine that was paused) could not hear anybody meanwhile. Counted,
 * that time would be silence, and unfinished handshakes would be over before anybody had a chance to go on. Nothing of
 * such a wait counts, because it is not known when in it the process was stopped.
 */
export function loopClock(now: () => number = () => performance.now()): (waitMs: number) => number {
  let leftOutMs = 0
  let lastMs = now()
  return (waitMs) => {
    const elapsedMs = now() - leftOutMs - lastMs
    if (waitMs >= 0 && elapsedMs > waitMs + LATE_MS_MAX) leftOutMs += elapsedMs
    else lastMs += elapsedMs
    return lastMs
  }
}
