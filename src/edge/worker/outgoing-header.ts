import { randomFillSync } from 'node:crypto'
import type { Endpoint } from '../../address/endpoint.ts'
import { firstTlvValue, type Tlv, TlvType, uniqueIdTlv } from '../../proxy-protocol/tlv.ts'
import { writeProxyV1 } from '../../proxy-protocol/write-v1.ts'
import { type ProxyV2Options, writeProxyV2 } from '../../proxy-protocol/write-v2.ts'
import type { HeaderSetting } from '../../snapshot/snapshot.ts'

const UNIQUE_ID_BYTES = 16
/** The first bytes of an id are random, the same for all that one writer gives; the rest counts. */
const RANDOM_BYTES = 10

/** Writes the header that comes before the client's first byte on the way to a backend, as the frontend wants it. */
export class OutgoingHeader {
  readonly #kind: HeaderSetting['kind']
  /** What is said besides TLVs. */
  readonly #base: Omit<ProxyV2Options, 'tlvs'>
  /** What is in every header of version 2; the id's bytes change with each. */
  readonly #options: ProxyV2Options
  readonly #uniqueId: Uint8Array | undefined
  readonly #uniqueIdTlvs: readonly Tlv[]

  constructor(header: HeaderSetting, transport: 'stream' | 'dgram' = 'stream') {
    const isV2 = header.kind === 'PROXY_V2'
    this.#kind = header.kind
    this.#base = { transport, hasChecksum: isV2 && header.crc32c }
    this.#uniqueId = isV2 && header.uniqueId ? randomFillSync(new Uint8Array(UNIQUE_ID_BYTES)) : undefined
    this.#uniqueIdTlvs = this.#uniqueId === undefined ? [] : [uniqueIdTlv(this.#uniqueId)]
    this.#options = { ...this.#base, tlvs: this.#uniqueIdTlvs }
  }

  /** Whether it says more than addresses. */
  get hasTlvs(): boolean {
    return this.#kind === 'PROXY_V2'
  }

  /**
   * Writes the header at the front of `target` and returns its length, 0 where there is none.
   *
   * `passedOn` are TLVs of the header that came with the connection; an id among them stays the connection's id.
   */
  write(target: Uint8Array, source: Endpoint, destination: Endpoint, passedOn: readonly Tlv[]): number {
    if (this.#kind === 'NONE') return 0
    if (this.#kind === 'PROXY_V1') return writeProxyV1(target, 0, source, destination)
    if (this.#uniqueId !== undefined) countUp(this.#uniqueId)
    return writeProxyV2(target, 0, source, destination, passedOn.length === 0 ? this.#options : this.#with(passedOn))
  }

  #with(passedOn: readonly Tlv[]): ProxyV2Options {
    const hasId = firstTlvValue(passedOn, TlvType.uniqueId) !== undefined
    return { ...this.#base, tlvs: hasId ? passedOn : [...passedOn, ...this.#uniqueIdTlvs] }
  }
}

/** Which TLVs of a header that came go into the one that leaves: not its checksum, and no padding. */
export function tlvsToPassOn(tlvs: readonly Tlv[]): readonly Tlv[] {
  return tlvs.filter(({ type }) => type !== TlvType.crc32c && type !== TlvType.noop)
}

function countUp(id: Uint8Array): void {
  for (let at = UNIQUE_ID_BYTES - 1; at >= RANDOM_BYTES; at--) {
    id[at] += 1
    if (id[at] !== 0) return
  }
}
