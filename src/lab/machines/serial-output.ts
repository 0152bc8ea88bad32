/** As much as Google's servers keep of one port. */
const KEPT_BYTES_MAX = 1024 * 1024

/** What a machine has written to its serial port: the last mebibyte of it, and how much there was in all. */
export class SerialOutput {
  readonly #chunks: Buffer[] = []
  /** Where what is kept begins and ends, in bytes since the machine was made. */
  #start = 0
  #end = 0

  append(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#end += bytes.length
    while (this.#end - this.#start > KEPT_BYTES_MAX) {
      const [first] = this.#chunks
      const excess = Math.min(this.#end - this.#start - KEPT_BYTES_MAX, first.length)
      if (excess === first.length) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(excess)
      this.#start += excess
    }
  }

  /** What is kept from `start` on: where it really begins, and where the next read goes on. */
  read(start: number): { readonly contents: string; readonly start: number; readonly next: number } {
    const from = Math.min(Math.max(start, this.#start), this.#end)
    const contents = Buffer.concat(this.#chunks)
      .subarray(from - this.#start)
      .toString('utf8')
    return { contents, start: from, next: this.#end }
  }
}
