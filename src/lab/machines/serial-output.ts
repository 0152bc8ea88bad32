/** As much as Google's servers keep of one port. */
const KEPT_BYTES_MAX = 1024 * 1024

/** What a machine has written to its serial port: the last mebibyte of it, and how much there was in all. */
export class SerialOutput {
  /**
   * What is kept are the last bytes of the first `#used` ones. There is room for twice as much, so that it is moved to the
   * front once in a mebibyte and not with each byte that a machine writes.
   */
  #room = Buffer.alloc(0)
  #used = 0
  /** In bytes since the machine was made. */
  #end = 0

  append(bytes: Buffer): void {
    this.#end += bytes.length
    const last = bytes.subarray(-KEPT_BYTES_MAX)
    if (this.#used + last.length > this.#room.length) this.#makeRoom(last.length)
    last.copy(this.#room, this.#used)
    this.#used += last.length
  }

  /** What is kept from `start` on: where it really begins, and where the next read goes on. */
  read(start: number): { readonly contents: string; readonly start: number; readonly next: number } {
    const kept = Math.min(this.#used, KEPT_BYTES_MAX)
    const from = Math.min(Math.max(start, this.#end - kept), this.#end)
    const contents = this.#room.subarray(this.#used - (this.#end - from), this.#used).toString('utf8')
    return { contents, start: from, next: this.#end }
  }

  /** For `count` bytes behind those before them that are kept. */
  #makeRoom(count: number): void {
    const kept = this.#room.subarray(Math.max(0, this.#used + count - KEPT_BYTES_MAX), this.#used)
    const size = Math.min(2 * (kept.length + count), 2 * KEPT_BYTES_MAX)
    const room = size > this.#room.length ? Buffer.alloc(size) : this.#room
    kept.copy(room)
    this.#room = room
    this.#used = kept.length
  }
}
