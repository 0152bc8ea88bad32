import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'

/** How often a process makes a new key of its own. It is used for this long and accepted for three times more: 12 hours. */
export const TICKET_ROTATION_MS = 3 * 3_600_000
/** Keys of its own that a process accepts beside the current one. */
const OWN_PREVIOUS = 3

// The layout of `struct ticket_table` in native/tls.h.
const PLACES = 8
const KEYS_START = 16
const KEY_BYTES = 80
/** By which a ticket names its key. */
const NAME_BYTES = 16

/** One place is left for the key of before, by which a worker may be sealing at this moment. */
export const TICKET_KEYS_MAX = PLACES - 1

/** A key: its name, a key of HMAC-SHA256 and one of AES-256, as in the files of nginx and HAProxy. */
export type TicketKey = Uint8Array

/** The memory of a set of keys; a view of it can be given to workers, which then see each change. */
export type TicketTable = Uint8Array

/**
 * Keys by which tickets of sessions are sealed, shared by all workers: one seals, and all of them open.
 *
 * A key whose place is needed is overwritten only after another one has become the one that seals; whoever is sealing or
 * opening with it meanwhile makes, or sees, a ticket that is not valid, and the client a full handshake.
 */
export class TicketKeys {
  readonly table: TicketTable = new Uint8Array(new SharedArrayBuffer(KEYS_START + PLACES * KEY_BYTES))
  readonly #current = new Int32Array(this.table.buffer, 0, 1)
  /** What is in use of each place. */
  #places: readonly (TicketKey | undefined)[] = Array<undefined>(PLACES).fill(undefined)
  #used: readonly TicketKey[] = []

  constructor() {
    this.use([makeTicketKey()])
  }

  /** Uses one to {@link TICKET_KEYS_MAX} keys with different names from now on: the first one seals, and all of them open. */
  use(keys: readonly TicketKey[]): void {
    const [first] = keys
    assert(first !== undefined && keys.length <= TICKET_KEYS_MAX)
    const places = this.#places.map((held) => keys.find((key) => held !== undefined && isSame(key, held)))
    const free = [...places.keys()].filter((place) => places[place] === undefined && place !== this.#current[0])
    for (const key of keys) {
      if (places.includes(key)) continue
      const place = free.shift()
      assert(place !== undefined)
      places[place] = key
      this.#write(place, key)
    }
    Atomics.store(this.#current, 0, places.indexOf(first))
    // No key is ever known to anybody, not even that of an empty place, and none can be found once it is out of use.
    for (const [place, key] of places.entries()) if (key === undefined) this.#write(place, makeTicketKey())
    this.#places = places
    this.#used = keys
  }

  /** Seals with a new key, and accepts a few of those before. */
  rotate(): void {
    this.use([makeTicketKey(), ...this.#used.slice(0, OWN_PREVIOUS)])
  }

  #write(place: number, key: TicketKey): void {
    this.table.set(key, KEYS_START + place * KEY_BYTES)
  }
}

/** A new key. */
export function makeTicketKey(): TicketKey {
  // randomFill takes no shared memory in every version of node.
  return randomFillSync(new Uint8Array(KEY_BYTES))
}

/** Reads one key or more, not too many, each with a name of its own; undefined: they are not that. */
export function parseTicketKeys(texts: readonly string[]): readonly TicketKey[] | undefined {
  const keys: TicketKey[] = []
  for (const text of texts) {
    const key = parseTicketKey(text)
    if (key === undefined || keys.some((other) => isSameName(other, key))) return undefined
    keys.push(key)
  }
  return keys.length >= 1 && keys.length <= TICKET_KEYS_MAX ? keys : undefined
}

/** Reads a key of 160 hexadecimal digits; undefined: it is none. */
function parseTicketKey(text: string): TicketKey | undefined {
  return /^[0-9a-f]{160}$/i.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined
}

/**
 * Reads keys out of a text with one key in each line; empty lines, and those that begin with "#", are left out.
 *
 * @returns the keys, or what is wrong, which never repeats a part of a key
 */
export function readTicketKeys(
  text: string,
): readonly TicketKey[] | { readonly rule: string; readonly remedy: string } {
  const keys: TicketKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const word = line.trim()
    if (word === '' || word.startsWith('#')) continue
    const key = parseTicketKey(word)
    if (key === undefined) {
      const remedy = 'write the output of "openssl rand -hex 80" into it'
      return { rule: `line ${index + 1} is not a key of 160 hexadecimal digits`, remedy }
    }
    if (keys.some((other) => isSameName(other, key))) {
      return { rule: `the key in line ${index + 1} has the name of one before it`, remedy: 'make each key anew' }
    }
    keys.push(key)
  }
  if (keys.length === 0) {
    return { rule: 'it contains no key', remedy: 'write the output of "openssl rand -hex 80" into it' }
  }
  if (keys.length > TICKET_KEYS_MAX) {
    return { rule: `it contains ${keys.length} keys`, remedy: `keep the latest, at most ${TICKET_KEYS_MAX}` }
  }
  return keys
}

function isSame(one: TicketKey, other: TicketKey): boolean {
  return Buffer.compare(one, other) === 0
}

function isSameName(one: TicketKey, other: TicketKey): boolean {
  return isSame(one.subarray(0, NAME_BYTES), other.subarray(0, NAME_BYTES))
}
