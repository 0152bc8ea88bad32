import { type CidrSet, cidrSetOf } from '../../address/cidr-set.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { type Datagram, Verdict } from '../../dataplane/flow/datagram-entrance.ts'
import { LOCAL_INTS, PEER_INTS } from '../../linux/datagram.ts'
import { ENDS_WORDS, readV2Ends } from '../../proxy-protocol/datagram-ends.ts'
import { readProxyDatagram } from '../../proxy-protocol/read-proxy-header.ts'
import { readTlvs, type Tlv } from '../../proxy-protocol/tlv.ts'
import type { DropReason } from '../../telemetry/flow-reasons.ts'
import { type Counters, METRICS } from '../../telemetry/metrics.ts'
import { tlvsToPassOn } from './outgoing-header.ts'

/** Behind the ends in a key: its sender is the client, whatever its other words say. */
const LOCAL_AT = PEER_INTS + ENDS_WORDS
const NO_TLVS: readonly Tlv[] = []

/** Whose flow it is; undefined: as the kernel says. */
export type NamedClient = { readonly source: Endpoint; readonly destination: Endpoint; readonly tlvs: readonly Tlv[] }

/** Takes a header in each datagram from the load balancers in front of an edge, as `IncomingHeader` does of connections. */
export class IncomingDatagramHeader {
  readonly #trusted: CidrSet
  readonly #limits: { readonly v2LengthMax: number }
  readonly #counters: Counters

  /** @param trusted subnets as CIDR texts; @param headerLengthMax bytes of a header behind its first 16 */
  constructor(trusted: readonly string[], headerLengthMax: number, counters: Counters) {
    this.#trusted = cidrSetOf(trusted)
    this.#limits = { v2LengthMax: headerLengthMax }
    this.#counters = counters
  }

  /**
   * The load balancer's address and the ends in the header: all of its sockets may say the same. Only what begins a flow
   * is read as a whole, by {@link read}.
   */
  identify(datagram: Datagram, key: Int32Array): Verdict {
    const { batch, slot, bytes, start, end } = datagram
    const length = readV2Ends(bytes, start, end, key, PEER_INTS)
    if (length === 0) return this.#identifyOther(datagram, key)
    batch.copyPeerAddress(slot, key, 0)
    datagram.start = start + length
    return Verdict.Pass
  }

  /** A header that names no client, or none that is taken. */
  #identifyOther(datagram: Datagram, key: Int32Array): Verdict {
    const { batch, slot, bytes, start, end } = datagram
    const header = readProxyDatagram(bytes, start, end, this.#limits)
    if (header.kind === 'malformed') return this.#dropMalformed(datagram, header.reason)
    if (header.kind !== 'local') {
      this.#counters.add(
        METRICS.sourceRefused.slots[header.kind === 'unix' ? 'family-unsupported' : 'transport-mismatch'],
      )
      return datagram.drop('source-refused')
    }
    this.#counters.add(METRICS.local.slot)
    batch.copyPeer(slot, key, 0)
    batch.copyLocal(slot, key, PEER_INTS)
    key.fill(0, PEER_INTS + LOCAL_INTS, LOCAL_AT)
    key[LOCAL_AT] = 1
    datagram.start = start + header.bytesRead
    return Verdict.Pass
  }

  /** Reads the header of a datagram that begins a flow; a reason: it is not taken. */
  read(datagram: Datagram, peer: Endpoint): NamedClient | DropReason | undefined {
    if (!this.#trusted.has(peer.address)) return 'untrusted-peer'
    const { batch, slot, bytes, end } = datagram
    const header = readProxyDatagram(bytes, batch.start(slot), end, this.#limits)
    if (header.kind === 'malformed') {
      this.#counters.add(METRICS.malformed.slots[header.reason])
      return 'header-malformed'
    }
    if (header.kind !== 'proxied') return undefined
    const { source, destination, tlvStart, tlvEnd } = header
    const tlvs = tlvStart < tlvEnd ? tlvsToPassOn(readTlvs(bytes, tlvStart, tlvEnd)) : NO_TLVS
    return { source, destination, tlvs }
  }

  #dropMalformed(datagram: Datagram, reason: keyof typeof METRICS.malformed.slots): Verdict {
    this.#counters.add(METRICS.malformed.slots[reason])
    const isMissing = reason === 'not-proxy' || datagram.start === datagram.end
    return datagram.drop(isMissing ? 'header-missing' : 'header-malformed')
  }
}
