import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import { NO_BYTES, NO_TLVS } from '../../dataplane/connection/connection-state.ts'
import { Uses } from '../../dataplane/connection/uses.ts'
import { type Datagram, type DatagramEntrance, type Flow, Verdict } from '../../dataplane/flow/datagram-entrance.ts'
import type { RoleContext } from '../../dataplane/worker/role.ts'
import type { ServicePlace } from '../../dataplane/worker/services.ts'
import { HEADROOM_BYTES, PEER_INTS } from '../../linux/datagram.ts'
import type { Tlv } from '../../proxy-protocol/tlv.ts'
import { tlvsLength } from '../../proxy-protocol/write-tlvs.ts'
import { frontendEndpoint } from '../../snapshot/frontend-endpoint.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import type { Log } from '../../telemetry/log.ts'
import { type BackendCells, count, FrontendCounter } from '../balance/backend-table.ts'
import { ClientLimit } from './client-limit.ts'
import type { EdgeEntranceOptions, EdgeWorkerOptions } from './edge-role-options.ts'
import type { EdgeService } from './edge-service.ts'
import { flowEntry } from './flow-log.ts'
import { IncomingDatagramHeader, type NamedClient } from './incoming-datagram-header.ts'
import { OutgoingHeader } from './outgoing-header.ts'
import type { OwnEndpoints } from './own-endpoints.ts'

/** What TLVs that came may take of the room in front of a datagram; the rest is for addresses and TLVs of our own. */
const PASSED_ON_MAX = HEADROOM_BYTES - 100

/** A frontend for UDP on one worker: tells flows apart, writes their headers, and counts and records what becomes of them. */
export class EdgeDatagramEntrance implements DatagramEntrance {
  readonly uses: Uses
  // No client may have more than its share, so that nobody need be put off for another, but for the client itself.
  readonly groupsByPeer = false
  readonly flowsPerPeerMax = 0
  readonly #place: ServicePlace<EdgeService>
  readonly #frontendOpen: Int32Array
  readonly #counters: Float64Array
  readonly #id: number
  readonly #name: string
  readonly #endpoint: Endpoint
  /** The frontend's address is the one that clients send to. */
  readonly #isAddressKnown: boolean
  readonly #incoming: IncomingDatagramHeader | null
  readonly #own: OwnEndpoints
  readonly #limit: ClientLimit
  readonly #outgoing: OutgoingHeader
  readonly #header = new Uint8Array(HEADROOM_BYTES)
  readonly #log: Log

  constructor(
    options: EdgeEntranceOptions,
    edge: EdgeWorkerOptions,
    cells: BackendCells,
    own: OwnEndpoints,
    place: ServicePlace<EdgeService>,
    context: RoleContext,
  ) {
    const { id, name, proxyHeader } = options
    const endpoint = frontendEndpoint(options)
    place.uses.acquire()
    const forget = own.addFrontend(endpoint)
    this.uses = new Uses(() => {
      forget()
      place.uses.release()
    })
    this.#own = own
    this.#place = place
    this.#frontendOpen = cells.frontendOpen
    this.#counters = cells.frontendCounters[context.workerIndex]
    this.#id = id
    this.#name = name
    this.#endpoint = endpoint
    this.#isAddressKnown = classifyAddress(endpoint.address) !== 'unspecified'
    const { acceptProxyFrom, headerLengthMax } = edge
    this.#incoming =
      acceptProxyFrom === null ? null : new IncomingDatagramHeader(acceptProxyFrom, headerLengthMax, context.counters)
    this.#limit = new ClientLimit(edge.flowLimit, context.flowTotal)
    this.#outgoing = new OutgoingHeader(proxyHeader, 'dgram')
    this.#log = context.log
  }

  /** Client and address sent to; the port is the frontend itself. */
  identify(datagram: Datagram, key: Int32Array): Verdict {
    if (this.#incoming !== null) {
      const verdict = this.#incoming.identify(datagram, key)
      if (verdict === Verdict.Drop) count(this.#counters, this.#id, FrontendCounter.refused)
      return verdict
    }
    const { batch, slot } = datagram
    batch.copyPeer(slot, key, 0)
    batch.copyLocal(slot, key, PEER_INTS)
    return Verdict.Pass
  }

  /** A flow goes on with its backend, but for one that is down while another is not. */
  meet(flow: Flow, datagram: Datagram): Verdict {
    if (this.#place.service.keepsFlow(flow)) return Verdict.Pass
    datagram.endReason = 'backend-unhealthy'
    return Verdict.Replace
  }

  open(flow: Flow, datagram: Datagram): number {
    const { service } = this.#place
    const peer = datagram.peer()
    // It is where answers go, whoever a header names.
    if (!this.#own.mayBeClient(peer, datagram.local())) return this.#refuse(datagram, 'not-a-client')
    const named = this.#incoming?.read(datagram, peer)
    if (typeof named === 'string') return this.#refuse(datagram, named)
    const { source, destination, tlvs } = named ?? this.#asSent(datagram, peer)
    flow.showsPeer = this.#incoming !== null && named === undefined
    const headerLength = this.#writeHeader(source, destination, tlvs)
    if (headerLength < 0) return this.#refuse(datagram, 'too-large')
    // A load balancer that comes for itself is no client.
    const entered = flow.showsPeer ? 'free' : this.#enter(source.address, datagram)
    if (entered === 'refused') return this.#refuse(datagram, 'client-limit')
    flow.entranceId = this.#id
    flow.source = source
    flow.destination = destination
    const opened = service.openFlow(flow)
    if (typeof opened === 'string') {
      if (entered === 'counted') this.#limit.leave(source.address)
      return this.#refuse(datagram, opened)
    }
    if (entered === 'counted') flow.sharedBy = source.address
    flow.idleMs = service.timeouts.idleTimeoutMs
    flow.prefix = headerLength === 0 ? NO_BYTES : this.#header.slice(0, headerLength)
    Atomics.add(this.#frontendOpen, this.#id, 1)
    count(this.#counters, this.#id, FrontendCounter.connections)
    return opened
  }

  onEnd(flow: Flow, reason: FlowEndReason): void {
    Atomics.sub(this.#frontendOpen, this.#id, 1)
    if (flow.sharedBy !== null) this.#limit.leave(flow.sharedBy)
    const service = flow.state as EdgeService
    if (service.sampler.take()) {
      const entry = flowEntry(flow, reason, {
        frontend: this.#name,
        backendService: service.name,
        backend: service.backendOf(flow),
        place: service.regionOf(flow),
        server: flow.destination ?? this.#endpoint,
        endedAtMs: Date.now(),
      })
      this.#log('info', 'flow', entry)
    }
    service.closeFlow(flow)
  }

  #asSent(datagram: Datagram, source: Endpoint): NamedClient {
    return { source, destination: this.#isAddressKnown ? this.#endpoint : datagram.local(), tlvs: NO_TLVS }
  }

  /** Returns its length; -1: with these TLVs there is no room for it in front of a datagram. */
  #writeHeader(source: Endpoint, destination: Endpoint, tlvs: readonly Tlv[]): number {
    if (tlvsLength(tlvs) > PASSED_ON_MAX) return -1
    return this.#outgoing.write(this.#header, source, destination, tlvs)
  }

  /** Who invents a client's address cannot keep the client out: above its share, its flows make way for each other. */
  #enter(client: IpAddress, datagram: Datagram): ReturnType<ClientLimit['enter']> {
    const entered = this.#limit.enter(client)
    if (entered !== 'refused' || !datagram.makeWay(client)) return entered
    this.#limit.enterInPlace(client)
    return 'counted'
  }

  /** Nothing of the flow is left then. */
  #refuse(datagram: Datagram, reason: DropReason): number {
    // Another attempt may follow.
    if (reason !== 'flow-limit')
      count(this.#counters, this.#id, reason === 'no-backend' ? FrontendCounter.noBackend : FrontendCounter.refused)
    datagram.drop(reason)
    return -1
  }
}
