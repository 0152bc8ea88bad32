import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import type { KeptTicketKeys } from '../store/ticket-key-file.ts'
import { TICKET_PERIOD_MS, TicketKeyring } from './ticket-keyring.ts'

const STARTED_MS = 1_800_000_000_000

/** Makes keyrings one after the other over one file; keys are `01`, `02` and so on, repeated. */
function testKeyrings(t: TestContext) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  const state = {
    nowMs: STARTED_MS,
    made: 0,
    kept: undefined as KeptTicketKeys | undefined,
    isFull: false,
    changes: 0,
    saved: 0,
  }
  const logged: string[] = []
  const start = (): TicketKeyring => {
    const keyring = new TicketKeyring({
      file: {
        path: 'keys.json',
        read: () => state.kept,
        write: (kept) => {
          if (state.isFull) throw new Error('no space left')
          state.kept = kept
          state.saved += 1
        },
      },
      log: (level, message) => void logged.push(`${level} ${message}`),
      clock: () => state.nowMs,
      random: (bytes) => Buffer.alloc(bytes, ++state.made),
      onChange: () => {
        state.changes += 1
      },
    })
    t.after(() => keyring.close())
    return keyring
  }
  const pass = (ms: number): void => {
    state.nowMs += ms
    mock.timers.tick(ms)
  }
  return { state, logged, start, pass }
}

/** The numbers of keys that {@link testKeyrings} has made. */
function numbers(keyring: TicketKeyring): readonly number[] {
  return keyring.keys().map((key) => {
    assert.match(key, /^([0-9a-f]{2})\1{79}$/)
    return Number.parseInt(key.slice(0, 2), 16)
  })
}

test('each hour the next key seals; it was handed out an hour before, and is accepted for three hours after', (t) => {
  const { state, start, pass } = testKeyrings(t)
  const keyring = start()
  assert.deepEqual(numbers(keyring), [1, 2])
  pass(TICKET_PERIOD_MS - 1)
  assert.deepEqual(numbers(keyring), [1, 2])
  assert.equal(state.changes, 0)
  pass(1)
  assert.deepEqual(numbers(keyring), [2, 3, 1])
  for (const expected of [
    [3, 4, 2, 1],
    [4, 5, 3, 2, 1],
    [5, 6, 4, 3, 2],
  ]) {
    pass(TICKET_PERIOD_MS)
    assert.deepEqual(numbers(keyring), expected)
  }
  assert.equal(state.changes, 4)
})

test('a controller that starts again goes on with the keys and with the time that is left', (t) => {
  const { state, start, pass } = testKeyrings(t)
  const first = start()
  pass(TICKET_PERIOD_MS / 4)
  first.close()
  pass(TICKET_PERIOD_MS / 2)
  const second = start()
  assert.deepEqual(numbers(second), [1, 2])
  pass(TICKET_PERIOD_MS / 4)
  assert.deepEqual(numbers(second), [2, 3, 1])
  assert.equal(state.kept?.rotatedMs, STARTED_MS + TICKET_PERIOD_MS)
})

test('keys grow older while no controller runs, and a clock that was set back makes none live for longer than a period more', (t) => {
  for (const [awayMs, expected] of [
    [1.5 * TICKET_PERIOD_MS, [2, 3, 1]],
    [2.5 * TICKET_PERIOD_MS, [3, 4, 2, 1]],
    [100 * TICKET_PERIOD_MS, [6, 7, 5, 4, 3]],
    [-10 * TICKET_PERIOD_MS, [1, 2]],
  ] as const) {
    const { state, start, pass } = testKeyrings(t)
    start().close()
    state.nowMs += awayMs
    const keyring = start()
    assert.deepEqual(numbers(keyring), expected, `${awayMs} ms`)
    pass(TICKET_PERIOD_MS)
    assert.notEqual(numbers(keyring)[0], expected[0])
    mock.timers.reset()
  }
})

test('a clock that was set back makes a key begin anew once, and not at each start', (t) => {
  const { state, start } = testKeyrings(t)
  start().close()
  state.nowMs -= 10 * TICKET_PERIOD_MS
  for (const [laterMs, expected] of [
    [0, [1, 2]],
    [0.75 * TICKET_PERIOD_MS, [1, 2]],
    [0.75 * TICKET_PERIOD_MS, [2, 3, 1]],
  ] as const) {
    state.nowMs += laterMs
    const keyring = start()
    assert.deepEqual(numbers(keyring), expected)
    keyring.close()
  }
})

test('a key that was due while no controller ran has sealed since then, however often one starts', (t) => {
  const { state, start, pass } = testKeyrings(t)
  start().close()
  state.nowMs += 1.5 * TICKET_PERIOD_MS
  start().close()
  assert.equal(state.kept?.rotatedMs, STARTED_MS + TICKET_PERIOD_MS)
  assert.equal(state.saved, 2)
  state.nowMs += 0.25 * TICKET_PERIOD_MS
  const keyring = start()
  assert.equal(state.saved, 2, 'nothing has changed')
  pass(0.25 * TICKET_PERIOD_MS)
  assert.deepEqual(numbers(keyring), [3, 4, 2, 1])
  assert.equal(state.saved, 3)
})

test('on a full disk keys still change, and it is said', (t) => {
  const { state, logged, start, pass } = testKeyrings(t)
  const keyring = start()
  state.isFull = true
  pass(TICKET_PERIOD_MS)
  assert.deepEqual(numbers(keyring), [2, 3, 1])
  assert.deepEqual(logged, ['error The ticket keys cannot be saved'])
  assert.equal(state.kept?.keys.length, 2)
})
