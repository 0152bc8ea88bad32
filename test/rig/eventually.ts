import assert from 'node:assert/strict'

const POLL_MS = 10

/**
 * Polls until `isTrue` holds; fails with `what` after `timeoutMs`.
 *
 * The limit only ends a test that would never end: it is no claim about time, and generous, because the machine may be
 * busy with everything but this test.
 */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  for (const deadlineMs = Date.now() + timeoutMs; ; ) {
    if (await isTrue()) return
    assert.ok(Date.now() < deadlineMs, `not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/**
 * Lets time pass where the time itself is what is tested, or where nothing can be waited for; `why` says which.
 *
 * What is expected to happen is waited for with {@link eventually} instead.
 */
export async function pause(durationMs: number, why: string): Promise<void> {
  assert.notEqual(why, '')
  await new Promise((resolve) => setTimeout(resolve, durationMs))
}
