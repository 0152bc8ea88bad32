// For tests: records of TLS 1.3 (RFC 8446 §5.2, §7.2), made one by one, as no library that behaves would send them.
import { createCipheriv, createHmac } from 'node:crypto'
import { sized } from './test-hello.ts'

/** The one suite that {@link RecordWriter} writes; have the client offer no other. */
export const RECORD_WRITER_SUITE = 'TLS_AES_128_GCM_SHA256'

const TAG_BYTES = 16
const IV_BYTES = 12
const APPLICATION_DATA = 23
const HANDSHAKE = 22
const KEY_UPDATE = 24

/** Goes on from where a handshake has ended, in the place of a client that has sent nothing since. */
export class RecordWriter {
  #secret: Uint8Array
  #count = 0

  /** @param secret that of the client's traffic, as the line CLIENT_TRAFFIC_SECRET_0 of a key log has it */
  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  /** A record with this payload. */
  payload(text: string): Uint8Array {
    return this.#record(Buffer.from(text), APPLICATION_DATA)
  }

  /** `count` records, each of which says that the next one has new keys; `isAsking` has the other side do so, too. */
  keyUpdates(count: number, isAsking = false): Uint8Array {
    const records: Uint8Array[] = []
    for (let made = 0; made < count; made++) {
      records.push(this.#record(Uint8Array.of(KEY_UPDATE, 0, 0, 1, isAsking ? 1 : 0), HANDSHAKE))
      this.#secret = expand(this.#secret, 'traffic upd', this.#secret.length)
      this.#count = 0
    }
    return Buffer.concat(records)
  }

  #record(content: Uint8Array, type: number): Uint8Array {
    const nonce = expand(this.#secret, 'iv', IV_BYTES)
    nonce.writeUInt32BE((nonce.readUInt32BE(IV_BYTES - 4) ^ this.#count) >>> 0, IV_BYTES - 4)
    this.#count += 1
    const length = content.length + 1 + TAG_BYTES
    const header = Uint8Array.of(APPLICATION_DATA, 3, 3, length >> 8, length & 0xff)
    const cipher = createCipheriv('aes-128-gcm', expand(this.#secret, 'key', 16), nonce).setAAD(header)
    const sealed = [cipher.update(content), cipher.update(Uint8Array.of(type)), cipher.final()]
    return Buffer.concat([header, ...sealed, cipher.getAuthTag()])
  }
}

/** HKDF-Expand-Label, for at most one block. */
function expand(secret: Uint8Array, label: string, length: number): Buffer {
  const info = [0, length, ...sized(1, [...Buffer.from(`tls13 ${label}`)]), 0, 1]
  return createHmac('sha256', secret).update(Uint8Array.from(info)).digest().subarray(0, length)
}
