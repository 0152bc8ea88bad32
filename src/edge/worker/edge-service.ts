import assert from 'node:assert/strict'
import type { AfterFailure, Connection, Dial, Service, Timeouts } from '../../dataplane/connection/connection-state.ts'
import { Phase } from '../../dataplane/connection/connection-state.ts'
import { Uses } from '../../dataplane/connection/uses.ts'
import type { Flow } from '../../dataplane/flow/datagram-entrance.ts'
import { setCountsDropped } from '../../linux/datagram.ts'
import { EADDRNOTAVAIL, ETIMEDOUT, isOutOfDescriptors, isOutOfResources } from '../../linux/errno.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { DropReason } from '../../telemetry/flow-reasons.ts'
import { REGION_REASONS, type RegionReason } from '../../telemetry/region-reasons.ts'
import { TlsClient } from '../../tls/client.ts'
import { Availability } from '../balance/availability.ts'
import { type BackendCells, BackendCounter, count } from '../balance/backend-table.ts'
import { BackendChooser, type Candidate } from '../balance/choose-backend.ts'
import { enterService, leaveService } from '../balance/service-cells.ts'
import { BackendConnector } from './connect-backend.ts'
import { Sampler } from './connection-log.ts'
import type { EdgeServiceOptions, EdgeWorkerOptions } from './edge-role-options.ts'
import type { OwnEndpoints } from './own-endpoints.ts'

/** How soon a connection for which there was no descriptor is tried again. */
const RESOURCE_RETRY_MS = 50
const NO_BACKEND: Dial = { kind: 'refused', reason: 'no-backend' }
const SERVICE_FULL: Dial = { kind: 'refused', reason: 'service-full' }

/** The fields of a connection or a flow that say which backend it has. */
type Chosen = Pick<Connection & Flow, 'entranceId' | 'choice' | 'choiceGroup' | 'choiceReason' | 'target'>

/**
 * A backend service on one worker, for all frontends that lead to it: chooses backends and connects to them, for
 * connections or, with UDP, for flows.
 */
export class EdgeService implements Service {
  readonly uses: Uses
  readonly timeouts: Timeouts
  readonly sharesConnectTimeout = false
  readonly backendTls: Service['backendTls']
  readonly name: string
  /** Which of its connections are logged. */
  readonly sampler: Sampler
  readonly #cells: BackendCells
  /** By `ServiceCell`. */
  readonly #serviceCells: Int32Array
  readonly #retriesMax: number
  readonly #chooser: BackendChooser
  readonly #connector: BackendConnector
  readonly #persistsOnUnhealthy: boolean
  /** Filled in anew for each flow. */
  readonly #tried: number[] = []
  readonly #counters: Float64Array
  readonly #frontendCounters: Float64Array
  readonly #groupCounters: Float64Array

  constructor(
    options: EdgeServiceOptions,
    edge: EdgeWorkerOptions,
    cells: BackendCells,
    own: OwnEndpoints,
    workerIndex: number,
  ) {
    const { name, tls, plan, logSampleRate, idleTimeoutMs, flows } = options
    this.name = name
    this.timeouts = { ...edge.timeouts, idleTimeoutMs }
    const client = tls && new TlsClient({ ...tls, rootsPem: tls.roots })
    this.backendTls = client && { client, headerPlace: tls.headerPlace }
    const forget = own.addBackends(plan.groups)
    this.uses = new Uses(() => {
      forget()
      client?.close()
    })
    this.sampler = new Sampler(logSampleRate)
    this.#cells = cells
    this.#serviceCells = plan.service
    this.#retriesMax = edge.retriesMax
    this.#chooser = new BackendChooser(plan, cells, workerIndex)
    this.#persistsOnUnhealthy = flows?.persistsOnUnhealthy ?? true
    const transport = flows === undefined ? 'stream' : 'dgram'
    this.#connector = new BackendConnector(transport, edge.liveness, edge.sourceAddresses, workerIndex)
    this.#counters = cells.counters[workerIndex]
    this.#frontendCounters = cells.frontendCounters[workerIndex]
    this.#groupCounters = cells.groupCounters[workerIndex]
  }

  /** Where the client connected to has a say in the choice. */
  get looksAtDestination(): boolean {
    return this.#chooser.usesHash
  }

  dial(connection: Connection): Dial {
    const { tried, entranceId } = connection
    if (!enterService(this.#serviceCells)) return SERVICE_FULL
    const candidate = this.#choose(connection, tried)
    if (candidate === undefined) {
      leaveService(this.#serviceCells)
      return NO_BACKEND
    }
    this.#enter(connection, candidate)
    if (tried.length > 0) this.#countBoth(candidate.id, entranceId, BackendCounter.retries)
    return this.#connector.connect(candidate)
  }

  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure {
    const { choice, tried, entranceId } = connection
    this.#leave(connection)
    if (isOutOfResources(error)) {
      // Not this backend's fault: the search begins anew, for as long as one attempt may take.
      return connection.attempts * RESOURCE_RETRY_MS < remainingMs ? RESOURCE_RETRY_MS : 'give-up'
    }
    tried.push(choice)
    Atomics.add(this.#cells.failuresInRow, choice, 1)
    this.#countBoth(choice, entranceId, BackendCounter.connectFailures)
    if (error === ETIMEDOUT) this.#countBoth(choice, entranceId, BackendCounter.connectTimeouts)
    if (tried.length <= this.#retriesMax && this.#chooser.hasAnother(tried)) return 0
    if (error === EADDRNOTAVAIL) connection.refusal = 'no-source-port'
    return 'give-up'
  }

  onReach({ choice }: Connection): void {
    if (Atomics.load(this.#cells.failuresInRow, choice) !== 0) Atomics.store(this.#cells.failuresInRow, choice, 0)
  }

  onLeave(connection: Connection, reason: EndReason): void {
    const { client, backend, headerBytes, choice, entranceId } = connection
    if (connection.phase >= Phase.Relaying) {
      this.#noteEnd(connection, reason)
      this.#countBoth(choice, entranceId, BackendCounter.bytesFromClient, client.receivedBytes - headerBytes)
      this.#countBoth(choice, entranceId, BackendCounter.bytesFromBackend, backend.receivedBytes)
    }
    if (choice >= 0) this.#leave(connection)
  }

  /**
   * Opens a socket to a backend for a flow, whose backend it is until {@link closeFlow}. One that cannot be connected to
   * fails at once, and others are tried.
   *
   * @returns the descriptor, or why there is none
   */
  openFlow(flow: Flow): number | DropReason {
    const tried = this.#tried
    tried.length = 0
    for (;;) {
      if (!enterService(this.#serviceCells)) return 'service-full'
      const candidate = this.#choose(flow, tried)
      if (candidate === undefined) {
        leaveService(this.#serviceCells)
        return tried.length === 0 ? 'no-backend' : 'connect-failed'
      }
      this.#enter(flow, candidate)
      if (tried.length > 0) this.#countBoth(candidate.id, flow.entranceId, BackendCounter.retries)
      const dialled = this.#connector.connect(candidate)
      if (dialled.kind === 'connecting') {
        setCountsDropped(dialled.fd)
        flow.state = this
        this.uses.acquire()
        return dialled.fd
      }
      if (dialled.kind === 'failed' && isOutOfDescriptors(dialled.error)) {
        this.#leave(flow)
        return 'flow-limit'
      }
      tried.push(candidate.id)
      this.#countBoth(candidate.id, flow.entranceId, BackendCounter.connectFailures)
      this.#leave(flow)
      if (tried.length > this.#retriesMax) return 'connect-failed'
    }
  }

  /** Reports whether a flow, perhaps of an earlier service of this name, may stay with its backend. */
  keepsFlow({ choice }: Flow): boolean {
    if (this.#persistsOnUnhealthy || Atomics.load(this.#cells.availability, choice) !== Availability.down) return true
    const tried = this.#tried
    tried.length = 0
    tried.push(choice)
    return !this.#chooser.hasAnother(tried)
  }

  /** A flow of {@link openFlow} has ended. */
  closeFlow(flow: Flow): void {
    const { choice, entranceId } = flow
    this.#noteAnswered(choice, flow.datagramsFromBackend > 0, flow.errors > 0)
    this.#countBoth(choice, entranceId, BackendCounter.bytesFromClient, flow.bytesFromClient)
    this.#countBoth(choice, entranceId, BackendCounter.bytesFromBackend, flow.bytesFromBackend)
    this.#leave(flow)
    this.uses.release()
  }

  /** What records call the backend that a connection has, or had last; undefined: none was chosen. */
  backendOf({ choice, choiceGroup, tried }: Chosen & { readonly tried?: readonly number[] }): string | undefined {
    return this.#chooser.nameOf(choice >= 0 ? choice : (tried?.at(-1) ?? -1), choiceGroup)
  }

  /** The region of the backend that a connection has, or had last, and why it is this one; undefined: none was chosen. */
  regionOf({
    choiceGroup,
    choiceReason,
  }: Chosen): { readonly region: string; readonly reason: RegionReason } | undefined {
    const region = this.#chooser.regionOf(choiceGroup)
    return region === undefined ? undefined : { region, reason: REGION_REASONS[choiceReason] }
  }

  #noteEnd({ choice, backend }: Connection, reason: EndReason): void {
    this.#noteAnswered(choice, backend.receivedBytes > 0, reason === 'backend-reset')
  }

  #noteAnswered(choice: number, hasAnswered: boolean, isBroken: boolean): void {
    const { brokenInRow } = this.#cells
    if (hasAnswered) {
      if (Atomics.load(brokenInRow, choice) !== 0) Atomics.store(brokenInRow, choice, 0)
    } else if (isBroken) {
      Atomics.add(brokenInRow, choice, 1)
      count(this.#counters, choice, BackendCounter.broken)
    }
    // One that ended before the backend said anything says nothing about it: the client may have ended it.
  }

  /** A backend, in whose group the connection is counted from now on. */
  #choose(
    { source, destination, choiceGroup }: Pick<Connection & Flow, 'source' | 'destination' | 'choiceGroup'>,
    tried: readonly number[],
  ): Candidate | undefined {
    assert(source !== null, 'Who is led to a service is known')
    const chooser = this.#chooser
    const to = destination ?? source
    // Again only if another worker has taken the last place of a group, which is then seen to be full.
    for (;;) {
      const candidate =
        tried.length === 0
          ? chooser.first(source, to)
          : tried.length === this.#retriesMax && tried.length > 1
            ? chooser.elsewhere(tried, choiceGroup, source, to)
            : chooser.another(tried, choiceGroup, source, to)
      if (candidate === undefined || chooser.enter()) return candidate
    }
  }

  /** The connection counts as the backend's, too, from now on, until {@link #leave}. */
  #enter(connection: Chosen, { id, groupId, endpoint }: Candidate): void {
    connection.choice = id
    // Another backend of the same group is where it is for the same reason.
    if (connection.choiceGroup !== groupId) {
      connection.choiceGroup = groupId
      connection.choiceReason = this.#chooser.regionCode
      count(this.#groupCounters, groupId, this.#chooser.regionCode)
    }
    connection.target = endpoint
    Atomics.add(this.#cells.open, id, 1)
    count(this.#counters, id, BackendCounter.connections)
  }

  /** The group is remembered: the next attempt goes there first. */
  #leave(connection: Chosen): void {
    leaveService(this.#serviceCells)
    Atomics.sub(this.#cells.open, connection.choice, 1)
    Atomics.sub(this.#cells.groupOpen, connection.choiceGroup, 1)
    connection.choice = -1
  }

  /** Counts for a backend and for the frontend. */
  #countBoth(id: number, frontendId: number, counter: BackendCounter, amount = 1): void {
    count(this.#counters, id, counter, amount)
    count(this.#frontendCounters, frontendId, counter, amount)
  }
}
