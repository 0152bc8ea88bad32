import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, receivedEndpoint } from '../address/endpoint.ts'
import type { AfterFailure, Connection, Dial, Service, Timeouts } from '../dataplane/connection/connection-state.ts'
import { Uses } from '../dataplane/connection/uses.ts'
import { ECONNREFUSED, isOutOfResources } from '../linux/errno.ts'
import { type Counters, METRICS } from '../telemetry/metrics.ts'
import type { AgentServiceOptions } from './agent-role-options.ts'
import { appRefusal } from './app-listening.ts'
import { type ConnectFromOptions, connectFrom, ownerOf } from './connect-from.ts'

/** How soon the target is tried again after it refused: it may be restarting. */
const RETRY_MS = 50
const RETRY_MS_MAX = 500

/** What lies behind a port of an agent: the app, connected to as the client. */
export class AgentService implements Service {
  readonly uses = new Uses(() => {})
  readonly timeouts: Timeouts
  readonly sharesConnectTimeout = true
  readonly backendTls = undefined
  readonly #options: ConnectFromOptions
  readonly #target4: Endpoint | null
  readonly #target6: Endpoint | null
  readonly #counters: Counters

  constructor(options: AgentServiceOptions, counters: Counters) {
    this.timeouts = options.timeouts
    this.#options = options
    this.#target4 = options.target4 && receivedEndpoint(options.target4)
    this.#target6 = options.target6 && receivedEndpoint(options.target6)
    this.#counters = counters
  }

  dial(connection: Connection): Dial {
    const { source, target, peer, showsPeer } = connection
    if (source === null || target === null || peer === null) return { kind: 'refused', reason: 'source-refused' }
    const connected = connectFrom(source, target, ownerOf(source, peer, showsPeer), this.#options)
    if (connected.kind === 'failed') return connected
    if (connected.kind === 'refused') {
      connection.refusal = connected.reason
      this.#counters.add(METRICS.sourceRefused.slots[connected.reason])
      return { kind: 'refused', reason: 'source-refused' }
    }
    if (connected.fallback !== undefined) {
      this.#counters.add(METRICS.sourcePortFallbacks.slots[connected.fallback])
    }
    return { kind: 'connecting', fd: connected.fd, isLoopback: classifyAddress(target.address) === 'loopback' }
  }

  afterFailure(connection: Connection, error: number, remainingMs: number): AfterFailure {
    // Refused: the app may be restarting. Out of descriptors: another connection may end. Anything else stays wrong.
    if (error !== ECONNREFUSED && !isOutOfResources(error)) return 'give-up'
    if (error === ECONNREFUSED && this.#isFinal(connection)) return 'give-up'
    const waitMs = Math.min(RETRY_MS * 2 ** Math.min(connection.attempts - 1, 10), RETRY_MS_MAX)
    return waitMs < remainingMs ? waitMs : 'give-up'
  }

  /**
   * Reports whether a refusal will stay: the app is there, now and when the attempt before was refused. Once is not
   * enough: it may have begun to listen in between, first for one address family and then for the other.
   */
  #isFinal(connection: Connection): boolean {
    const { target } = connection
    const refusal = target === null ? undefined : appRefusal(target, this.#target4, this.#target6)
    const wasListening = connection.isAppListening
    connection.isAppListening = refusal !== undefined
    if (refusal === undefined || !wasListening) return false
    connection.refusal = refusal
    return true
  }

  onReach(): void {}

  onLeave(): void {}
}
