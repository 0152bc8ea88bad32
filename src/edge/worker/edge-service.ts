import assert from 'node:assert/strict'
import type { AfterFailure, Connection, Dial, Service, Timeouts } from '../../dataplane/connection/connection-state.ts'
import { Phase } from '../../dataplane/connection/connection-state.ts'
import { Uses } from '../../dataplane/connection/uses.ts'
import { EADDRNOTAVAIL, ETIMEDOUT, isOutOfResources } from '../../linux/errno.ts'
import { TlsClient } from '../../tls/client.ts'
import { type BackendCells, BackendCounter, count } from '../balance/backend-table.ts'
import { BackendChooser, type Candidate } from '../balance/choose-backend.ts'
import { BackendConnector } from './connect-backend.ts'
import { Sampler } from './connection-log.ts'
import type { EdgeServiceOptions, EdgeWorkerOptions } from './edge-role-options.ts'

/** How soon a connection for which there was no descriptor is tried again. */
const RESOURCE_RETRY_MS = 50

/** A backend service on one worker, for all frontends that lead to it: chooses backends and connects to them. */
export class EdgeService implements Service {
  readonly uses: Uses
  readonly timeouts: Timeouts
  readonly sharesConnectTimeout = false
  readonly backendTls: Service['backendTls']
  readonly name: string
  /** Which of its connections are logged. */
  readonly sampler: Sampler
  readonly #cells: BackendCells
  readonly #retriesMax: number
  readonly #chooser: BackendChooser
  readonly #connector: BackendConnector
  readonly #counters: Float64Array
  readonly #frontendCounters: Float64Array

  constructor(options: EdgeServiceOptions, edge: EdgeWorkerOptions, cells: BackendCells, workerIndex: number) {
    const { name, tls, plan, logSampleRate, idleTimeoutMs } = options
    this.name = name
    this.timeouts = { ...edge.timeouts, idleTimeoutMs }
    const client = tls && new TlsClient({ ...tls, rootsPem: tls.roots })
    this.backendTls = client && { client, headerPlace: tls.headerPlace }
    this.uses = new Uses(() => client?.close())
    this.sampler = new Sampler(logSampleRate)
    this.#cells = cells
    this.#retriesMax = edge.retriesMax
    this.#chooser = new BackendChooser(plan, cells, workerIndex)
    this.#connector = new BackendConnector(edge.liveness, edge.sourceAddresses, workerIndex)
    this.#counters = cells.counters[workerIndex]
    this.#frontendCounters = cells.frontendCounters[workerIndex]
  }

  dial(connection: Connection): Dial {
    const { source, tried, choiceGroup, entranceId } = connection
    assert(source !== null, 'Who is led to a service is known')
    const isFirst = tried.length === 0
    const candidate = isFirst ? this.#chooser.first(source) : this.#chooser.another(tried, choiceGroup)
    if (candidate === undefined) return { kind: 'refused', reason: 'no-backend' }
    this.#enter(connection, candidate)
    if (!isFirst) this.#countBoth(candidate.id, entranceId, BackendCounter.retries)
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
    this.#countBoth(choice, entranceId, BackendCounter.connectFailures)
    if (error === ETIMEDOUT) this.#countBoth(choice, entranceId, BackendCounter.connectTimeouts)
    if (tried.length <= this.#retriesMax && this.#chooser.hasAnother(tried)) return 0
    if (error === EADDRNOTAVAIL) connection.refusal = 'no-source-port'
    return 'give-up'
  }

  onLeave(connection: Connection): void {
    const { client, backend, headerBytes, choice, entranceId } = connection
    if (connection.phase >= Phase.Relaying) {
      this.#countBoth(choice, entranceId, BackendCounter.bytesFromClient, client.receivedBytes - headerBytes)
      this.#countBoth(choice, entranceId, BackendCounter.bytesFromBackend, backend.receivedBytes)
    }
    if (choice >= 0) this.#leave(connection)
  }

  /** What records call the backend that a connection has, or had last; undefined: none was chosen. */
  backendOf({ choice, choiceGroup, tried }: Connection): string | undefined {
    return this.#chooser.nameOf(choice >= 0 ? choice : (tried.at(-1) ?? -1), choiceGroup)
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

  /** The group is remembered: the next attempt goes there first. */
  #leave(connection: Connection): void {
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
