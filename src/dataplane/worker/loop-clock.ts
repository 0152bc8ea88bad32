/** What may come on top of a wait before it counts as overlong: a busy machine is late by less. */
const LATE_MS_MAX = 1_000
/** Places in the state of a clock: what was left out so far, and what the clock said last. */
const LEFT_OUT = 0
const LAST = 1

/**
 * Writes the time in monotonic milliseconds into `time[0]`, after a wait that was asked to take at most `waitMs` (-1: for
 * ever). It returns nothing, because a returned fraction is a number on the heap at each turn of the loop.
 */
export type LoopClock = (waitMs: number, time: Float64Array) => void

/**
 * The clock of a loop, in monotonic milliseconds: told how long the loop has asked to wait (-1: for ever), it leaves out
 * a wait that was overlong.
 *
 * A process that was stopped (SIGSTOP, a debugger, a machine that was paused) could not hear anybody meanwhile. Counted,
 * that time would be silence, and unfinished handshakes would be over before anybody had a chance to go on. Nothing of
 * such a wait counts, because it is not known when in it the process was stopped.
 */
export function loopClock(now: () => number = () => performance.now()): LoopClock {
  // In memory of its own: a variable of a closure is a number on the heap, made anew whenever it changes.
  const state = new Float64Array(2)
  state[LAST] = now()
  return (waitMs, time) => {
    const elapsedMs = now() - state[LEFT_OUT] - state[LAST]
    if (waitMs >= 0 && elapsedMs > waitMs + LATE_MS_MAX) state[LEFT_OUT] += elapsedMs
    else state[LAST] += elapsedMs
    time[0] = state[LAST]
  }
}
