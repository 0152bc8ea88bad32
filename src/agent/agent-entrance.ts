import type { IpAddress } from '../address/ip-address.ts'
import type { Connection, Entrance, HeaderRead, Service } from '../dataplane/connection/connection-state.ts'
import { Reporter } from '../dataplane/connection/report.ts'
import { Uses } from '../dataplane/connection/uses.ts'
import type { RoleContext } from '../dataplane/worker/role.ts'
import type { ServicePlace } from '../dataplane/worker/services.ts'
import { asksForLoad } from '../proxy-protocol/load-report.ts'
import { readProxyHeader } from '../proxy-protocol/read-proxy-header.ts'
import type { EndReason } from '../telemetry/end-reasons.ts'
import { type Counters, METRICS } from '../telemetry/metrics.ts'
import { Admission, type AdmissionContext } from './admission.ts'
import type { AgentEntranceOptions } from './agent-role-options.ts'

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
  readonly #admission: Admission
  readonly #reporter: Reporter
  readonly #counters: Counters
  readonly #headerLimits: { readonly v2LengthMax: number }

  /** @param load the host's load, see `HostLoad` */
  constructor(
    options: AgentEntranceOptions,
    load: Float64Array,
    place: ServicePlace<Service>,
    context: AdmissionContext & Pick<RoleContext, 'log'>,
  ) {
    place.uses.acquire()
    this.uses = new Uses(() => place.uses.release())
    this.#place = place
    this.#options = options
    this.#admission = new Admission(options, load, context)
    this.headerTimeoutMs = options.headerTimeoutMs
    this.#reporter = new Reporter(context.log, options.verbosity)
    this.#counters = context.counters
    this.#headerLimits = { v2LengthMax: options.headerLengthMax }
  }

  admit(_connection: Connection, peer: IpAddress): EndReason | undefined {
    return this.#admission.trusts(peer) ? undefined : 'untrusted-peer'
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
    const decision = this.#admission.decide(header, peer)
    if (decision.kind === 'refused') {
      connection.refusal = decision.reason
      return { kind: 'refused', reason: 'source-refused' }
    }
    connection.showsPeer = decision.kind === 'peer'
    connection.source = decision.kind === 'peer' ? peer : decision.source
    connection.target = this.#admission.targetOf(connection.source)
    if (header.kind === 'local' && header.version === 2 && asksForLoad(bytes, header.bytesRead)) {
      return { kind: 'answer', bytes: this.#admission.loadReport(connection.target), payloadStart: header.bytesRead }
    }
    if (connection.showsPeer && this.#options.local === 'check') {
      return { kind: 'refused', reason: this.#admission.hasApp(connection.target) ? 'local-probe' : 'app-down' }
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
}
