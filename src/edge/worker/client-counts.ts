import { randomFillSync } from 'node:crypto'
import { clientHigh, clientLow } from '../../address/client-network.ts'
import type { IpAddress } from '../../address/ip-address.ts'

const ROWS = 4
/** Cells of a row, a power of two. */
const WIDTH = 65_536
const CELLS = ROWS * WIDTH
const SEEDS = 2

/** What all workers share to count the connections of each client: {@link ClientCounts} reads and writes it. */
export type ClientCells = Int32Array

/** Makes cells in which nobody has a connection. */
export function makeClientCells(): ClientCells {
  const cells = new Int32Array(new SharedArrayBuffer((CELLS + SEEDS) * Int32Array.BYTES_PER_ELEMENT))
  // randomFill takes no shared memory in every version of node.
  cells.set(randomFillSync(new Int32Array(SEEDS)), CELLS)
  return cells
}

/**
 * Counts the connections of each client in all workers. What is one client is in client-network.ts.
 *
 * Its connections are added to one cell of each of four rows, which others may share; the least of the four is the count.
 * So it is never too low, too high only for a client that meets others in all four, and nothing is ever allocated, whoever
 * connects. Which cells are whose depends on random seeds: nobody can choose an address to meet somebody else.
 */
export class ClientCounts {
  readonly #cells: ClientCells
  #hash = 0
  #step = 0

  constructor(cells: ClientCells) {
    this.#cells = cells
  }

  /** Counts one more connection; returns how many the client has now. */
  enter(client: IpAddress): number {
    return this.#add(client, 1)
  }

  /** Takes back what {@link enter} has counted. */
  leave(client: IpAddress): void {
    this.#add(client, -1)
  }

  #add(client: IpAddress, amount: 1 | -1): number {
    this.#locate(client)
    let least = Number.MAX_SAFE_INTEGER
    for (let row = 0; row < ROWS; row++) {
      const place = (this.#hash + Math.imul(row, this.#step)) >>> 16
      const count = Atomics.add(this.#cells, row * WIDTH + place, amount) + amount
      if (count < least) least = count
    }
    return least
  }

  /** Sets where the client's cells are: {@link #hash}, and from row to row {@link #step} further. */
  #locate(client: IpAddress): void {
    const high = clientHigh(client)
    const low = clientLow(client)
    this.#hash = mixed(mixed(this.#cells[CELLS], high), low)
    this.#step = mixed(mixed(this.#cells[CELLS + 1], low), high) | 1
  }
}

/** A round of MurmurHash3 and its end: every bit of both words changes each bit of the result in half of all cases. */
function mixed(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51)
  let result = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593)
  result = Math.imul((result << 13) | (result >>> 19), 5) + 0xe6546b64
  result = Math.imul(result ^ (result >>> 16), 0x85ebca6b)
  result = Math.imul(result ^ (result >>> 13), 0xc2b2ae35)
  return result ^ (result >>> 16)
}
