import { formatIpAddress } from '../../address/ip-address.ts'
import {
  formatServedPort,
  type InheritedSocket,
  inheritedFor,
  type ServedPort,
} from '../../dataplane/worker/program.ts'
import type { ServeOptions, WorkerPool } from '../../dataplane/worker/worker-pool.ts'
import { openPort } from '../../linux/datagram.ts'
import { SystemCallError } from '../../linux/errno.ts'
import type { Liveness } from '../../linux/liveness.ts'
import { close, openListener } from '../../linux/socket.ts'
import { frontendEndpoint } from '../../snapshot/frontend-endpoint.ts'
import type { Frontend } from '../../snapshot/snapshot.ts'
import { socketOf } from '../../snapshot/socket-of.ts'
import { idOf } from '../backends/edge-ids.ts'
import type { BackendTable } from '../balance/backend-table.ts'
import type { EdgeEntranceOptions, EdgeRoleOptions } from '../worker/edge-role-options.ts'
import type { FrontendTlsStore } from './frontend-tls.ts'

/** Clients may be routed to the host before it has their address. */
const FREEBIND = { isFreebind: true } as const

/** What all listening sockets of an edge have in common. */
export type SocketSettings = { readonly workers: number; readonly liveness: Liveness }

/** A frontend with listening sockets that nobody serves yet. */
export type OpenedFrontend = { readonly frontend: Frontend; readonly fds: readonly number[] }

/** A frontend that cannot be served on this host as it is now, and why. */
export type UnopenedFrontend = { readonly frontend: Frontend; readonly problem: string }

/** The listening sockets of an edge and what lies behind each. */
export class Frontends {
  readonly #settings: SocketSettings
  readonly #pool: WorkerPool<EdgeRoleOptions>
  readonly #table: BackendTable
  readonly #tls: FrontendTlsStore
  readonly #inherited: readonly InheritedSocket[]

  constructor(
    settings: SocketSettings,
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

  /** Opens the sockets of frontends, as far as they can be opened. */
  open(frontends: readonly Frontend[]): {
    readonly opened: readonly OpenedFrontend[]
    readonly unopened: readonly UnopenedFrontend[]
  } {
    const opened: OpenedFrontend[] = []
    const unopened: UnopenedFrontend[] = []
    for (const frontend of frontends) {
      try {
        opened.push({ frontend, fds: this.#openSockets(frontend) })
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error
        unopened.push({ frontend, problem: `Forwarding rule "${frontend.name}": ${error.message}` })
      }
    }
    return { opened, unopened }
  }

  /** Closes sockets that were opened and are not served. */
  discard(opened: readonly OpenedFrontend[]): void {
    for (const { fds } of opened) closeAll(fds)
  }

  /**
   * Hands opened frontends to the workers, who know the services behind them: all of them or, when there is no descriptor left for one, none.
   *
   * @throws SystemCallError
   */
  serve(opened: readonly OpenedFrontend[]): void {
    const served: Frontend[] = []
    try {
      for (const { frontend, fds } of opened) {
        const endpoint = frontendEndpoint(frontend)
        const inherited = inheritedFor(servedPort(frontend), this.#inherited)
        // The pool takes descriptors of its own.
        const inheritedFds = inherited.length > 0 ? inherited : fds
        const { liveness } = this.#settings
        const name = socketOf(frontend)
        if (frontend.protocol === 'TCP') {
          this.#pool.listen(name, { endpoint, liveness, inheritedFds }, this.#serveOptions(frontend))
        } else {
          this.#pool.listenForDatagrams(name, { endpoint, inheritedFds }, this.#entranceOptions(frontend))
        }
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
  change(frontend: Frontend): void {
    const name = socketOf(frontend)
    if (frontend.protocol === 'TCP') this.#pool.change(name, this.#serveOptions(frontend))
    else this.#pool.changeDatagrams(name, this.#entranceOptions(frontend))
  }

  /** Takes what is queued and stops listening; connections go on. */
  close(frontend: Frontend): void {
    this.#pool.unlisten(socketOf(frontend))
  }

  /** One for each worker; none where the service manager has opened them. */
  #openSockets(frontend: Frontend): number[] {
    if (inheritedFor(servedPort(frontend), this.#inherited).length > 0) return []
    const endpoint = frontendEndpoint(frontend)
    const { workers, liveness } = this.#settings
    const fds: number[] = []
    try {
      while (fds.length < workers) {
        const isTcp = frontend.protocol === 'TCP'
        fds.push(isTcp ? openListener(endpoint, liveness, FREEBIND) : openPort(endpoint, FREEBIND))
      }
    } catch (error) {
      closeAll(fds)
      throw error
    }
    return fds
  }

  #serveOptions(frontend: Frontend): ServeOptions<EdgeRoleOptions> {
    return { service: frontend.service, options: this.#entranceOptions(frontend) }
  }

  #entranceOptions(frontend: Frontend): EdgeEntranceOptions {
    const { name, address, port, proxyHeader, service } = frontend
    const id = idOf(this.#table.frontends, socketOf(frontend))
    const tls = this.#tls.serverOptions(frontend)
    return { id, name, address, port, proxyHeader, tls, service }
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) close(fd)
}

/** The port of a frontend. */
export function servedPort(frontend: Frontend): ServedPort {
  return { endpoint: frontendEndpoint(frontend), protocol: frontend.protocol === 'UDP' ? 'udp' : 'tcp' }
}

/** A frontend as logs show it: `my-rule 203.0.113.10:110`. */
export function describeFrontend(frontend: Frontend): string {
  return `${frontend.name} ${formatServedPort(servedPort(frontend))}`
}

/** The addresses that frontends listen on, as canonical texts. */
export function addressesOf(frontends: readonly Frontend[]): Set<string> {
  return new Set(frontends.map((frontend) => formatIpAddress(frontendEndpoint(frontend).address)))
}
