import { type CidrSet, cidrSetOf } from '../../address/cidr-set.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import type { Connection, HeaderRead } from '../../dataplane/connection/connection-state.ts'
import type { ProxiedHeader } from '../../proxy-protocol/proxy-header.ts'
import { readProxyHeader } from '../../proxy-protocol/read-proxy-header.ts'
import { readTlvs } from '../../proxy-protocol/tlv.ts'
import { type Counters, METRICS, type SourceRefusal } from '../../telemetry/metrics.ts'
import { tlvsToPassOn } from './outgoing-header.ts'

/** Takes headers from the load balancers in front of an edge: from those that are trusted, and from nobody else. */
export class IncomingHeader {
  readonly #trusted: CidrSet
  readonly #limits: { readonly v2LengthMax: number }
  readonly #counters: Counters

  /** @param trusted subnets as CIDR texts; @param headerLengthMax bytes of a version 2 header behind its first 16 */
  constructor(trusted: readonly string[], headerLengthMax: number, counters: Counters) {
    this.#trusted = cidrSetOf(trusted)
    this.#limits = { v2LengthMax: headerLengthMax }
    this.#counters = counters
  }

  trusts(peer: IpAddress): boolean {
    return this.#trusted.has(peer)
  }

  /**
   * Reads the header from `[0, end)`: its source and destination become the connection's. A header that names no client
   * leaves the real ends. An edge impersonates nobody, so it takes whatever source a trusted sender names.
   */
  read(connection: Connection, bytes: Uint8Array, end: number): HeaderRead {
    const header = readProxyHeader(bytes, 0, end, this.#limits)
    switch (header.kind) {
      case 'incomplete':
        return header
      case 'malformed':
        connection.refusal = header.reason
        this.#counters.add(METRICS.malformed.slots[header.reason])
        return { kind: 'refused', reason: 'header-malformed' }
      case 'unix':
        return this.#refuse(connection, 'family-unsupported')
      case 'local':
        this.#counters.add(METRICS.local.slot)
        connection.showsPeer = true
        connection.source = connection.peer
        return { kind: 'complete', payloadStart: header.bytesRead }
      case 'proxied':
        if (header.transport === 'dgram') return this.#refuse(connection, 'transport-mismatch')
        takeOver(connection, header, bytes)
        return { kind: 'complete', payloadStart: header.bytesRead }
    }
  }

  #refuse(connection: Connection, reason: SourceRefusal): HeaderRead {
    connection.refusal = reason
    this.#counters.add(METRICS.sourceRefused.slots[reason])
    return { kind: 'refused', reason: 'source-refused' }
  }
}

function takeOver(connection: Connection, header: ProxiedHeader, bytes: Uint8Array): void {
  connection.source = header.source
  connection.destination = header.destination
  if (header.tlvStart < header.tlvEnd) {
    connection.tlvs = tlvsToPassOn(readTlvs(bytes, header.tlvStart, header.tlvEnd))
  }
}
