import { Line } from './line.ts'
import type { LoopLag } from './loop-lag.ts'

/** How a conversation went: to its own end, or not in time. */
export type Conversation<Result> =
  | { readonly kind: 'finished'; readonly result: Result }
  | { readonly kind: 'late'; readonly stage: Line['stage'] }
  /** This process was too busy to tell whether the backend was late. */
  | { readonly kind: 'lagged' }
  /** It was called off. */
  | { readonly kind: 'stopped' }

export type ConversationLimits = {
  readonly timeoutMs: number
  /** Ends the conversation at once. */
  readonly signal: AbortSignal
  readonly lag: Pick<LoopLag, 'watch'>
}

/**
 * Lets `talk` use a new line for at most `timeoutMs`, from before the connection is opened.
 *
 * The line is closed in any case: in order after a conversation, at once after a missed deadline. Rejects only if
 * `talk` does.
 */
export async function converseWithin<Result>(
  limits: ConversationLimits,
  talk: (line: Line) => Promise<Result>,
): Promise<Conversation<Result>> {
  const { timeoutMs, signal, lag } = limits
  const line = new Line()
  const watch = lag.watch()
  let timer: NodeJS.Timeout | undefined
  let stop = (): void => {}
  const missed = new Promise<Conversation<Result>>((resolve) => {
    // What has arrived by now waits in the kernel; events are looked at once more before the verdict.
    const expire = (): void => void setImmediate(judge)
    const judge = (): void => resolve(watch.hasLagged() ? { kind: 'lagged' } : { kind: 'late', stage: line.stage })
    timer = setTimeout(expire, timeoutMs)
    stop = () => resolve({ kind: 'stopped' })
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  let hasFinished = false
  const finished = async (): Promise<Conversation<Result>> => {
    const result = await talk(line)
    hasFinished = true
    return { kind: 'finished', result }
  }
  try {
    return await Promise.race([missed, finished()])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    watch.end()
    if (hasFinished) line.leave(signal)
    else line.destroy()
  }
}
