import { createHash } from 'node:crypto'
import { continueCrc32c } from '../../proxy-protocol/crc32c.ts'

/** Both hashes by which clients check the bytes of an object. */
export class ObjectHash {
  readonly #md5 = createHash('md5')
  #crc32c = 0

  update(bytes: Uint8Array): void {
    this.#md5.update(bytes)
    this.#crc32c = continueCrc32c(this.#crc32c, bytes)
  }

  /** Of all bytes, in base64 as the API has them; there are no more bytes after it. */
  finish(): { readonly md5: string; readonly crc32c: string } {
    const crc32c = Buffer.alloc(4)
    crc32c.writeInt32BE(this.#crc32c)
    return { md5: this.#md5.digest('base64'), crc32c: crc32c.toString('base64') }
  }
}
