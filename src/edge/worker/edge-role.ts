import type { Endpoint } from '../../address/endpoint.ts'
import type { Role, RoleContext, WarmUpEntrances } from '../../dataplane/worker/role.ts'
import { Services } from '../../dataplane/worker/services.ts'
import { type BackendCells, receivedCells } from '../balance/backend-table.ts'
import { EdgeDatagramEntrance } from './edge-datagram-entrance.ts'
import { EdgeEntrance } from './edge-entrance.ts'
import type {
  EdgeEntranceOptions,
  EdgeRoleOptions,
  EdgeServiceOptions,
  EdgeWorkerOptions,
} from './edge-role-options.ts'
import { EdgeService } from './edge-service.ts'
import { OwnEndpoints } from './own-endpoints.ts'
import { warmUpOptions } from './warm-up-edge.ts'

/** Clients connect directly. */
const NO_OPENING = new Uint8Array(0)

/** An edge's part of the data path: its frontends, and its backend services, each of which serves many of them. */
export class EdgeRole implements Role<EdgeRoleOptions, EdgeService> {
  readonly #options: EdgeWorkerOptions
  readonly #context: RoleContext
  readonly #cells: BackendCells
  readonly #own = new OwnEndpoints()

  constructor(options: EdgeWorkerOptions, context: RoleContext) {
    this.#options = options
    this.#context = context
    this.#cells = receivedCells(options.cells)
  }

  makeService(options: EdgeServiceOptions): EdgeService {
    return new EdgeService(options, this.#options, this.#cells, this.#own, this.#context.workerIndex)
  }

  makeEntrance(options: EdgeEntranceOptions, services: Services<EdgeService>): EdgeEntrance {
    return new EdgeEntrance(options, this.#options, this.#cells, services.place(options.service), this.#context)
  }

  makeDatagramEntrance(options: EdgeEntranceOptions, services: Services<EdgeService>): EdgeDatagramEntrance {
    const place = services.place(options.service)
    return new EdgeDatagramEntrance(options, this.#options, this.#cells, this.#own, place, this.#context)
  }

  warmUp(
    { entrance, service }: Pick<EdgeRoleOptions, 'entrance' | 'service'>,
    app: Endpoint,
    context: RoleContext,
  ): WarmUpEntrances {
    const played = warmUpOptions({ worker: this.#options, entrance, service }, app, context.workerIndex)
    const role = new EdgeRole(played.worker, context)
    const services = new Services<EdgeService>()
    services.set(entrance.service, role.makeService(played.service))
    const plain = role.makeEntrance({ ...played.entrance, tls: null }, services)
    const tls = entrance.tls === null ? null : role.makeEntrance(played.entrance, services)
    services.remove(entrance.service)
    return { plain, tls, openings: [NO_OPENING] }
  }
}
