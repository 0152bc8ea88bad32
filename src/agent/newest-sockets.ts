/** More than there are flows in most cases: those that share a cell get new sockets more often than they need. */
const CELLS_LOG2 = 20

/** Cells for {@link NewestSockets}, shared by all workers; null: a single worker needs none. */
export function makeNewestCells(workers: number): Uint16Array | null {
  return workers > 1 ? new Uint16Array(new SharedArrayBuffer(2 ** CELLS_LOG2 * Uint16Array.BYTES_PER_ELEMENT)) : null
}

/**
 * Which worker has opened the newest socket of a flow. The kernel spreads a client's datagrams over the workers by the
 * sockets of the edge, so several workers may have the same flow, with the same two ends; and it gives the app's answers
 * to the newest of their sockets alone.
 */
export class NewestSockets {
  readonly #cells: Uint16Array | null
  readonly #mine: number

  constructor(cells: Uint16Array | null, worker: number) {
    this.#cells = cells
    this.#mine = worker + 1
  }

  /** This worker opens a socket of the flow with this hash; returns its cell, or -1: nobody else can have one. */
  claim(hash: number): number {
    if (this.#cells === null) return -1
    const cell = Math.imul(hash, 0x9e3779b1) >>> (32 - CELLS_LOG2)
    this.claimCell(cell)
    return cell
  }

  claimCell(cell: number): void {
    if (this.#cells !== null) Atomics.store(this.#cells, cell, this.#mine)
  }

  /** Reports whether another worker has opened one since. */
  isOvertaken(cell: number): boolean {
    return this.#cells !== null && cell >= 0 && Atomics.load(this.#cells, cell) !== this.#mine
  }
}
