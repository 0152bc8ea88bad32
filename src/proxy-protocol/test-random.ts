import type { Endpoint } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address } from '../address/ip-address.ts'
import type { Tlv } from './tlv.ts'
import { writeProxyV1, writeProxyV1Unknown } from './write-v1.ts'
import {
  type ProxyV2Options,
  writeProxyV2,
  writeProxyV2Local,
  writeProxyV2Unix,
  writeProxyV2Unspec,
} from './write-v2.ts'

/** Bytes at which headers turn. */
const TELLING_BYTES = Buffer.from(
  '\r\n PROXYTCP46UNKNOWN:..0019afF\t\0\xff\x20\x21\x03\x05\x30\x11\x22\x31\x02\x01',
  'latin1',
)

const SOUND_BEGINNINGS = [
  ...['', 'P', 'PROXY ', 'PROXY TCP4 ', 'PROXY TCP6 ::', 'PROXY UNKNOWN', 'PROXY TCP4 1.2.3.4 5.6.7.8 '],
  `PROXY UNKNOWN ${'x'.repeat(80)}`,
  ...['\r\n\r\n\0\r\nQUIT\n', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18abcdefghijkl'],
].map((text) => Buffer.from(text, 'latin1'))

/** The same numbers for the same seed (mulberry32), and what headers are made of. */
export class RandomHeaders {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }

  /** Random bytes, half of them such as headers consist of. */
  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#byte()
    return bytes
  }

  /** A valid header of any kind, with TLVs as a rule. */
  header(): Buffer {
    const target = Buffer.alloc(2048)
    const [source, destination] = [this.#endpoint(), this.#endpoint()]
    switch (this.below(8)) {
      case 0:
      case 1:
      case 2:
        return target.subarray(0, writeProxyV1(target, 0, source, destination))
      case 3:
        return this.#unknownLine(target)
      case 4:
        return target.subarray(0, this.#writeWithoutAddresses(target, this.#options()))
      case 5: {
        const paths = [this.bytes(this.below(109)), this.bytes(108)]
        return target.subarray(0, writeProxyV2Unix(target, 0, paths[0], paths[1], this.#options()))
      }
      default:
        return target.subarray(0, writeProxyV2(target, 0, source, destination, this.#options()))
    }
  }

  /** Bytes to try a reader on: a header, whole, cut short or damaged, or the beginning of one, then anything. */
  input(): Buffer {
    const kind = this.below(8)
    const isHeader = kind > 1
    const front = isHeader ? this.header() : SOUND_BEGINNINGS[this.below(SOUND_BEGINNINGS.length)]
    const whole = Buffer.concat([front, this.bytes(this.below(isHeader ? 20 : 120))])
    if (isHeader) for (let damages = kind - 3; damages > 0; damages--) this.#damage(whole, front.length)
    return kind === 7 ? whole.subarray(0, this.below(whole.length + 1)) : this.#spliced(whole, front.length)
  }

  #byte(): number {
    return this.below(2) === 0 ? this.below(256) : TELLING_BYTES[this.below(TELLING_BYTES.length)]
  }

  #damage(bytes: Buffer, length: number): void {
    const at = this.below(length)
    bytes[at] = this.below(2) === 0 ? this.#byte() : bytes[at] ^ (1 << this.below(8))
  }

  /** Once in four times, some bytes taken out and others put in. */
  #spliced(bytes: Buffer, length: number): Buffer {
    if (this.below(4) > 0) return bytes
    const at = this.below(length + 1)
    return Buffer.concat([bytes.subarray(0, at), this.bytes(this.below(3)), bytes.subarray(at + this.below(3))])
  }

  #unknownLine(target: Buffer): Buffer {
    const line = target.subarray(0, writeProxyV1Unknown(target, 0))
    if (this.below(2) === 0) return line
    const tail = this.bytes(this.below(92)).filter((byte) => byte !== 0x0d && byte !== 0x0a)
    return Buffer.concat([line.subarray(0, -2), Buffer.from(' '), tail, Buffer.from('\r\n')])
  }

  #writeWithoutAddresses(target: Buffer, options: ProxyV2Options): number {
    const length = (this.below(2) === 0 ? writeProxyV2Local : writeProxyV2Unspec)(target, 0, options)
    if (target[12] === 0x20) target[13] = this.below(256)
    return length
  }

  #options(): ProxyV2Options {
    const tlvs = Array.from({ length: this.below(5) }, () => this.#tlv())
    return { tlvs, transport: this.below(2) === 0 ? 'stream' : 'dgram', hasChecksum: this.below(2) === 0 }
  }

  #tlv(): Tlv {
    const type = [0x01, 0x02, 0x04, 0x05, 0x20, 0x30, 0xe0, 0xea, 0xee][this.below(12)] ?? this.below(256)
    if (type !== 0x20) return { type, value: this.bytes(this.below(20)) }
    const inner = this.bytes(this.below(10))
    return { type, value: Buffer.concat([this.bytes(5), Buffer.of(0x20 + this.below(9), 0, inner.length), inner]) }
  }

  #endpoint(): Endpoint {
    return { address: this.#address(), port: this.below(2) === 0 ? this.below(65536) : this.below(100) }
  }

  #address(): IpAddress {
    if (this.below(2) === 0) return ipv4Address(this.#word())
    if (this.below(4) === 0) return ipv6Address(0, 0, 0xffff, this.#word())
    return ipv6Address(this.#word(), this.#word(), this.#word(), this.#word())
  }

  #word(): number {
    return this.below(3) === 0 ? 0 : this.below(2 ** 32)
  }
}
