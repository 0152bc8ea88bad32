import { type CidrSet, cidrSetOf } from '../address/cidr-set.ts'
import { type Endpoint, receivedEndpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import type { RoleContext } from '../dataplane/worker/role.ts'
import { encodeLoadReport, LoadCell } from '../proxy-protocol/load-report.ts'
import { METRICS } from '../telemetry/metrics.ts'
import type { AdmissionOptions } from './agent-role-options.ts'
import { isAppListening } from './app-listening.ts'
import { decideSource, type SourceDecision, type SourceHeader, type SourcePolicy } from './source-policy.ts'

/** What of a worker it counts in, and counts. */
export type AdmissionContext = Pick<RoleContext, 'counters' | 'openTotal' | 'flowTotal'>

/**
 * What a listener decides of whoever comes, by TCP or by UDP: whom it trusts, who may be impersonated, and where clients
 * are led.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #load: Float64Array
  readonly #context: AdmissionContext
  readonly #policy: SourcePolicy
  readonly #allowed: CidrSet | null
  readonly #target4: Endpoint | null
  readonly #target6: Endpoint | null

  /** @param load the host's load, see `HostLoad` */
  constructor(options: AdmissionOptions, load: Float64Array, context: AdmissionContext) {
    this.#options = options
    this.#load = load
    this.#context = context
    const transport = options.protocol === 'tcp' ? 'stream' : 'dgram'
    this.#policy = { transport, denyPrivate: options.denyPrivateSources, keepPort: options.keepsPort }
    this.#allowed = options.allowedSubnets && cidrSetOf(options.allowedSubnets)
    this.#target4 = options.target4 && receivedEndpoint(options.target4)
    this.#target6 = options.target6 && receivedEndpoint(options.target6)
  }

  /** Reports whether headers of this peer count. */
  trusts(peer: IpAddress): boolean {
    return this.#allowed === null || this.#allowed.has(peer)
  }

  /** {@link decideSource}, counted. */
  decide(header: SourceHeader, peer: Endpoint): SourceDecision {
    const decision = decideSource(header, peer, this.#policy)
    if (decision.kind === 'refused') this.#context.counters.add(METRICS.sourceRefused.slots[decision.reason])
    if (decision.kind === 'peer') this.#context.counters.add(METRICS.local.slot)
    return decision
  }

  /** Where the app is for clients of this address family; null: there is none. */
  targetOf(source: Endpoint): Endpoint | null {
    return source.address.family === 4 ? this.#target4 : this.#target6
  }

  /** Who asks has an address family, too: where there is no app for it, the one for the other family is meant. */
  hasApp(target: Endpoint | null): boolean {
    const app = target ?? this.#target4 ?? this.#target6
    return app !== null && isAppListening(app, this.#options.protocol)
  }

  /** The answer to an edge that asks for the load; `target` is where it would be led itself. */
  loadReport(target: Endpoint | null): Uint8Array {
    const { openTotal, flowTotal } = this.#context
    return encodeLoadReport({
      cpu_utilization: this.#load[LoadCell.cpu],
      mem_utilization: this.#load[LoadCell.memory],
      open_connections: Atomics.load(openTotal, 0) + Atomics.load(flowTotal, 0),
      port_connections: Atomics.load(this.#options.portOpen, 0),
      app_listening: this.hasApp(target),
    })
  }
}
