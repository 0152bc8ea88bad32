import { formatEndpoint } from '../address/endpoint.ts'
import type { Log, LogFields } from '../telemetry/log.ts'
import type { EndReason } from '../telemetry/metrics.ts'
import type { Connection } from './connection.ts'

/** Ends that are nobody's failure: they are only reported when everything is. */
const QUIET: ReadonlySet<EndReason> = new Set(['finished', 'header-missing', 'local-probe', 'shutdown'])

/** Which connections get a record: none, those that failed, or all (go-mmproxy's `-v`). */
export type Verbosity = 0 | 1 | 2

/** Logs the record of a connection that has just ended, if the operator asked for it. */
export function reportConnection(log: Log, verbosity: Verbosity, connection: Connection, reason: EndReason): void {
  if (verbosity === 0 || (verbosity === 1 && QUIET.has(reason))) return
  log(QUIET.has(reason) ? 'info' : 'warn', 'connection', connectionRecord(connection, reason))
}

function connectionRecord(connection: Connection, reason: EndReason): LogFields {
  const { client, backend, source, peer, target } = connection
  return {
    client: source === null ? undefined : formatEndpoint(source),
    peer: peer === null ? undefined : formatEndpoint(peer),
    target: target === null ? undefined : formatEndpoint(target),
    bytesFromClient: client.receivedBytes - connection.headerBytes,
    bytesFromBackend: backend.receivedBytes,
    durationMs: Math.round(connection.endedMs - connection.startedMs),
    end: reason,
    refusal: connection.refusal === '' ? undefined : connection.refusal,
  }
}
