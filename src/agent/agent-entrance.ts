import { parseCidr } from '../address/cidr.ts'
import { CidrSet } from '../address/cidr-set.ts'
import { type Endpoint, receivedEndpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import type { Connection, Entrance, HeaderRead, Service } from '../dataplane/connection/connection-state.ts'
import { Reporter } from '../dataplane/connection/report.ts'
import { Uses } from '../dataplane/connection/uses.ts'
import type { RoleContext } from '../dataplane/worker/role.ts'
import type { ServicePlace } from '../dataplane/worker/services.ts'
import { asksForLoad, encodeLoadReport, LoadCell } from '../proxy-protocol/load-report.ts'
import { readProxyHeader } from '../proxy-protocol/read-proxy-header.ts'
import type { EndReason } from '../telemetry/end-reasons.ts'
import { type Counters, METRICS, type SourceRefusal } from '../telemetry/metrics.ts'
import type { AgentEntranceOptions } from './agent-role-options.ts'
import { isAppListening } from './app-listening.ts'
import { decideSource, type SourcePolicy } from './source-policy.ts'

/** A port of an agent: trusts edges, and reads headers. */
export class AgentEntrance implements Entrance {
  readonly tls = null
  readonly expectsHeader = true
  readonly headerTimeoutMs: number
  readonly mayHaveBackendTls = false
  readonly writesHeader = false
  readonly uses: Uses
  successor: Entrance | null = null
  readonly #place: ServicePlace<Service>
  readonly #options: AgentEntranceOptions
  readonly #load: Float64Array
  readonly #target4: Endpoint | null
  readonly #target6: Endpoint | null
  readonly #reporter: Reporter
  readonly #counters: Counters
  readonly #headerLimits: { readonly v2LengthMax: number }
  readonly #policy: SourcePolicy
  readonly #openTotal: Int32Array
  readonly #allowed: CidrSet | null

  /** @param load the host's load, see `HostLoad` */
  constructor(
    options: AgentEntranceOptions,
    load: Float64Array,
    place: ServicePlace<Service>,
    context: Pick<RoleContext, 'log' | 'counters' | 'openTotal'>,
  ) {
    place.uses.acquire()
    this.uses = new Uses(() => place.uses.release())
    this.#place = place
    this.#options = options
    this.#load = load
    this.headerTimeoutMs = options.headerTimeoutMs
    this.#target4 = options.target4 && receivedEndpoint(options.target4)
    this.#target6 = options.target6 && receivedEndpoint(options.target6)
    this.#reporter = new Reporter(context.log, options.verbosity)
    this.#counters = context.counters
    this.#openTotal = context.openTotal
    this.#headerLimits = { v2LengthMax: options.headerLengthMax }
    this.#policy = { transport: 'stream', denyPrivate: options.denyPrivateSources, keepPort: options.keepsPort }
    this.#allowed = toCidrSet(options.allowedSubnets)
  }

  admit(_connection: Connection, peer: IpAddress): EndReason | undefined {
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
      return { kind: 'refused', reason: this.#hasApp(connection.target) ? 'local-probe' : 'app-down' }
    }
    if (connection.target === null) {
      connection.refusal = 'no-app-for-family'
      return { kind: 'refused', reason: 'connect-failed' }
    }
    return { kind: 'complete', payloadStart: header.bytesRead }
  }

  route(): Service {
    Atomics.add(this.#options.portOpen, 0, 1)
    return this.#place.service
  }

  writeHeader(): number {
    return 0
  }

  onEnd(connection: Connection, reason: EndReason): void {
    if (connection.service !== null) Atomics.sub(this.#options.portOpen, 0, 1)
    this.#reporter.report(connection, reason)
  }

  #loadReport(target: Endpoint | null): Uint8Array {
    return encodeLoadReport({
      cpu_utilization: this.#load[LoadCell.cpu],
      mem_utilization: this.#load[LoadCell.memory],
      open_connections: Atomics.load(this.#openTotal, 0),
      port_connections: Atomics.load(this.#options.portOpen, 0),
      app_listening: this.#hasApp(target),
    })
  }

  /** Who asks has an address family, too: where there is no app for it, the one for the other family is meant. */
  #hasApp(target: Endpoint | null): boolean {
    const app = target ?? this.#target4 ?? this.#target6
    return app !== null && isAppListening(app)
  }

  #targetOf(source: Endpoint): Endpoint | null {
    return source.address.family === 4 ? this.#target4 : this.#target6
  }

  #refuse(connection: Connection, reason: SourceRefusal): HeaderRead {
    connection.refusal = reason
    this.#counters.add(METRICS.sourceRefused.slots[reason])
    return { kind: 'refused', reason: 'source-refused' }
  }
}

function toCidrSet(texts: readonly string[] | null): CidrSet | null {
  if (texts === null) return null
  // The main thread has checked every text; one that is still wrong trusts nobody.
  return new CidrSet(texts.map(parseCidr).filter((cidr) => cidr !== undefined))
}
