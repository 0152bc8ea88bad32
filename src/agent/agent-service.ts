import { classifyAddress } from '../address/address-class.ts'
import type { AfterFailure, Connection, Dial, Service, Timeouts } from '../dataplane/connection/connection-state.ts'
import { Uses } from '../dataplane/connection/uses.ts'
import { ECONNREFUSED, isOutOfResources } from '../linux/errno.ts'
import { type Counters, METRICS } from '../telemetry/metrics.ts'
import type { AgentServiceOptions } from './agent-role-options.ts'
import { type ConnectFromOptions, connectFrom } from './connect-from.ts'

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
  readonly #counters: Counters

  constructor(options: AgentServiceOptions, counters: Counters) {
    this.timeouts = options.timeouts
    this.#options = options
    this.#counters = counters
  }

  dial(connection: Connection): Dial {
    const { source, target } = connection
    if (source === null || target === null) return { kind: 'refused', reason: 'source-refused' }
    const connected = connectFrom(source, target, connection.showsPeer, this.#options)
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
    const waitMs = Math.min(RETRY_MS * 2 ** Math.min(connection.attempts - 1, 10), RETRY_MS_MAX)
    return waitMs < remainingMs ? waitMs : 'give-up'
  }

  onLeave(): void {}
}
