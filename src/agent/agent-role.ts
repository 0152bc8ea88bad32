import type { Endpoint } from '../address/endpoint.ts'
import type { Role, RoleContext, WarmUpEntrances } from '../dataplane/worker/role.ts'
import { Services } from '../dataplane/worker/services.ts'
import { AgentDatagramEntrance } from './agent-datagram-entrance.ts'
import { AgentEntrance } from './agent-entrance.ts'
import type {
  AgentDatagramEntranceOptions,
  AgentEntranceOptions,
  AgentRoleOptions,
  AgentServiceOptions,
} from './agent-role-options.ts'
import { AgentService } from './agent-service.ts'
import { NewestSockets } from './newest-sockets.ts'
import { OPENINGS, warmUpOptions } from './warm-up-agent.ts'

/** An agent's part of the data path: entrances that trust edges and read headers, services that connect as the client. */
export class AgentRole implements Role<AgentRoleOptions, AgentService> {
  readonly #options: AgentRoleOptions['worker']
  readonly #context: RoleContext

  constructor(options: AgentRoleOptions['worker'], context: RoleContext) {
    this.#options = options
    this.#context = context
  }

  makeService(options: AgentServiceOptions): AgentService {
    return new AgentService(options, this.#context.counters)
  }

  makeEntrance(options: AgentEntranceOptions, services: Services<AgentService>): AgentEntrance {
    return new AgentEntrance(options, this.#options.load, services.place(options.service), this.#context)
  }

  makeDatagramEntrance(options: AgentDatagramEntranceOptions): AgentDatagramEntrance {
    const newest = new NewestSockets(this.#options.newestSockets, this.#context.workerIndex)
    return new AgentDatagramEntrance(options, this.#options.load, newest, this.#context)
  }

  warmUp(
    options: Pick<AgentRoleOptions, 'entrance' | 'service'>,
    app: Endpoint,
    context: RoleContext,
  ): WarmUpEntrances {
    const role = new AgentRole(this.#options, context)
    const services = new Services<AgentService>()
    const { entrance, service } = warmUpOptions(options, app)
    services.set(entrance.service, role.makeService(service))
    const plain = role.makeEntrance(entrance, services)
    services.remove(entrance.service)
    return { plain, tls: null, openings: OPENINGS }
  }
}
