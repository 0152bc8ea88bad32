import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { Timeouts } from '../../dataplane/connection/connection-state.ts'
import { type InheritedSocket, inheritedFor } from '../../dataplane/worker/program.ts'
import type { ServeOptions, WorkerPool } from '../../dataplane/worker/worker-pool.ts'
import { SystemCallError } from '../../linux/errno.ts'
import { close, openListener } from '../../linux/socket.ts'
import type { Frontend, Snapshot } from '../../snapshot/snapshot.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import { backendIdKey, frontendIdKey, groupIdKey, idOf, placedBackends } from '../balance/edge-ids.ts'
import type { EdgeRoleOptions } from '../worker/edge-role.ts'
import type { FrontendTlsStore } from './frontend-tls.ts'

/** What all frontends of an edge have in common. */
export type FrontendSettings = Pick<
  EdgeRoleOptions,
  'localRegion' | 'retriesMax' | 'sourceAddresses' | 'acceptProxyFrom' | 'headerLengthMax' | 'liveness' | 'verbosity'
> & {
  readonly workers: number
  /** But for the idle timeout, which is the service's. */
  readonly timeouts: Omit<Timeouts, 'idleTimeoutMs'>
}

/** A frontend with listening sockets that nobody serves yet. */
export type OpenedFrontend = { readonly frontend: Frontend; readonly fds: readonly number[] }

/** The listening sockets of an edge and what lies behind each. */
export class Frontends {
  readonly #settings: FrontendSettings
  readonly #pool: WorkerPool<EdgeRoleOptions>
  readonly #table: BackendTable
  readonly #tls: FrontendTlsStore
  readonly #inherited: readonly InheritedSocket[]

  constructor(
    settings: FrontendSettings,
    pool: WorkerPool<EdgeRoleOptions>,
    table: BackendTable,
    tls: FrontendTlsStore,
    inherited: readonly InheritedSocket[],
  ) {
    this.#settings = settings
    this.#pool = pool
    this.#table = table
    this.#tls = tls
    this.#inherited = inherited
  }

  /**
   * Opens the sockets of frontends: all of them or, when one cannot be opened, none.
   *
   * @throws Error with a line for each that cannot: the rule, its address and port
   */
  open(frontends: readonly Frontend[]): readonly OpenedFrontend[] {
    const opened: OpenedFrontend[] = []
    const problems: string[] = []
    for (const frontend of frontends) {
      try {
        opened.push({ frontend, fds: this.#openSockets(frontend) })
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error
        problems.push(`Forwarding rule "${frontend.name}": ${error.message}`)
      }
    }
    if (problems.length === 0) return opened
    for (const { fds } of opened) closeAll(fds)
    throw new Error(problems.join('\n'))
  }

  /**
   * Hands opened frontends to the workers: all of them or, when there is no descriptor left for one, none.
   *
   * @throws SystemCallError
   */
  serve(opened: readonly OpenedFrontend[], snapshot: Snapshot): void {
    const served: Frontend[] = []
    try {
      for (const { frontend, fds } of opened) {
        const endpoint = endpointOf(frontend)
        const inherited = inheritedFor(endpoint, this.#inherited)
        // The pool takes descriptors of its own.
        const inheritedFds = inherited.length > 0 ? inherited : fds
        const { liveness } = this.#settings
        const options = this.#serveOptions(frontend, snapshot)
        this.#pool.listen(frontendIdKey(frontend), { endpoint, liveness, inheritedFds }, options)
        served.push(frontend)
      }
    } catch (error) {
      for (const frontend of served) this.close(frontend)
      throw error
    } finally {
      for (const { fds } of opened) closeAll(fds)
    }
  }

  /** Lets a frontend that listens lead somewhere else, for connections to come. */
  change(frontend: Frontend, snapshot: Snapshot): void {
    this.#pool.change(frontendIdKey(frontend), this.#serveOptions(frontend, snapshot))
  }

  /** Takes what is queued and stops listening; connections go on. */
  close(frontend: Frontend): void {
    this.#pool.unlisten(frontendIdKey(frontend))
  }

  /** One for each worker; none where the service manager has opened them. */
  #openSockets(frontend: Frontend): number[] {
    const endpoint = endpointOf(frontend)
    if (inheritedFor(endpoint, this.#inherited).length > 0) return []
    const { workers, liveness } = this.#settings
    const fds: number[] = []
    try {
      while (fds.length < workers) fds.push(openListener(endpoint, liveness, { isFreebind: true }))
    } catch (error) {
      closeAll(fds)
      throw error
    }
    return fds
  }

  #serveOptions(frontend: Frontend, snapshot: Snapshot): ServeOptions<EdgeRoleOptions> {
    const { workers: _workers, timeouts, ...settings } = this.#settings
    const service = snapshot.services.find(({ name }) => name === frontend.service)
    if (service === undefined) throw new Error(`"${frontend.name}" leads to "${frontend.service}", which is not there`)
    const { name, address, port, proxyHeader } = frontend
    const { backends, groups, frontends, cells } = this.#table
    return {
      timeouts: { ...timeouts, idleTimeoutMs: service.idleTimeoutMs },
      tls: this.#tls.serverOptions(frontend),
      roleOptions: {
        ...settings,
        cells,
        frontend: { id: idOf(frontends, frontendIdKey(frontend)), name, address, port, proxyHeader },
        service: {
          name: service.name,
          logSampleRate: service.logSampleRate,
          tls: service.tls,
          groups: service.groups.map((group) => ({
            ...group,
            id: idOf(groups, groupIdKey(service.name, group.name)),
            backends: placedBackends({ services: [{ ...service, groups: [group] }] }).map(({ backend, key }) => ({
              ...backend,
              id: idOf(backends, backendIdKey(key, backend)),
            })),
          })),
        },
      },
    }
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) close(fd)
}

/** Where a frontend listens. */
export function endpointOf({ name, address, port }: Frontend): Endpoint {
  const parsed = parseIpAddress(address)
  // The snapshot's compiler has checked every address.
  if (parsed === undefined) throw new Error(`The address of frontend "${name}" is "${address}"`)
  return { address: parsed, port }
}

/** A frontend as logs show it: `my-rule 203.0.113.10:110`. */
export function describeFrontend(frontend: Frontend): string {
  return `${frontend.name} ${formatEndpoint(endpointOf(frontend))}`
}

/** The addresses that frontends listen on, as canonical texts. */
export function addressesOf(frontends: readonly Frontend[]): Set<string> {
  return new Set(frontends.map((frontend) => formatIpAddress(endpointOf(frontend).address)))
}
