import { formatEndpoint, isSameEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import type { Flow } from '../../dataplane/flow/datagram-entrance.ts'
import { errnoName } from '../../linux/errno.ts'
import type { FlowEndReason } from '../../telemetry/flow-reasons.ts'
import type { LogFields } from '../../telemetry/log.ts'
import type { RecordContext } from './connection-log.ts'

/** IANA's number, as Google's records have it. */
const PROTOCOL_UDP = 17

/** The record of a flow that ends, with the names of that of a connection (`logEntry`) where both have the same. */
export function flowEntry(flow: Flow, reason: FlowEndReason, context: RecordContext): LogFields {
  const { source, peer, lastError } = flow
  const hasOtherPeer = peer !== null && (source === null || !isSameEndpoint(source, peer))
  const { endedAtMs, server, place } = context
  return {
    connection: {
      clientIp: source === null ? undefined : formatIpAddress(source.address),
      clientPort: source?.port,
      serverIp: formatIpAddress(server.address),
      serverPort: server.port,
      protocol: PROTOCOL_UDP,
    },
    startTime: new Date(endedAtMs - (flow.endedMs - flow.startedMs)).toISOString(),
    endTime: new Date(endedAtMs).toISOString(),
    serverBytesReceived: String(flow.bytesFromClient),
    serverBytesSent: String(flow.bytesFromBackend),
    datagramsReceived: flow.datagramsFromClient,
    datagramsSent: flow.datagramsFromBackend,
    end: reason,
    lastError: lastError === 0 ? undefined : errnoName(lastError),
    frontend: context.frontend,
    backendService: context.backendService,
    backend: context.backend,
    region: place?.region,
    regionReason: place?.reason,
    peer: hasOtherPeer ? formatEndpoint(peer) : undefined,
  }
}
