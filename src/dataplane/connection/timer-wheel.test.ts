import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Timed, TimerWheel } from './timer-wheel.ts'

const LATE_MS_MAX = 8
const START_MS = 1_000_003

class Timer implements Timed {
  readonly name: string
  deadlineMs = Number.POSITIVE_INFINITY
  wheelSlot = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null
  constructor(name = '') {
    this.name = name
  }
}

/** Advances a millisecond at a time until `timer` fires; returns when it did. */
function firesAt(wheel: TimerWheel, timer: Timer, fromMs: number, untilMs: number): number | undefined {
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs++) {
    let hasFired = false
    wheel.advance(nowMs, (timed) => {
      hasFired = timed === timer
    })
    if (hasFired) return nowMs
  }
  return undefined
}

test('a deadline fires at most 8 ms late and never early, wherever it falls in a slot and in the wheel', () => {
  for (const delayMs of [0, 1, 7, 8, 9, 15, 16, 50, 999, 8_183, 8_184, 8_192, 8_193, 20_000]) {
    for (let phase = 0; phase < 8; phase++) {
      const startMs = START_MS + phase
      const wheel = new TimerWheel(startMs)
      const timer = new Timer()
      const deadlineMs = startMs + delayMs
      wheel.set(timer, deadlineMs)
      const firedMs = firesAt(wheel, timer, startMs, deadlineMs + 20)
      assert.ok(firedMs !== undefined && firedMs >= deadlineMs && firedMs <= deadlineMs + LATE_MS_MAX, `${delayMs} ms`)
    }
  }
})

test('a deadline with a fraction of a millisecond does not fire before it', () => {
  const wheel = new TimerWheel(0)
  const timer = new Timer()
  wheel.set(timer, 16.000_1)
  wheel.advance(16, () => assert.fail('early'))
  assert.equal(firesAt(wheel, timer, 17, 30), 24)
})

test('an hour fires after the hour, through many turns of the wheel', () => {
  const wheel = new TimerWheel(START_MS)
  const timer = new Timer()
  const deadlineMs = START_MS + 3_600_000
  wheel.set(timer, deadlineMs)
  let nowMs = START_MS
  let firedMs = 0
  let turns = 0
  while (firedMs === 0) {
    const waitMs = wheel.waitMs(nowMs)
    assert.ok(waitMs >= 1 && nowMs + waitMs <= deadlineMs + LATE_MS_MAX)
    nowMs += waitMs
    turns += 1
    wheel.advance(nowMs, () => {
      firedMs = nowMs
    })
  }
  assert.ok(firedMs >= deadlineMs)
  // Once per turn of 8.2 s, not once per slot.
  assert.ok(turns < 500, `${turns}`)
})

test('a deadline moves later and earlier, and is taken away', () => {
  const wheel = new TimerWheel(START_MS)
  const timer = new Timer()
  wheel.set(timer, START_MS + 100)
  wheel.set(timer, START_MS + 300)
  assert.equal(firesAt(wheel, timer, START_MS, START_MS + 299), undefined)
  wheel.set(timer, START_MS + 20_000)
  wheel.set(timer, START_MS + 400)
  const firedMs = firesAt(wheel, timer, START_MS + 300, START_MS + 500)
  assert.ok(firedMs !== undefined && firedMs >= START_MS + 400 && firedMs <= START_MS + 408)
  wheel.set(timer, START_MS + 600)
  wheel.clear(timer)
  wheel.clear(timer)
  assert.equal(firesAt(wheel, timer, START_MS + 500, START_MS + 20_000), undefined)
  assert.equal(wheel.waitMs(START_MS + 20_000), -1)
})

test('what fires may take another due deadline away, move it, and set its own again', () => {
  const wheel = new TimerWheel(START_MS)
  const timers = ['a', 'b', 'c'].map((name) => new Timer(name))
  const dueMs = START_MS + 40
  for (const timer of timers) wheel.set(timer, dueMs)
  const fired: string[] = []
  wheel.advance(dueMs + 8, (timed) => {
    const first = timed as Timer
    fired.push(first.name)
    const [second, third] = timers.filter((timer) => timer !== first)
    wheel.clear(second)
    wheel.set(third, dueMs + 100)
    wheel.set(first, dueMs + 50)
  })
  assert.equal(fired.length, 1, 'the other two no longer are due')
  const later: string[] = []
  for (let nowMs = dueMs + 9; nowMs < dueMs + 200; nowMs++) {
    wheel.advance(nowMs, (timed) => later.push((timed as Timer).name))
  }
  assert.equal(later.length, 2)
  assert.equal(later[0], fired[0])
})

test('a deadline that is set again and again for now does not keep advance() from returning', () => {
  const wheel = new TimerWheel(START_MS)
  const timer = new Timer()
  wheel.set(timer, START_MS)
  let count = 0
  wheel.advance(START_MS + 8, () => {
    count += 1
    wheel.set(timer, START_MS)
  })
  assert.ok(count <= 2, `${count}`)
  assert.notEqual(timer.wheelSlot, -1)
})

test('after hours of sleep everything that is due fires once, and nothing else', () => {
  const wheel = new TimerWheel(START_MS)
  const due = [1, 500, 8_000, 9_000, 3_600_000].map((delayMs) => {
    const timer = new Timer()
    wheel.set(timer, START_MS + delayMs)
    return timer
  })
  const later = new Timer()
  wheel.set(later, START_MS + 20_000_000)
  const fired: Timed[] = []
  wheel.advance(START_MS + 10_000_000, (timed) => fired.push(timed))
  assert.deepEqual(new Set(fired), new Set(due))
  assert.equal(fired.length, due.length)
  const firedMs = firesAt(wheel, later, START_MS + 19_999_000, START_MS + 20_000_100)
  assert.ok(firedMs !== undefined && firedMs >= START_MS + 20_000_000 && firedMs <= START_MS + 20_000_008)
})

test('a deadline that is set after hours without any is not late', () => {
  const wheel = new TimerWheel(START_MS)
  const timer = new Timer()
  const nowMs = START_MS + 10_000_000
  // As a turn of the loop does it: events first, timers after.
  wheel.set(timer, nowMs + 100)
  wheel.advance(nowMs, () => assert.fail('early'))
  const firedMs = firesAt(wheel, timer, nowMs, nowMs + 200)
  assert.ok(firedMs !== undefined && firedMs >= nowMs + 100 && firedMs <= nowMs + 108, `${firedMs}`)
})

test('waitMs is -1 with nothing to wait for, at least 1 otherwise, and never beyond the next deadline', () => {
  const wheel = new TimerWheel(START_MS)
  assert.equal(wheel.waitMs(START_MS), -1)
  const timer = new Timer()
  wheel.set(timer, START_MS - 1_000)
  assert.ok(wheel.waitMs(START_MS) >= 1)
  wheel.set(timer, START_MS + 5_000)
  const waitMs = wheel.waitMs(START_MS)
  assert.ok(waitMs >= 1 && waitMs <= 5_008, `${waitMs}`)
})

// The model: a map of deadlines. `by` moves the clock, `waits` moves it by what waitMs says, as the loop does.
type Command =
  | { readonly kind: 'set'; readonly timer: number; readonly delayMs: number }
  | { readonly kind: 'clear'; readonly timer: number }
  | { readonly kind: 'by'; readonly elapsedMs: number }
  | { readonly kind: 'waits' }

const TIMERS = 6
const timerIndex = fc.integer({ min: 0, max: TIMERS - 1 })
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    timer: timerIndex,
    delayMs: fc.oneof(fc.integer({ min: -20, max: 100 }), fc.integer({ min: 0, max: 50_000 })),
  }),
  fc.record({ kind: fc.constant('clear' as const), timer: timerIndex }),
  fc.record({
    kind: fc.constant('by' as const),
    elapsedMs: fc.oneof(fc.double({ min: 0, max: 30, noNaN: true }), fc.integer({ min: 0, max: 40_000 })),
  }),
  fc.record({ kind: fc.constant('waits' as const) }),
)

test('whatever is set, moved and cleared, exactly what is due fires, 8 ms late at most', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.array(command, { maxLength: 60, size: 'max' }),
      runAgainstModel,
    ),
    { numRuns: 2_000 },
  )
})

function runAgainstModel(startMs: number, commands: readonly Command[]): void {
  const wheel = new TimerWheel(startMs)
  const timers = Array.from({ length: TIMERS }, (_, index) => new Timer(`${index}`))
  const model = new Map<Timed, number>()
  let nowMs = startMs
  const advance = (): void => {
    wheel.advance(nowMs, (timed) => {
      const deadlineMs = model.get(timed)
      assert.ok(deadlineMs !== undefined, 'fired without being set')
      assert.ok(deadlineMs <= nowMs, 'fired early')
      model.delete(timed)
    })
    for (const deadlineMs of model.values()) assert.ok(deadlineMs + LATE_MS_MAX > nowMs, 'did not fire')
  }
  for (const next of commands) {
    if (next.kind === 'set') {
      // One that is set for the past is due from now on.
      const deadlineMs = nowMs + Math.max(0, next.delayMs)
      wheel.set(timers[next.timer], nowMs + next.delayMs)
      model.set(timers[next.timer], deadlineMs)
    } else if (next.kind === 'clear') {
      wheel.clear(timers[next.timer])
      model.delete(timers[next.timer])
    } else if (next.kind === 'by') {
      nowMs += next.elapsedMs
      advance()
    } else {
      const waitMs = wheel.waitMs(nowMs)
      assert.equal(waitMs === -1, model.size === 0)
      if (waitMs === -1) continue
      assert.ok(Number.isInteger(waitMs) && waitMs >= 1)
      assert.ok(nowMs + waitMs <= Math.min(...model.values()) + LATE_MS_MAX + 1, 'waits beyond a deadline')
      nowMs += waitMs
      advance()
    }
  }
}
