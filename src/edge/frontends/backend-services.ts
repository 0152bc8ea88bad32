import type { WorkerPool } from '../../dataplane/worker/worker-pool.ts'
import type { BackendService } from '../../snapshot/snapshot.ts'
import { idOf, placedGroups } from '../backends/edge-ids.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import { compilePlan, type Plan } from '../balance/plan.ts'
import type { EdgeRoleOptions } from '../worker/edge-role-options.ts'

/** The backend services as the workers have them: each once, whatever the number of frontends that lead to it. */
export class BackendServices {
  readonly #pool: WorkerPool<EdgeRoleOptions>
  readonly #table: BackendTable
  readonly #localRegion: string | undefined

  /** @param localRegion where the edge runs: groups of this region come first; undefined: all are equally near */
  constructor(pool: WorkerPool<EdgeRoleOptions>, table: BackendTable, localRegion: string | undefined) {
    this.#pool = pool
    this.#table = table
    this.#localRegion = localRegion
  }

  /** Tells the workers of services that are new or have changed; all that is in them has ids. */
  define(services: readonly BackendService[]): void {
    for (const service of services) {
      const { name, idleTimeoutMs, logSampleRate, tls } = service
      this.#pool.define(name, { name, idleTimeoutMs, logSampleRate, tls, plan: this.#planOf(service) })
    }
  }

  /** No frontend leads to these any more. */
  remove(services: readonly BackendService[]): void {
    for (const { name } of services) this.#pool.remove(name)
  }

  #planOf(service: BackendService): Plan {
    const { groups, backends: ids } = this.#table
    const identified = placedGroups(service).map(({ group, idKey, backends }) => ({
      group,
      id: idOf(groups, idKey),
      backendIds: backends.map((placed) => idOf(ids, placed.idKey)),
    }))
    return compilePlan(identified, this.#localRegion)
  }
}
