import type { WorkerPool } from '../../dataplane/worker/worker-pool.ts'
import type { BackendService } from '../../snapshot/snapshot.ts'
import type { Spreads } from '../backends/spreads.ts'
import type { EdgeRoleOptions } from '../worker/edge-role-options.ts'

/** The backend services as the workers have them: each once, whatever the number of frontends that lead to it. */
export class BackendServices {
  readonly #pool: WorkerPool<EdgeRoleOptions>
  readonly #spreads: Pick<Spreads, 'planOf'>

  constructor(pool: WorkerPool<EdgeRoleOptions>, spreads: Pick<Spreads, 'planOf'>) {
    this.#pool = pool
    this.#spreads = spreads
  }

  /** Tells the workers of services that are new or have changed, or whose plan has. */
  define(services: readonly BackendService[]): void {
    for (const service of services) {
      const { name, idleTimeoutMs, flows, logSampleRate, tls } = service
      this.#pool.define(name, { name, idleTimeoutMs, flows, logSampleRate, tls, plan: this.#spreads.planOf(service) })
    }
  }

  /** No frontend leads to these any more. */
  remove(services: readonly BackendService[]): void {
    for (const { name } of services) this.#pool.remove(name)
  }
}
