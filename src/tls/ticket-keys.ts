import { randomFillSync } from 'node:crypto'

/** How often a new key comes. A key is used for this long and accepted for three times more: 12 hours in all. */
export const TICKET_ROTATION_MS = 3 * 3_600_000

// The layout of `struct ticket_table` in native/tls.h.
const KEYS = 4
const KEYS_START = 16
const KEY_BYTES = 80

/** The memory of a set of keys; a view of it can be given to workers, which then see each change. */
export type TicketTable = Uint8Array

/**
 * Keys by which tickets of sessions are sealed, shared by all workers.
 *
 * The oldest key is overwritten before it becomes the current one; nobody seals with it meanwhile, and whoever opens
 * with it sees a ticket that is not valid, at worst, and makes a full handshake.
 */
export class TicketKeys {
  readonly table: TicketTable = new Uint8Array(new SharedArrayBuffer(KEYS_START + KEYS * KEY_BYTES))
  readonly #current = new Int32Array(this.table.buffer, 0, 1)

  constructor() {
    // No key is ever known to anybody, not even one that has not been used.
    for (let key = 0; key < KEYS; key++) this.rotate()
  }

  /** Makes a new key the current one; the oldest is forgotten. */
  rotate(): void {
    const next = (Atomics.load(this.#current, 0) + 1) % KEYS
    // randomFill takes no shared memory in every version of node.
    this.table.set(randomFillSync(new Uint8Array(KEY_BYTES)), KEYS_START + next * KEY_BYTES)
    Atomics.store(this.#current, 0, next)
  }
}
