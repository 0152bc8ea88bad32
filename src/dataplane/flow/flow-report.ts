import { formatEndpoint } from '../../address/endpoint.ts'
import { errnoName } from '../../linux/errno.ts'
import type { LogFields } from '../../telemetry/log.ts'
import type { Flow } from './datagram-entrance.ts'

/** Describes a flow that is open now. */
export function openFlow(flow: Flow, nowMs: number): LogFields {
  return { ...addresses(flow), ...totals(flow, nowMs), phase: 'flow' }
}

function addresses({ source, peer, target }: Flow): LogFields {
  return {
    client: source === null ? undefined : formatEndpoint(source),
    peer: peer === null ? undefined : formatEndpoint(peer),
    target: target === null ? undefined : formatEndpoint(target),
  }
}

function totals(flow: Flow, nowMs: number): LogFields {
  return {
    datagramsFromClient: flow.datagramsFromClient,
    bytesFromClient: flow.bytesFromClient,
    datagramsFromBackend: flow.datagramsFromBackend,
    bytesFromBackend: flow.bytesFromBackend,
    errors: flow.errors === 0 ? undefined : flow.errors,
    lastError: flow.lastError === 0 ? undefined : errnoName(flow.lastError),
    durationMs: Math.round(nowMs - flow.startedMs),
  }
}
