import { TICKET_KEY_BYTES } from '../../feed/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import { messageOf } from '../../text/error-message.ts'
import { type KeptTicketKeys, TICKET_KEYS_KEPT, type TicketKeyFile } from '../store/ticket-key-file.ts'

/** For how long a key seals. */
export const TICKET_PERIOD_MS = 3_600_000

/** What a keyring works with. */
export type TicketKeyringOptions = {
  readonly file: Pick<TicketKeyFile, 'read' | 'write' | 'path'>
  readonly log: Log
  /** Milliseconds since 1970: keys grow older also while no controller runs. */
  readonly clock: () => number
  readonly random: (bytes: number) => Buffer
  /** There are other keys. */
  readonly onChange: () => void
}

/**
 * The keys by which all edges of a controller seal and open the tickets of TLS sessions, so that each resumes the sessions
 * of the others.
 *
 * The next key is handed out a whole period before it seals: no edge gives a ticket that another cannot open, whichever
 * of them hears of a change first.
 */
export class TicketKeyring {
  readonly #options: TicketKeyringOptions
  #kept: KeptTicketKeys
  #timer: NodeJS.Timeout

  constructor(options: TicketKeyringOptions) {
    this.#options = options
    const nowMs = options.clock()
    const kept = this.#readKept()
    // Where the clock was set back, the key begins anew, once: it is used for a period longer at most.
    const isAhead = kept !== undefined && kept.rotatedMs > nowMs
    const keys = kept?.keys ?? [this.#makeKey(), this.#makeKey()]
    this.#kept = { rotatedMs: isAhead ? nowMs : (kept?.rotatedMs ?? nowMs), keys }
    const ageMs = nowMs - this.#kept.rotatedMs
    const ageOfNextMs = ageMs % TICKET_PERIOD_MS
    const due = Math.min(Math.floor(ageMs / TICKET_PERIOD_MS), TICKET_KEYS_KEPT)
    // The rhythm goes on as if the controller had run.
    for (let done = 0; done < due; done++) this.#rotate(nowMs - ageOfNextMs)
    if (kept === undefined || isAhead || due > 0) this.#save()
    this.#timer = this.#rotateIn(TICKET_PERIOD_MS - ageOfNextMs)
  }

  /** In hexadecimal; the first one seals, and all of them open. Another object whenever there is another key. */
  keys(): readonly string[] {
    return this.#kept.keys
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #rotateIn(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#rotate(this.#options.clock())
      this.#save()
      this.#timer = this.#rotateIn(TICKET_PERIOD_MS)
      this.#options.onChange()
    }, delayMs).unref()
  }

  #rotate(rotatedMs: number): void {
    const [current, next, ...previous] = this.#kept.keys
    const keys = [next, this.#makeKey(), current, ...previous].slice(0, TICKET_KEYS_KEPT)
    this.#kept = { rotatedMs, keys }
  }

  #makeKey(): string {
    return this.#options.random(TICKET_KEY_BYTES).toString('hex')
  }

  /** Without a file that can be used, clients make a full handshake, and that is all. */
  #readKept(): KeptTicketKeys | undefined {
    const { file, log } = this.#options
    try {
      return file.read()
    } catch (error) {
      log('warn', 'The ticket keys cannot be read; new ones are made', { file: file.path, problem: messageOf(error) })
      return undefined
    }
  }

  #save(): void {
    const { file, log } = this.#options
    try {
      file.write(this.#kept)
    } catch (error) {
      log('error', 'The ticket keys cannot be saved', { file: file.path, problem: messageOf(error) })
    }
  }
}
