import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import type { Connection, Entrance, HeaderRead } from '../../dataplane/connection/connection-state.ts'
import { Reporter } from '../../dataplane/connection/report.ts'
import { localEndpointOf } from '../../dataplane/connection/side-io.ts'
import { Uses } from '../../dataplane/connection/uses.ts'
import type { RoleContext } from '../../dataplane/worker/role.ts'
import type { ServicePlace } from '../../dataplane/worker/services.ts'
import { frontendEndpoint } from '../../snapshot/frontend-endpoint.ts'
import { END_REASONS, type EndReason } from '../../telemetry/end-reasons.ts'
import type { Log, LogFields } from '../../telemetry/log.ts'
import { TlsServer } from '../../tls/server.ts'
import { type BackendCells, count, FrontendCounter } from '../balance/backend-table.ts'
import { ClientLimit } from './client-limit.ts'
import { logEntry } from './connection-log.ts'
import type { EdgeEntranceOptions, EdgeWorkerOptions } from './edge-role-options.ts'
import { EdgeService } from './edge-service.ts'
import { IncomingHeader } from './incoming-header.ts'
import { OutgoingHeader } from './outgoing-header.ts'
import { withTlsTlvs } from './tls-tlvs.ts'

/** A frontend on one worker: lets clients in, reads and writes headers, and counts and records what becomes of them. */
export class EdgeEntrance implements Entrance {
  readonly uses: Uses
  successor: Entrance | null = null
  readonly tls: TlsServer | null
  readonly expectsHeader: boolean
  readonly headerTimeoutMs: number
  readonly writesHeader: boolean
  readonly #place: ServicePlace<EdgeService>
  readonly #cells: BackendCells
  readonly #counters: Float64Array
  readonly #id: number
  readonly #name: string
  readonly #endpoint: Endpoint
  /** The frontend's address is the one that clients connected to. */
  readonly #isAddressKnown: boolean
  readonly #incoming: IncomingHeader | null
  readonly #limit: ClientLimit
  readonly #outgoing: OutgoingHeader
  readonly #log: Log
  readonly #reporter: Reporter

  constructor(
    options: EdgeEntranceOptions,
    edge: EdgeWorkerOptions,
    cells: BackendCells,
    place: ServicePlace<EdgeService>,
    context: RoleContext,
  ) {
    const { id, name, proxyHeader } = options
    const endpoint = frontendEndpoint(options)
    const tls = options.tls === null ? null : new TlsServer(options.tls)
    place.uses.acquire()
    this.uses = new Uses(() => {
      tls?.retire()
      place.uses.release()
    })
    this.tls = tls
    this.expectsHeader = edge.acceptProxyFrom !== null
    this.headerTimeoutMs = edge.headerTimeoutMs
    this.writesHeader = proxyHeader.kind !== 'NONE'
    this.#place = place
    this.#cells = cells
    this.#counters = cells.frontendCounters[context.workerIndex]
    this.#id = id
    this.#name = name
    this.#endpoint = endpoint
    this.#isAddressKnown = classifyAddress(endpoint.address) !== 'unspecified'
    const { acceptProxyFrom, headerLengthMax, verbosity } = edge
    this.#incoming =
      acceptProxyFrom === null ? null : new IncomingHeader(acceptProxyFrom, headerLengthMax, context.counters)
    this.#limit = new ClientLimit(edge.clientLimit, context.openTotal)
    this.#outgoing = new OutgoingHeader(proxyHeader)
    this.#log = context.log
    this.#reporter = new Reporter(context.log, verbosity, (connection, reason) => this.#describe(connection, reason))
  }

  get mayHaveBackendTls(): boolean {
    return this.#place.service.backendTls !== undefined
  }

  admit(connection: Connection, peer: IpAddress): EndReason | undefined {
    connection.entranceId = this.#id
    Atomics.add(this.#cells.frontendOpen, this.#id, 1)
    count(this.#counters, this.#id, FrontendCounter.connections)
    if (this.#incoming === null) {
      connection.source = connection.peer
      return this.#takeShare(connection, peer)
    }
    return this.#incoming.trusts(peer) ? undefined : 'untrusted-peer'
  }

  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead {
    const read = this.#incoming?.read(connection, bytes, end) ?? { kind: 'complete', payloadStart: 0 }
    const { source, showsPeer } = connection
    // A load balancer that comes for itself is no client.
    if (read.kind !== 'complete' || source === null || showsPeer) return read
    const reason = this.#takeShare(connection, source.address)
    return reason === undefined ? read : { kind: 'refused', reason }
  }

  #takeShare(connection: Connection, client: IpAddress): EndReason | undefined {
    const entered = this.#limit.enter(client)
    if (entered === 'counted') connection.sharedBy = client
    return entered === 'refused' ? 'client-limit' : undefined
  }

  /** Every client gets the same service. */
  route(connection: Connection): EdgeService {
    const { service } = this.#place
    if (service.looksAtDestination) connection.destination = this.#serverOf(connection)
    return service
  }

  writeHeader(connection: Connection, into: Uint8Array): number {
    const { source, tlvs } = connection
    if (!this.writesHeader || source === null) return 0
    const tls = this.#outgoing.hasTlvs ? connection.client.tls : null
    const passedOn = tls === null ? tlvs : withTlsTlvs(tlvs, tls.info())
    return this.#outgoing.write(into, source, this.#serverOf(connection), passedOn)
  }

  onEnd(connection: Connection, reason: EndReason): void {
    Atomics.sub(this.#cells.frontendOpen, this.#id, 1)
    if (connection.sharedBy !== null) this.#limit.leave(connection.sharedBy)
    connection.sharedBy = null
    const { isRefused } = END_REASONS[reason]
    if (isRefused) count(this.#counters, this.#id, FrontendCounter.refused)
    if (reason === 'no-backend') count(this.#counters, this.#id, FrontendCounter.noBackend)
    // Who was refused is no connection of the service: a flood of them must not fill its log. Of those that are not in
    // the sample, the operator still has to know what failed.
    if (!isRefused && this.#serviceOf(connection).sampler.take()) {
      this.#log('info', 'connection', this.#describe(connection, reason))
    } else this.#reporter.report(connection, reason)
  }

  #describe(connection: Connection, reason: EndReason): LogFields {
    const service = this.#serviceOf(connection)
    return logEntry(connection, reason, {
      frontend: this.#name,
      backendService: service.name,
      backend: service.backendOf(connection),
      place: service.regionOf(connection),
      server: this.#serverOf(connection),
      endedAtMs: Date.now(),
    })
  }

  /** Who ended before it had a service is told with the one that this frontend leads to. */
  #serviceOf({ service }: Connection): EdgeService {
    return service instanceof EdgeService ? service : this.#place.service
  }

  /** The address that the client connected to: as its header says, the frontend's own, or the one behind a wildcard. */
  #serverOf(connection: Connection): Endpoint {
    if (connection.destination !== null) return connection.destination
    return this.#isAddressKnown ? this.#endpoint : (localEndpointOf(connection.client) ?? this.#endpoint)
  }
}
