import type { HealthCheck, Probe } from '../../snapshot/snapshot.ts'
import { messageOf } from '../../text/error-message.ts'
import { type Conversation, converseWithin } from '../conversation/deadline.ts'
import type { Line, LineTarget } from '../conversation/line.ts'
import type { LoopLag } from '../conversation/loop-lag.ts'
import { failure, type ProbeResult, plainText } from '../conversation/probe-result.ts'
import { exchangeBytes } from './probe-bytes.ts'
import { exchangeGrpc } from './probe-grpc.ts'
import { exchangeHttp } from './probe-http.ts'
import { exchangeHttp2 } from './probe-http2.ts'

/** Who is probed, and how. */
export type ProbeTarget = LineTarget & {
  /** It may name another port than the backend's own. */
  readonly check: HealthCheck
  /** The name that clients' connections ask the backend for (SNI), which a probe with TLS asks for, too; none without it. */
  readonly serverName?: string | undefined
  /** Called with how long it took until the backend accepted, in milliseconds. */
  readonly onConnect?: ((durationMs: number) => void) | undefined
}

/** What a health check with `proxyHeader: PROXY_V1` sends: a header that names no client (proxy-protocol.txt §2.1). */
const PROXY_UNKNOWN = 'PROXY UNKNOWN\r\n'

/** Probes a backend once. Never rejects, and leaves nothing open longer than a second. */
export async function runProbe(
  target: ProbeTarget,
  signal: AbortSignal,
  lag: Pick<LoopLag, 'watch'>,
): Promise<ProbeResult> {
  const { timeoutMs } = target.check
  try {
    return resultOf(await converseWithin({ timeoutMs, signal, lag }, (line) => talk(line, target)), timeoutMs)
  } catch (error) {
    // A path that cannot be sent, say: node throws for what it takes for a mistake of the caller.
    return failure(`the probe could not be made: ${plainText(messageOf(error))}`)
  }
}

/** The port that is probed. */
export function probedPort(target: ProbeTarget): number {
  return target.check.port ?? target.port
}

/** Reports whether a probe has to do with TLS or HTTP/2, which takes several times the processor time of others. */
export function isCostly({ kind }: Probe): boolean {
  return kind !== 'TCP' && kind !== 'HTTP'
}

async function talk(line: Line, target: ProbeTarget): Promise<ProbeResult> {
  const { check, address, serverName = '' } = target
  const { probe } = check
  const startedMs = performance.now()
  const refused = await line.connect({ ...target, port: probedPort(target) })
  if (refused !== undefined) return refused
  target.onConnect?.(performance.now() - startedMs)
  if (check.sendsProxyHeader) line.write(PROXY_UNKNOWN)
  switch (probe.kind) {
    case 'TCP':
      return exchangeBytes(line, probe)
    case 'SSL':
      return (await line.secure(undefined, serverName)) ?? exchangeBytes(line, probe)
    case 'HTTP':
      return exchangeHttp(line, probe, address)
    case 'HTTPS':
      return (await line.secure('http/1.1', probe.host || serverName)) ?? exchangeHttp(line, probe, address)
    case 'HTTP2':
      return (await line.secure('h2', probe.host || serverName)) ?? exchangeHttp2(line, probe, address)
    case 'GRPC':
      return exchangeGrpc(line, probe, 'http', address)
    case 'GRPC_WITH_TLS':
      return (await line.secure('h2', serverName)) ?? exchangeGrpc(line, probe, 'https', address)
  }
}

function resultOf(conversation: Conversation<ProbeResult>, timeoutMs: number): ProbeResult {
  switch (conversation.kind) {
    case 'finished':
      return conversation.result
    case 'late':
      return { kind: 'failure', error: lateText(conversation.stage, timeoutMs), isTimeout: true }
    case 'lagged':
      return { kind: 'discarded', error: 'this process was too busy to see the answer' }
    case 'stopped':
      return { kind: 'discarded', error: 'called off' }
  }
}

function lateText(stage: Line['stage'], timeoutMs: number): string {
  switch (stage) {
    case 'connecting':
      return `no answer within ${timeoutMs} ms`
    case 'handshake':
      return `accepted, but no TLS handshake within ${timeoutMs} ms`
    case 'talking':
      return `accepted, but no answer within ${timeoutMs} ms`
  }
}
