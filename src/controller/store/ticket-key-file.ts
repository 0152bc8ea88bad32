import { join } from 'node:path'
import { replaceFile } from '../../linux/replace-file.ts'
import { readPrivateTextFile } from '../../linux/text-file.ts'

/** Ticket keys as they are kept, in hexadecimal: the one that seals, the next one, and those before. */
export type KeptTicketKeys = {
  /** Milliseconds since 1970: when the first of them began to seal. */
  readonly rotatedMs: number
  readonly keys: readonly string[]
}

/**
 * How many there are at most: the one that seals, the next one, and three before. A ticket is good for two hours, and
 * edges may hear of a key late; they would not take more than TICKET_KEYS_MAX of src/tls/ticket-keys.ts.
 */
export const TICKET_KEYS_KEPT = 5

/** TICKET_KEY_BYTES of src/feed/feed.ts in hexadecimal: the store knows nothing of feeds. */
const KEY_FORM = /^[0-9a-f]{160}$/
/** By which a ticket names its key. */
const NAME_DIGITS = 32

/**
 * The file of the ticket keys in the directory of a controller.
 *
 * It is beside the database: neither a backup nor a page of the database that is free keeps a key for longer than
 * the key is used.
 */
export class TicketKeyFile {
  readonly path: string

  constructor(directory: string) {
    this.path = join(directory, 'ticket-keys.json')
  }

  /** Undefined: there is none. @throws Error when it cannot be used, or others may read it */
  read(): KeptTicketKeys | undefined {
    let text: string
    try {
      text = readPrivateTextFile(this.path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    const kept = parsed(text)
    if (kept === undefined) throw new Error('it is damaged')
    return kept
  }

  /** @throws Error of the file system */
  write(kept: KeptTicketKeys): void {
    replaceFile(this.path, JSON.stringify(kept))
  }
}

function parsed(text: string): KeptTicketKeys | undefined {
  try {
    const { rotatedMs, keys } = JSON.parse(text) as Partial<KeptTicketKeys>
    if (!Number.isSafeInteger(rotatedMs) || !Array.isArray(keys)) return undefined
    if (keys.length < 2 || keys.length > TICKET_KEYS_KEPT) return undefined
    if (!keys.every((key) => typeof key === 'string' && KEY_FORM.test(key))) return undefined
    const names = new Set(keys.map((key) => key.slice(0, NAME_DIGITS)))
    return names.size === keys.length ? { rotatedMs: rotatedMs as number, keys } : undefined
  } catch {
    // Its message repeats a part of the text.
    return undefined
  }
}
