import { formatEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { END_REASONS, type EndReason, type EndRecord } from '../../telemetry/end-reasons.ts'
import type { Log, LogFields } from '../../telemetry/log.ts'
import { Samples } from '../../telemetry/samples.ts'
import { escapeNonAscii } from '../../text/plain-text.ts'
import { type Connection, phaseName } from './connection-state.ts'

/** Which connections get a record: a sample of those that failed, all of these, or all connections. */
export type Verbosity = 0 | 1 | 2

/** Makes the record of a connection that ends. */
type Describe = (connection: Connection, reason: EndReason) => LogFields

/** Logs the records of connections that end, so much of them as the operator asked for. */
export class Reporter {
  readonly #log: Log
  readonly #verbosity: Verbosity
  readonly #describe: Describe
  readonly #samples = new Samples()

  constructor(log: Log, verbosity: Verbosity, describe: Describe = connectionRecord) {
    this.#log = log
    this.#verbosity = verbosity
    this.#describe = describe
  }

  /** Logs the record of a connection that ends, or not. */
  report(connection: Connection, reason: EndReason): void {
    const record = recordOf(connection, reason)
    if (record === 'sample') return this.#reportSample(connection, reason)
    // Probes come all the time, and all of them fail while the app is down.
    const isSampled = this.#verbosity === 0 || (this.#verbosity === 1 && connection.showsPeer)
    if (isSampled && record === 'failure') return this.#reportSample(connection, reason)
    // Anybody may come, from any number of addresses: one record stands for all of them.
    if (this.#verbosity === 0 && record === 'sample-on-request') return this.#reportSample(connection, reason, reason)
    // A probe that is forwarded to the app comes and goes as it likes.
    const isQuiet = record === 'quiet' || connection.showsPeer
    if (this.#verbosity === 0 || (this.#verbosity === 1 && isQuiet)) return
    if (record === 'sample-on-request') return this.#reportSample(connection, reason)
    this.#log(isQuiet ? 'info' : 'warn', 'connection', this.#describe(connection, reason))
  }

  #reportSample(connection: Connection, reason: EndReason, key = sampleKey(connection, reason)): void {
    const told = this.#samples.take(key, connection.endedMs)
    if (told !== undefined) this.#log('warn', 'connection', { ...this.#describe(connection, reason), ...told })
  }
}

/** A backend that resets before its first byte is set up wrongly, such as an agent that does not trust the edge. */
function recordOf({ backend }: Connection, reason: EndReason): EndRecord {
  return reason === 'backend-reset' && backend.receivedBytes === 0 ? 'failure' : END_REASONS[reason].record
}

function sampleKey({ peer }: Connection, reason: EndReason): string {
  return `${reason} ${peer === null ? '' : formatIpAddress(peer.address)}`
}

/** An open connection as the admin server shows it. */
export type OpenConnection = LogFields

/** Describes a connection that is open now. */
export function openConnection(connection: Connection, nowMs: number): OpenConnection {
  return { ...addresses(connection), ...totals(connection, nowMs), phase: phaseName(connection.phase) }
}

function connectionRecord(connection: Connection, reason: EndReason): LogFields {
  return {
    ...addresses(connection),
    ...totals(connection, connection.endedMs),
    end: reason,
    refusal: connection.refusal === '' ? undefined : connection.refusal,
    ...tlsRecord(connection),
  }
}

/** Who speaks to whom, in a record of a connection or of a flow of datagrams. */
export function addresses({ source, peer, target }: Pick<Connection, 'source' | 'peer' | 'target'>): LogFields {
  return {
    client: source === null ? undefined : formatEndpoint(source),
    peer: peer === null ? undefined : formatEndpoint(peer),
    target: target === null ? undefined : formatEndpoint(target),
  }
}

/** What the client agreed on. */
export function tlsRecord({ client: { tls } }: Connection): LogFields {
  if (tls === null) return {}
  const info = tls.isOpen ? tls.info() : undefined
  if (info === undefined) return { serverName: shownName(tls.serverName) }
  return {
    tlsVersion: info.version,
    tlsCipher: info.cipher,
    serverName: shownName(info.serverName),
    protocol: shownName(info.protocol),
    isResumed: info.isResumed,
    commonName: info.commonName && shownName(info.commonName),
  }
}

/** A name that the other side has chosen, so that it can do nothing to a terminal; undefined: it is empty. */
function shownName(name: string): string | undefined {
  return name === '' ? undefined : escapeNonAscii(name)
}

function totals({ client, backend, headerBytes, startedMs }: Connection, nowMs: number): LogFields {
  return {
    bytesFromClient: client.receivedBytes - headerBytes,
    bytesFromBackend: backend.receivedBytes,
    durationMs: Math.round(nowMs - startedMs),
  }
}
