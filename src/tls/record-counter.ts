// What records cost beside their payload. Measured by decrypting: a full record takes about 10 us, one of a single byte
// 1 us, and a KeyUpdate, after which keys are derived anew, 6 us. Whoever counted payload only would be busy for as long as
// somebody likes who sends none.

import { received } from '../linux/openssl.ts'
import { RECORD_HEADER_BYTES } from './client-hello.ts'

/** A record counts as at least so many bytes of payload. */
const RECORD_WORK_MIN = 1_024
/** One without payload, such as a KeyUpdate, counts as so many. */
const SILENT_RECORD_WORK = 8 * 1024
/** Records that one call takes during a handshake; an honest flight has ten. */
const HANDSHAKE_RECORDS_MAX = 128

/**
 * Records without payload (KeyUpdates, tickets, empty ones) that may follow one another while nothing is said in either
 * direction. A server sends a handful of tickets, and keys last for 2^24 records (RFC 8446 §5.5). OpenSSL itself refuses 32
 * empty records in a row, but takes KeyUpdates without end.
 */
const SILENT_RECORDS_MAX = 64

/** Where the records of one session end in `received`, and what they have cost. */
export class RecordCounter {
  /** What was counted since it was last set to 0, in bytes of payload in full records that would have cost as much. */
  work = 0
  /** What is still to come of the record that OpenSSL has begun to read. */
  #left = 0
  /** Records without payload since something was said, by either side. */
  #silentCount = 0

  /** Up to where `[at, end)` belongs to one record; `at` where not even its header is complete. */
  pieceEnd(at: number, end: number): number {
    if (this.#left === 0) this.#left = recordBytes(at, end)
    return Math.min(end, at + this.#left)
  }

  /** Counts bytes of a piece that OpenSSL has read; reports whether a record ends with them. */
  take(count: number): boolean {
    this.#left -= count
    return count > 0 && this.#left === 0
  }

  /** OpenSSL has begun to read a record whose rest has not come. */
  get isWithinRecord(): boolean {
    return this.#left > 0
  }

  /** Up to where one call goes through `[0, end)` during a handshake; the front of a header is left for later. */
  takeFlight(end: number): number {
    let at = 0
    for (let records = 0; records < HANDSHAKE_RECORDS_MAX; records++) {
      const pieceEnd = this.pieceEnd(at, end)
      if (pieceEnd === at) break
      this.take(pieceEnd - at)
      at = pieceEnd
    }
    return at
  }

  /** The handshake is complete: OpenSSL has read no further than to the end of a record. */
  endFlights(): void {
    this.#left = 0
  }

  /** Counts payload that came in a record. */
  countPayload(count: number): void {
    this.work += Math.max(count, RECORD_WORK_MIN)
    this.#silentCount = 0
  }

  /** Counts a record without payload; reports whether the session may go on. */
  countSilent(): boolean {
    this.work += SILENT_RECORD_WORK
    this.#silentCount += 1
    return this.#silentCount <= SILENT_RECORDS_MAX
  }

  /** Something was said to the other side: who listens to much may well update its keys now and then. */
  noteAnswer(): void {
    this.#silentCount = 0
  }
}

/** The length of the record that begins at `at`, with its header; 0 when the header is not complete in `[at, end)`. */
export function recordBytes(at: number, end: number): number {
  if (end - at < RECORD_HEADER_BYTES) return 0
  return RECORD_HEADER_BYTES + ((received[at + 3] << 8) | received[at + 4])
}
