import type { ServerResponse } from 'node:http'
import type { Log } from '../../telemetry/log.ts'
import { jsonText } from '../methods/answer-text.ts'
import type { ApiResponse } from '../methods/api-request.ts'
import { HeldBytes } from './held-bytes.ts'
import { quietLog } from './quiet-log.ts'

const LIMITS: AnswerLimits = { unsentBytesMax: 128 * 1024 * 1024, sendMsMin: 30_000, bytesPerMs: 64 }

/** The bounds; tests have smaller ones. */
export type AnswerLimits = {
  /** Bytes of answers that clients have not taken yet; beyond it, or its part for a user, nothing more is carried out. */
  readonly unsentBytesMax: number
  /** For a client to take an answer: so long, and longer for what is long. */
  readonly sendMsMin: number
  readonly bytesPerMs: number
}

/** Sends answers, and bounds what of them waits for slow clients, and for how long. */
export class Answers {
  readonly #tell: ReturnType<typeof quietLog>
  readonly #limits: AnswerLimits
  readonly #unsent: HeldBytes

  constructor(log: Log, limits: AnswerLimits = LIMITS) {
    this.#tell = quietLog(log)
    this.#limits = limits
    this.#unsent = new HeldBytes(limits.unsentBytesMax)
  }

  /** Whether so much waits that a request of this user should rather not be carried out; that is logged. */
  isFull(user: string): boolean {
    if (!this.#unsent.isFull(user)) return false
    this.#tell('requests are refused: clients do not take their answers', { user, unsentBytes: this.#unsent.total })
    return true
  }

  /**
   * Sends an answer; a client that does not take it in time is cut off.
   *
   * @param user whose share it counts for; empty: nobody was let in
   */
  send(response: ServerResponse, answer: ApiResponse, user: string): void {
    const isEmpty = answer.status === 204
    const [type, text] =
      'bytes' in answer ? [answer.contentType, answer.bytes] : ['application/json; charset=UTF-8', jsonText(answer)]
    const bytes = isEmpty ? undefined : Buffer.from(text)
    response.writeHead(answer.status, {
      ...(answer.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      ...(bytes === undefined ? {} : { 'content-type': type, 'content-length': bytes.length }),
    })
    if (bytes !== undefined) this.#watch(response, bytes.length, user)
    response.end(bytes)
  }

  /** The answer is held until it was sent, or its connection has ended: what still waits behind another then has no end of its own. */
  #watch(response: ServerResponse, length: number, user: string): void {
    const { socket } = response.req
    if (socket.destroyed) return
    const release = (): void => {
      clearTimeout(timer)
      response.off('close', release)
      socket.off('close', release)
      this.#unsent.release(user, length)
    }
    const timer = setTimeout(
      () => {
        release()
        this.#tell('a client was cut off: it does not take its answer', { peer: socket.remoteAddress, bytes: length })
        socket.destroy()
      },
      this.#limits.sendMsMin + length / this.#limits.bytesPerMs,
    )
    timer.unref()
    this.#unsent.hold(user, length)
    response.once('close', release)
    socket.once('close', release)
  }
}
