import { join } from 'node:path'
import { replaceFile } from '../../linux/replace-file.ts'
import { readPrivateTextFile } from '../../linux/text-file.ts'

/** Ticket keys as they are kept, in hexadecimal: the one that seals, the next one, and those before. */
export type KeptTicketKeys = {
  /** Milliseconds since 1970: when the first of them began to seal. */
  readonly rotatedMs: number
  readonly keys: readonly string[]
}

/** TICKET_KEY_BYTES of src/feed/feed.ts in hexadecimal: the store knows nothing of feeds. */
const KEY_FORM = /^[0-9a-f]{160}$/

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
    if (typeof rotatedMs !== 'number' || !Array.isArray(keys) || keys.length < 2) return undefined
    return keys.every((key) => typeof key === 'string' && KEY_FORM.test(key)) ? { rotatedMs, keys } : undefined
  } catch {
    // Its message repeats a part of the text.
    return undefined
  }
}
