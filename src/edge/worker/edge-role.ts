import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { AfterFailure, Dial, HeaderRead, Role } from '../../dataplane/connection/connection-state.ts'
import { type Connection, Phase } from '../../dataplane/connection/connection-state.ts'
import { Reporter, type Verbosity } from '../../dataplane/connection/report.ts'
import type { RoleContext } from '../../dataplane/worker/worker-thread.ts'
import { EADDRNOTAVAIL, ETIMEDOUT, isOutOfResources } from '../../linux/errno.ts'
import { type Liveness, localEndpoint } from '../../linux/socket.ts'
import type { BackendTls, ProxyHeader } from '../../snapshot/snapshot.ts'
import { END_REASONS, type EndReason } from '../../telemetry/end-reasons.ts'
import type { LogFields } from '../../telemetry/log.ts'
import { TlsClient } from '../../tls/client.ts'
import { type BackendCells, BackendCounter, count, FrontendCounter, receivedCells } from '../balance/backend-table.ts'
import { BackendChooser, type Candidate, type EdgeGroup } from '../balance/choose-backend.ts'
import { BackendConnector } from './connect-backend.ts'
import { logEntry, Sampler } from './connection-log.ts'
import { IncomingHeader } from './incoming-header.ts'
import { OutgoingHeader } from './outgoing-header.ts'
import { withTlsTlvs } from './tls-tlvs.ts'

/** How soon a connection for which there was no descriptor is tried again. */
const RESOURCE_RETRY_MS = 50

/** What the edge's workers need to know to serve one frontend; plain data, so that it can be given to a thread. */
export type EdgeRoleOptions = {
  readonly frontend: {
    readonly id: number
    readonly name: string
    /** Where the listener listens; an unspecified address stands for all of this host. */
    readonly address: string
    readonly port: number
    readonly proxyHeader: ProxyHeader
  }
  readonly service: {
    readonly name: string
    readonly logSampleRate: number
    readonly groups: readonly EdgeGroup[]
    /** Backends speak TLS; undefined: they do not. */
    readonly tls: BackendTls | undefined
  }
  readonly cells: BackendCells
  /** Where the edge runs: groups of this region come first; undefined: all groups are equally near. */
  readonly localRegion: string | undefined
  /** Further attempts after a failed one, each with another backend. */
  readonly retriesMax: number
  /** Addresses of this host from which backends are connected to, in turn; empty: the kernel chooses. */
  readonly sourceAddresses: readonly string[]
  /** Who has to send a PROXY header, as CIDR texts; nobody else is served then. null: clients connect directly. */
  readonly acceptProxyFrom: readonly string[] | null
  /** Longest version 2 header that is taken, in bytes behind its first 16. */
  readonly headerLengthMax: number
  readonly liveness: Liveness
  readonly verbosity: Verbosity
}

/** The edge's part of the data path, for one frontend: chooses a backend and writes the header. */
export class EdgeRole implements Role {
  readonly expectsHeader: boolean
  readonly writesHeader: boolean
  readonly sharesConnectTimeout = false
  readonly backendTls: Role['backendTls']
  readonly #options: EdgeRoleOptions
  readonly #cells: BackendCells
  readonly #frontendId: number
  readonly #context: RoleContext
  readonly #frontend: Endpoint
  /** The frontend's address is the one that clients connected to. */
  readonly #isFrontendKnown: boolean
  readonly #chooser: BackendChooser
  readonly #connector: BackendConnector
  readonly #incoming: IncomingHeader | null
  readonly #outgoing: OutgoingHeader
  readonly #reporter: Reporter
  readonly #sampler: Sampler
  readonly #counters: Float64Array
  readonly #frontendCounters: Float64Array

  constructor(options: EdgeRoleOptions, context: RoleContext) {
    const { frontend, service, acceptProxyFrom, headerLengthMax } = options
    const cells = receivedCells(options.cells)
    const { workerIndex } = context
    const address = parseIpAddress(frontend.address)
    // The snapshot's compiler has checked every address.
    if (address === undefined) throw new Error(`The address of frontend "${frontend.name}" is "${frontend.address}"`)
    this.#options = options
    this.#cells = cells
    this.#frontendId = frontend.id
    this.#context = context
    this.#frontend = { address, port: frontend.port }
    this.#isFrontendKnown = classifyAddress(address) !== 'unspecified'
    this.#chooser = new BackendChooser(service.groups, cells, options.localRegion, workerIndex)
    this.#connector = new BackendConnector(options.liveness, options.sourceAddresses, workerIndex)
    this.#incoming =
      acceptProxyFrom === null ? null : new IncomingHeader(acceptProxyFrom, headerLengthMax, context.counters)
    this.#outgoing = new OutgoingHeader(frontend.proxyHeader)
    this.backendTls = service.tls && {
      client: new TlsClient({ ...service.tls, rootsPem: service.tls.roots }),
      headerPlace: service.tls.headerPlace,
    }
    this.expectsHeader = acceptProxyFrom !== null
    this.writesHeader = frontend.proxyHeader.kind !== 'NONE'
    this.#reporter = new Reporter(context.log, options.verbosity, {
      // The operator has to know of them, whatever part of the connections is logged.
      samplesFailures: true,
      describe: (connection, reason) => this.#describe(connection, reason),
    })
    this.#sampler = new Sampler(service.logSampleRate)
    this.#counters = cells.counters[workerIndex]
    this.#frontendCounters = cells.frontendCounters[workerIndex]
  }

  admit(peer: IpAddress): EndReason | undefined {
    Atomics.add(this.#cells.frontendOpen, this.#frontendId, 1)
    this.backendTls?.client.acquire()
    count(this.#frontendCounters, this.#frontendId, FrontendCounter.connections)
    return this.#incoming === null || this.#incoming.trusts(peer) ? undefined : 'untrusted-peer'
  }

  readHeader(connection: Connection, bytes: Uint8Array, end: number): HeaderRead {
    return this.#incoming?.read(connection, bytes, end) ?? { kind: 'complete', payloadStart: 0 }
  }

  dial(connection: Connection): Dial {
    const isFirst = connection.tried.length === 0
    const candidate = isFirst ? this.#chooser.first() : this.#chooser.another(connection.tried)
    if (candidate === undefined) return { kind: 'refused', reason: 'no-backend' }
    this.#enter(connection, candidate)
    if (!isFirst) this.#countBoth(candidate.id, BackendCounter.retries)
    return this.#connector.connect(candidate)
  }

  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure {
    const { choice, tried } = connection
    this.#leave(connection)
    if (isOutOfResources(error)) {
      // Not this backend's fault: the search begins anew, for as long as one attempt may take.
      return connection.attempts * RESOURCE_RETRY_MS < remainingMs ? RESOURCE_RETRY_MS : 'give-up'
    }
    tried.push(choice)
    this.#countBoth(choice, BackendCounter.connectFailures)
    if (error === ETIMEDOUT) this.#countBoth(choice, BackendCounter.connectTimeouts)
    if (tried.length <= this.#options.retriesMax && this.#chooser.hasAnother(tried)) return 0
    if (error === EADDRNOTAVAIL) connection.refusal = 'no-source-port'
    return 'give-up'
  }

  writeHeader(connection: Connection, target: Uint8Array): number {
    const { source, tlvs } = connection
    if (!this.writesHeader || source === null) return 0
    const tls = this.#outgoing.hasTlvs ? connection.client.tls : null
    const passedOn = tls === null ? tlvs : withTlsTlvs(tlvs, tls.info())
    return this.#outgoing.write(target, source, this.#serverOf(connection), passedOn)
  }

  onEnd(connection: Connection, reason: EndReason): void {
    Atomics.sub(this.#cells.frontendOpen, this.#frontendId, 1)
    if (connection.phase >= Phase.Relaying) {
      const { client, backend, headerBytes, choice } = connection
      this.#countBoth(choice, BackendCounter.bytesFromClient, client.receivedBytes - headerBytes)
      this.#countBoth(choice, BackendCounter.bytesFromBackend, backend.receivedBytes)
    }
    const { isRefused } = END_REASONS[reason]
    if (isRefused) count(this.#frontendCounters, this.#frontendId, FrontendCounter.refused)
    if (reason === 'no-backend') count(this.#frontendCounters, this.#frontendId, FrontendCounter.noBackend)
    // Who was refused is no connection of the service: a flood of them must not fill its log.
    if (!isRefused && this.#sampler.take()) this.#context.log('info', 'connection', this.#describe(connection, reason))
    else this.#reporter.report(connection, reason)
    if (connection.choice >= 0) this.#leave(connection)
    this.backendTls?.client.release()
  }

  retire(): void {
    this.backendTls?.client.retire()
  }

  /** The connection counts as the backend's from now on, until {@link #leave}. */
  #enter(connection: Connection, { id, groupId, endpoint }: Candidate): void {
    connection.choice = id
    connection.choiceGroup = groupId
    connection.target = endpoint
    Atomics.add(this.#cells.open, id, 1)
    Atomics.add(this.#cells.groupOpen, groupId, 1)
    count(this.#counters, id, BackendCounter.connections)
  }

  #leave(connection: Connection): void {
    Atomics.sub(this.#cells.open, connection.choice, 1)
    Atomics.sub(this.#cells.groupOpen, connection.choiceGroup, 1)
    connection.choice = -1
    connection.choiceGroup = -1
  }

  /** Counts for a backend and for the frontend. */
  #countBoth(id: number, counter: BackendCounter, amount = 1): void {
    count(this.#counters, id, counter, amount)
    count(this.#frontendCounters, this.#frontendId, counter, amount)
  }

  #describe(connection: Connection, reason: EndReason): LogFields {
    const { choice, tried } = connection
    const { frontend, service } = this.#options
    return logEntry(connection, reason, {
      frontend: frontend.name,
      backendService: service.name,
      backend: this.#chooser.candidate(choice >= 0 ? choice : (tried.at(-1) ?? -1))?.name,
      server: this.#serverOf(connection),
      endedAtMs: Date.now(),
    })
  }

  /** The address that the client connected to: as its header says, the frontend's own, or the one behind a wildcard. */
  #serverOf(connection: Connection): Endpoint {
    if (connection.destination !== null) return connection.destination
    return this.#isFrontendKnown ? this.#frontend : (localEndpoint(connection.client.fd) ?? this.#frontend)
  }
}
