import { classifyAddress } from '../address/address-class.ts'
import { parseCidr } from '../address/cidr.ts'
import { CidrSet } from '../address/cidr-set.ts'
import { type Endpoint, receivedEndpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import type { AfterFailure, Connection, Dial, HeaderRead, Role } from '../dataplane/connection/connection-state.ts'
import { Reporter, type Verbosity } from '../dataplane/connection/report.ts'
import type { RoleContext } from '../dataplane/worker/worker-thread.ts'
import { ECONNREFUSED, isOutOfResources } from '../linux/errno.ts'
import { isListening } from '../linux/socket-table.ts'
import { asksForLoad, encodeLoadReport, LoadCell } from '../proxy-protocol/load-report.ts'
import { readProxyHeader } from '../proxy-protocol/read-proxy-header.ts'
import type { EndReason } from '../telemetry/end-reasons.ts'
import { type Counters, METRICS, type SourceRefusal } from '../telemetry/metrics.ts'
import { type ConnectFromOptions, connectFrom } from './connect-from.ts'
import { decideSource } from './source-policy.ts'

/** How soon the target is tried again after it refused: it may be restarting. */
const RETRY_MS = 50
const RETRY_MS_MAX = 500

/** What becomes of connections whose header names no client. */
export type LocalMode = 'forward' | 'check'

/** What the agent's workers need to know; plain data, so that it can be given to a thread. */
export type AgentRoleOptions = ConnectFromOptions & {
  /** Where clients are connected to, by their address family. */
  readonly target4: Endpoint
  readonly target6: Endpoint
  /** Trusted edges as CIDR texts; null: everyone. */
  readonly allowedSubnets: readonly string[] | null
  readonly denyPrivateSources: boolean
  /** What becomes of a connection without a client (LOCAL, UNKNOWN): `check` answers it without the app. */
  readonly local: LocalMode
  /** Longest version 2 header body in bytes. */
  readonly headerLengthMax: number
  /** The host's load, see `HostLoad`. */
  readonly load: Float64Array
  /** 0: no records of single connections; 1: of those that failed; 2: of all. */
  readonly verbosity: Verbosity
}

/** The agent's part of the data path: trusts edges, reads headers, connects as the client. */
export class AgentRole implements Role {
  readonly expectsHeader = true
  readonly writesHeader = false
  readonly sharesConnectTimeout = true
  readonly #options: AgentRoleOptions
  readonly #target4: Endpoint
  readonly #target6: Endpoint
  readonly #reporter: Reporter
  readonly #counters: Counters
  readonly #headerLimits: { readonly v2LengthMax: number }
  readonly #policy: { readonly denyPrivate: boolean; readonly keepPort: boolean }
  readonly #openTotal: Int32Array
  readonly #allowed: CidrSet | null

  constructor(options: AgentRoleOptions, context: RoleContext) {
    this.#options = options
    this.#target4 = receivedEndpoint(options.target4)
    this.#target6 = receivedEndpoint(options.target6)
    this.#reporter = new Reporter(context.log, options.verbosity)
    this.#counters = context.counters
    this.#openTotal = context.openTotal
    this.#headerLimits = { v2LengthMax: options.headerLengthMax }
    this.#policy = { denyPrivate: options.denyPrivateSources, keepPort: options.sourcePort === 'preserve' }
    this.#allowed = toCidrSet(options.allowedSubnets)
  }

  admit(peer: IpAddress): EndReason | undefined {
    return this.#allowed === null || this.#allowed.has(peer) ? undefined : 'untrusted-peer'
  }

  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead {
    const header = readProxyHeader(bytes, 0, end, this.#headerLimits)
    if (header.kind === 'incomplete') return header
    if (header.kind === 'malformed') {
      connection.refusal = header.reason
      this.#counters.add(METRICS.malformed.slots[header.reason])
      return { kind: 'refused', reason: 'header-malformed' }
    }
    const { peer } = connection
    if (peer === null) return { kind: 'refused', reason: 'source-refused' }
    const decision = decideSource(header, peer, this.#policy)
    if (decision.kind === 'refused') return this.#refuse(connection, decision.reason)
    if (decision.kind === 'peer') this.#counters.add(METRICS.local.slot)
    connection.showsPeer = decision.kind === 'peer'
    connection.source = decision.kind === 'peer' ? peer : decision.source
    connection.target = this.#targetOf(connection.source)
    if (header.kind === 'local' && header.version === 2 && asksForLoad(bytes, header.bytesRead)) {
      return { kind: 'answer', bytes: this.#loadReport(connection.target), payloadStart: header.bytesRead }
    }
    if (connection.showsPeer && this.#options.local === 'check') {
      return { kind: 'refused', reason: isAppListening(connection.target) ? 'local-probe' : 'app-down' }
    }
    return { kind: 'complete', payloadStart: header.bytesRead }
  }

  dial(connection: Connection): Dial {
    const { source, target } = connection
    if (source === null || target === null) return { kind: 'refused', reason: 'source-refused' }
    const connected = connectFrom(source, target, connection.showsPeer, this.#options)
    if (connected.kind === 'failed') return connected
    if (connected.kind === 'refused') return this.#refuse(connection, connected.reason)
    if (connected.fallback !== undefined) {
      this.#counters.add(METRICS.sourcePortFallbacks.slots[connected.fallback])
    }
    return { kind: 'connecting', fd: connected.fd, isLoopback: classifyAddress(target.address) === 'loopback' }
  }

  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure {
    // Refused: the app may be restarting. Out of descriptors: another connection may end. Anything else stays wrong.
    if (error !== ECONNREFUSED && !isOutOfResources(error)) return 'give-up'
    const waitMs = Math.min(RETRY_MS * 2 ** Math.min(connection.attempts - 1, 10), RETRY_MS_MAX)
    return waitMs < remainingMs ? waitMs : 'give-up'
  }

  writeHeader(): number {
    return 0
  }

  onEnd(connection: Connection, reason: EndReason): void {
    this.#reporter.report(connection, reason)
  }

  #loadReport(target: Endpoint): Uint8Array {
    const { load } = this.#options
    return encodeLoadReport({
      cpu_utilization: load[LoadCell.cpu],
      mem_utilization: load[LoadCell.memory],
      open_connections: Atomics.load(this.#openTotal, 0),
      app_listening: isAppListening(target),
    })
  }

  #targetOf(source: Endpoint): Endpoint {
    return source.address.family === 4 ? this.#target4 : this.#target6
  }

  #refuse(connection: Connection, reason: SourceRefusal): { readonly kind: 'refused'; readonly reason: EndReason } {
    connection.refusal = reason
    this.#counters.add(METRICS.sourceRefused.slots[reason])
    return { kind: 'refused', reason: 'source-refused' }
  }
}

/** A probe that cannot be answered from the socket table has failed: nothing says that the app is there. */
function isAppListening(target: Endpoint): boolean {
  try {
    return isListening(target)
  } catch {
    return false
  }
}

function toCidrSet(texts: readonly string[] | null): CidrSet | null {
  if (texts === null) return null
  // The main thread has checked every text; one that is wrong all the same trusts nobody.
  return new CidrSet(texts.map(parseCidr).filter((cidr) => cidr !== undefined))
}
