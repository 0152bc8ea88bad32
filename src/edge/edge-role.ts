import { classifyAddress } from '../address/address-class.ts'
import type { Endpoint } from '../address/endpoint.ts'
import type { Connection } from '../dataplane/connection.ts'
import { Reporter, type Verbosity } from '../dataplane/report.ts'
import type { AfterFailure, Dial, Role } from '../dataplane/role.ts'
import type { RoleContext } from '../dataplane/worker-thread.ts'
import { isOutOfResources } from '../linux/errno.ts'
import { type Liveness, localEndpoint } from '../linux/socket.ts'
import { writeProxyV1 } from '../proxy-protocol/write-v1.ts'
import { writeProxyV2 } from '../proxy-protocol/write-v2.ts'
import type { EndReason } from '../telemetry/metrics.ts'
import { Availability } from './availability.ts'
import { connectBackend } from './connect-backend.ts'
import { tlsTlvs } from './tls-tlvs.ts'

/** What stands before the client's first byte, as a target proxy's `proxyHeader` says; PROXY_V2 is ours. */
export type ProxyHeaderKind = 'PROXY_V1' | 'PROXY_V2' | 'NONE'

/** How soon a connection for which there was no descriptor is tried again. */
const RESOURCE_RETRY_MS = 50

/** What the edge's workers need to know; plain data, so that it can be given to a thread. */
export type EdgeRoleOptions = {
  readonly listen: Endpoint
  readonly backends: readonly Endpoint[]
  /** One cell per backend, written by the health checks: its {@link Availability}. */
  readonly healthy: Int32Array
  readonly proxyHeader: ProxyHeaderKind
  readonly liveness: Liveness
  readonly verbosity: Verbosity
}

/** The edge's part of the data path: picks a healthy backend in turn and writes the header. */
export class EdgeRole implements Role {
  readonly expectsHeader = false
  readonly sharesConnectTimeout = false
  readonly #options: EdgeRoleOptions
  readonly #reporter: Reporter
  #next = 0

  constructor(options: EdgeRoleOptions, context: RoleContext) {
    this.#options = options
    this.#reporter = new Reporter(context.log, options.verbosity)
  }

  admit(): undefined {
    return undefined
  }

  readHeader(): { readonly kind: 'complete'; readonly payloadStart: number } {
    return { kind: 'complete', payloadStart: 0 }
  }

  dial(connection: Connection): Dial {
    const { backends } = this.#options
    // The first attempt takes the next in turn; each further one goes on from the backend that failed.
    const isFirst = connection.choice < 0
    const choice = isFirst ? this.#healthyFrom(this.#next) : this.#untriedAfter(connection)
    if (choice < 0) return { kind: 'refused', reason: 'no-backend' }
    if (isFirst) {
      this.#next = (choice + 1) % backends.length
      connection.firstChoice = choice
    }
    connection.choice = choice
    connection.target = backends[choice]
    return connectBackend(backends[choice], this.#options.liveness)
  }

  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure {
    if (isOutOfResources(error)) {
      // Not this backend's fault: the search begins anew, for as long as one attempt may take.
      connection.choice = -1
      return connection.attempts * RESOURCE_RETRY_MS < remainingMs ? RESOURCE_RETRY_MS : 'give-up'
    }
    return this.#untriedAfter(connection) < 0 ? 'give-up' : 0
  }

  writeHeader(connection: Connection, target: Uint8Array): number {
    const { source } = connection
    if (this.#options.proxyHeader === 'NONE' || source === null) return 0
    const frontend = this.#frontendOf(connection)
    if (this.#options.proxyHeader === 'PROXY_V1') return writeProxyV1(target, 0, source, frontend)
    const info = connection.client.tls?.info()
    return writeProxyV2(target, 0, source, frontend, { tlvs: info === undefined ? [] : tlsTlvs(info) })
  }

  onEnd(connection: Connection, reason: EndReason): void {
    this.#reporter.report(connection, reason)
  }

  /** The next healthy backend in turn that this connection has not tried yet; -1 when there is none. */
  #untriedAfter(connection: Connection): number {
    const { length } = this.#options.backends
    const { firstChoice, choice } = connection
    const next = this.#healthyFrom(choice + 1)
    const stepsTo = (index: number): number => (index - firstChoice + length) % length
    return next >= 0 && stepsTo(next) > stepsTo(choice) ? next : -1
  }

  /** The first backend at or after `from` that is up, in turn; one that is full if all are; -1 when there is none. */
  #healthyFrom(from: number): number {
    const { backends, healthy } = this.#options
    let full = -1
    for (let step = 0; step < backends.length; step++) {
      const index = (from + step) % backends.length
      const availability = Atomics.load(healthy, index)
      if (availability === Availability.up) return index
      if (availability === Availability.full && full < 0) full = index
    }
    return full
  }

  /** The address that the client connected to: the listener's own, or the one behind a wildcard. */
  #frontendOf(connection: Connection): Endpoint {
    const { listen } = this.#options
    if (classifyAddress(listen.address) !== 'unspecified') return listen
    return localEndpoint(connection.client.fd) ?? listen
  }
}
