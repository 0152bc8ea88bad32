import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Conversation, converseWithin } from './deadline.ts'
import type { Line } from './line.ts'

const NEVER = new AbortController().signal
/** For what never ends by itself. */
const FOR_EVER = new Promise<never>(() => {})

/** A thread that is late or not; counts the watches that have not ended. */
function watchedLag(hasLagged = false) {
  let open = 0
  const watch = () => {
    open += 1
    const end = (): void => {
      open -= 1
    }
    return { hasLagged: () => hasLagged, end }
  }
  return { lag: { watch }, open: () => open }
}

async function converse(
  talk: (line: Line) => Promise<string>,
  { timeoutMs = 10, signal = NEVER, hasLagged = false } = {},
): Promise<Conversation<string>> {
  const { lag, open } = watchedLag(hasLagged)
  try {
    return await converseWithin({ timeoutMs, signal, lag }, talk)
  } finally {
    assert.equal(open(), 0, 'the watch has ended')
  }
}

test('a conversation that ends in time has its result', async () => {
  assert.deepEqual(await converse(async () => 'said', { timeoutMs: 60_000 }), { kind: 'finished', result: 'said' })
})

test('one that does not is late, in the stage that it had come to', async () => {
  for (const stage of ['connecting', 'handshake', 'talking'] as const) {
    const late = await converse((line) => {
      line.stage = stage
      return FOR_EVER
    })
    assert.deepEqual(late, { kind: 'late', stage })
  }
})

test('where this thread was late itself, nothing is said of the peer', async () => {
  assert.deepEqual(await converse(() => FOR_EVER, { hasLagged: true }), { kind: 'lagged' })
})

test('one that is called off ends at once, also one that was before it began', async () => {
  const stop = new AbortController()
  const talking = converse(() => FOR_EVER, { timeoutMs: 60_000, signal: stop.signal })
  stop.abort()
  assert.deepEqual(await talking, { kind: 'stopped' })
  assert.deepEqual(await converse(() => FOR_EVER, { timeoutMs: 60_000, signal: stop.signal }), { kind: 'stopped' })
})

test('it rejects only with what the conversation does', async () => {
  await assert.rejects(
    converse(() => Promise.reject(new Error('a mistake of ours')), { timeoutMs: 60_000 }),
    /a mistake of ours/,
  )
})
