import { type Endpoint, formatEndpoint, isSameEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import type { Connection } from '../../dataplane/connection/connection-state.ts'
import { tlsRecord } from '../../dataplane/connection/report.ts'
import { roundTripOf } from '../../dataplane/connection/side-io.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { LogFields } from '../../telemetry/log.ts'
import type { RegionReason } from '../../telemetry/region-reasons.ts'

/** IANA's number, as Google's records have it. */
const PROTOCOL_TCP = 6

/** Which connections of a service are logged: that part of them, evenly spread (`logConfig.sampleRate`). */
export class Sampler {
  readonly #rate: number
  #credit = 0

  /** @param rate from 0, none, to 1, all */
  constructor(rate: number) {
    this.#rate = rate
  }

  /** Reports whether the next connection is one of them. */
  take(): boolean {
    this.#credit += this.#rate
    // What is lost by rounding must not keep back the last of ten tenths.
    if (this.#credit < 1 - Number.EPSILON * 16) return false
    this.#credit = Math.max(0, this.#credit - 1)
    return true
  }
}

/** What the record of a connection says beside the connection itself. */
export type RecordContext = {
  readonly frontend: string
  readonly backendService: string
  /** Group and name; undefined where none was chosen. */
  readonly backend: string | undefined
  /** Where that is, and why it is there. */
  readonly place: { readonly region: string; readonly reason: RegionReason } | undefined
  /** Where the client connected to. */
  readonly server: Endpoint
  /** The end of the connection on the clock on the wall, in milliseconds since 1970. */
  readonly endedAtMs: number
}

/**
 * The record of a connection that ends, with the names of Google's connection logs (`LoadBalancerLogEntry`), whose
 * server is the load balancer; to be made while its sockets are open. `end`, `tcpRttMs` (the kernel's smoothed estimate
 * towards the client, or towards the load balancer in front) and the names are ours.
 */
export function logEntry(connection: Connection, reason: EndReason, context: RecordContext): LogFields {
  const { source, peer, client, backend, headerBytes } = connection
  const { endedAtMs, server } = context
  const hasOtherPeer = peer !== null && (source === null || !isSameEndpoint(source, peer))
  return {
    connection: {
      clientIp: source === null ? undefined : formatIpAddress(source.address),
      clientPort: source?.port,
      serverIp: formatIpAddress(server.address),
      serverPort: server.port,
      protocol: PROTOCOL_TCP,
    },
    startTime: new Date(endedAtMs - (connection.endedMs - connection.startedMs)).toISOString(),
    endTime: new Date(endedAtMs).toISOString(),
    serverBytesReceived: String(client.receivedBytes - headerBytes),
    serverBytesSent: String(backend.receivedBytes),
    end: reason,
    refusal: connection.refusal === '' ? undefined : connection.refusal,
    tcpRttMs: roundTripOf(client),
    frontend: context.frontend,
    backendService: context.backendService,
    backend: context.backend,
    region: context.place?.region,
    regionReason: context.place?.reason,
    peer: hasOtherPeer ? formatEndpoint(peer) : undefined,
    ...tlsRecord(connection),
  }
}
