/** Where the connections of each port are counted, by its name: a port that is opened anew goes on counting. */
export class PortCells {
  readonly #open = new Map<string, Int32Array>()

  /** The cell of a port, one number that the workers share. */
  of(name: string): Int32Array {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const open = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    this.#open.set(name, open)
    return open
  }

  /** Forgets the ports that have other names and no connections. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, open] of this.#open) {
      if (!names.has(name) && Atomics.load(open, 0) === 0) this.#open.delete(name)
    }
  }
}
