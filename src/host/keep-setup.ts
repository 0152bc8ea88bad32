import { setTimeout as sleep } from 'node:timers/promises'
import { NetworkChanges } from '../linux/network-changes.ts'
import { messageOf } from '../text/error-message.ts'
import { type AppliedSetup, applyHostSetup } from './apply-setup.ts'
import type { SetupOptions } from './setup-options.ts'

/** How soon a change is noticed: TCP sends again after a second what got lost until then. */
const POLL_MS = 250
/** Somebody may change the firewall all the time. */
const REST_MS = 2_000
/** What the kernel does not tell of, such as a route that went with a loopback interface that was down. */
const CHECK_MS = 60_000

/**
 * Applies the set-up again whenever somebody has changed rules or firewall, and says what it has changed, or once that it
 * cannot; never resolves.
 *
 * A VPN puts its rules in front of ours whenever it starts, and whoever loads a firewall often removes all others first.
 */
export async function keepHostSetup(
  options: SetupOptions,
  onApplied: (applied: AppliedSetup) => void,
  onProblem: (problem: string) => void,
): Promise<never> {
  const changes = [new NetworkChanges('rules'), new NetworkChanges('firewall')]
  let lastProblem = ''
  // Due at once: something may have changed before the kernel began to tell.
  for (let dueMs = 0; ; ) {
    await sleep(POLL_MS)
    // All of them: what is not taken now would count as a change later.
    const hasChanged = changes.map((one) => one.take()).includes(true)
    if (!hasChanged && performance.now() < dueMs) continue
    try {
      const applied = await applyHostSetup(options)
      if (applied.changes.length > 0) onApplied(applied)
      lastProblem = ''
    } catch (error) {
      const problem = messageOf(error)
      if (problem !== lastProblem) onProblem(problem)
      lastProblem = problem
    }
    dueMs = performance.now() + CHECK_MS
    await sleep(REST_MS)
  }
}
