import { formatEndpoint } from '../../address/endpoint.ts'
import { parseIpAddress } from '../../address/ip-address.ts'
import type { Probe } from '../../snapshot/snapshot.ts'
import type { LogFields } from '../../telemetry/log.ts'
import type { ProbeResult } from '../conversation/probe-result.ts'
import { type ProbeTarget, probedPort } from './probe.ts'

/** Compute Engine's names of what is known of a backend; unknown: no probe has said anything yet. */
export type HealthState = 'HEALTHY' | 'UNHEALTHY' | 'UNKNOWN'

/** A state as Compute Engine names it, and with the reason that it tells apart (`UNHEALTHY` and `TIMEOUT`). */
export type ShownState = { readonly state: HealthState; readonly detailed: HealthState | 'TIMEOUT' }

/** A change of the health of one backend. */
export type Transition = {
  readonly target: ProbeTarget
  readonly result: ProbeResult
  readonly before: ShownState
  readonly after: ShownState
  readonly latencyMs: number
  /** By the clock on the wall, since 1970. */
  readonly endedMs: number
}

/**
 * The record of a transition. Where the check asks for logs, with what Google's health check logging says
 * (cloud.google.com/load-balancing/docs/health-check-logging, `healthCheckProbeResult`).
 */
export function transitionFields(transition: Transition): LogFields {
  const { target, result, after } = transition
  const { check } = target
  return {
    backend: backendText(target),
    healthCheck: check.name,
    health: after.state,
    ...(result.kind === 'success' ? {} : { error: result.error }),
    ...(check.logsTransitions ? { healthCheckProbeResult: googleFields(transition) } : {}),
  }
}

/** The backend as logs name it, with its own port: `192.0.2.1:110`. */
export function backendText({ address, port }: { readonly address: string; readonly port: number }): string {
  const parsed = parseIpAddress(address)
  return parsed === undefined ? `${address}:${port}` : formatEndpoint({ address: parsed, port })
}

function googleFields({ target, result, before, after, latencyMs, endedMs }: Transition): LogFields {
  return {
    ipAddress: target.address,
    targetIp: target.address,
    targetPort: probedPort(target),
    healthCheckProtocol: target.check.probe.kind,
    healthState: after.state,
    detailedHealthState: after.detailed,
    previousHealthState: before.state,
    previousDetailedHealthState: before.detailed,
    probeRequest: requestText(target.check.probe),
    probeResultText: result.kind === 'success' ? 'OK' : result.error,
    probeCompletionTimestamp: new Date(endedMs).toISOString(),
    responseLatency: `${(latencyMs / 1_000).toFixed(6)}s`,
  }
}

function requestText(probe: Probe): string {
  switch (probe.kind) {
    case 'TCP':
    case 'SSL':
      return probe.request
    case 'HTTP':
    case 'HTTPS':
    case 'HTTP2':
      return probe.requestPath
    case 'GRPC':
    case 'GRPC_WITH_TLS':
      return probe.serviceName
  }
}
