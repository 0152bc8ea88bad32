import { backendKey } from './backend-key.ts'
import { isSame } from './same.ts'
import type { Backend, BackendService, Frontend, Snapshot } from './snapshot.ts'
import { socketOf } from './socket-of.ts'

/**
 * What an edge does to come from one snapshot to the next.
 *
 * Frontends are told apart by protocol, address and port, not by name: those make the socket, and a forwarding rule that is
 * renamed keeps it. Health checks are not part of it: whoever runs them takes the new set as a whole.
 */
export type Difference = {
  readonly opened: readonly Frontend[]
  readonly closed: readonly Frontend[]
  /** Protocol, address and port stay; the name, the header, TLS or the name of the service is another. */
  readonly changed: readonly ChangedFrontend[]
  /** Services by their names; a frontend is not changed by what becomes of the service that it leads to. */
  readonly services: ChangedServices
  /** To be applied before `joined`: a backend whose address or port changed is in both, with the same key. */
  readonly left: readonly LeftBackend[]
  readonly joined: readonly JoinedBackend[]
}

/** A frontend that goes on listening, for new connections as `after` says. */
export type ChangedFrontend = { readonly before: Frontend; readonly after: Frontend }

/** What becomes of services. */
export type ChangedServices = {
  readonly added: readonly BackendService[]
  /** As they are now; anything inside is another. */
  readonly changed: readonly BackendService[]
  readonly removed: readonly BackendService[]
}

/** A backend that new connections may go to from now on. */
export type JoinedBackend = {
  /** See {@link backendKey}. */
  readonly key: string
  readonly address: string
  readonly port: number
}

/** A backend that no new connection goes to. */
export type LeftBackend = {
  /** See {@link backendKey}. */
  readonly key: string
  /** What left with it: nothing else, the whole group, or the whole service. */
  readonly scope: 'backend' | 'group' | 'service'
  /**
   * How long its connections may go on: the longest time, before or now, of the services that have or had its group
   * (as Google does: cloud.google.com/load-balancing/docs/enabling-connection-draining).
   */
  readonly drainingTimeoutMs: number
}

/** Compares two snapshots. Pure; the order is that of the snapshots. */
export function diff(before: Snapshot, after: Snapshot): Difference {
  const services = diffServices(before.services, after.services)
  return { ...diffFrontends(before, after), services, ...diffBackends(before, after, services) }
}

function diffFrontends(before: Snapshot, after: Snapshot): Pick<Difference, 'opened' | 'closed' | 'changed'> {
  const oldSockets = new Map(before.frontends.map((frontend) => [socketOf(frontend), frontend]))
  const newSockets = new Set(after.frontends.map(socketOf))
  const opened: Frontend[] = []
  const changed: ChangedFrontend[] = []
  for (const frontend of after.frontends) {
    const old = oldSockets.get(socketOf(frontend))
    if (old === undefined) opened.push(frontend)
    else if (!isSame(old, frontend)) changed.push({ before: old, after: frontend })
  }
  return { opened, closed: before.frontends.filter((frontend) => !newSockets.has(socketOf(frontend))), changed }
}

function diffServices(before: readonly BackendService[], after: readonly BackendService[]): ChangedServices {
  const old = new Map(before.map((service) => [service.name, service]))
  const names = new Set(after.map(({ name }) => name))
  const added: BackendService[] = []
  const changed: BackendService[] = []
  for (const service of after) {
    const known = old.get(service.name)
    if (known === undefined) added.push(service)
    else if (!isSame(known, service)) changed.push(service)
  }
  return { added, changed, removed: before.filter(({ name }) => !names.has(name)) }
}

function diffBackends(
  before: Snapshot,
  after: Snapshot,
  { added, changed, removed }: ChangedServices,
): Pick<Difference, 'left' | 'joined'> {
  const differing = new Set([...added, ...changed, ...removed].map(({ name }) => name))
  const oldBackends = backendsByKey(before, differing)
  const newBackends = backendsByKey(after, differing)
  const joined: JoinedBackend[] = []
  for (const [key, { backend }] of newBackends) {
    if (isSameEndpoint(backend, oldBackends.get(key)?.backend)) continue
    joined.push({ key, address: backend.address, port: backend.port })
  }
  const services = new Map(after.services.map((service) => [service.name, service]))
  const drainingTimeouts = longestDrainingTimeouts(before, after)
  const left: LeftBackend[] = []
  for (const [key, { service, group, backend }] of oldBackends) {
    if (isSameEndpoint(backend, newBackends.get(key)?.backend)) continue
    const remaining = services.get(service)
    const hasGroup = remaining?.groups.some(({ name }) => name === group) === true
    const scope = remaining === undefined ? 'service' : hasGroup ? 'backend' : 'group'
    left.push({ key, scope, drainingTimeoutMs: drainingTimeouts.get(group) ?? 0 })
  }
  return { left, joined }
}

type PlacedBackend = { readonly service: string; readonly group: string; readonly backend: Backend }

/** Those of the services with these names. */
function backendsByKey({ services }: Snapshot, names: ReadonlySet<string>): Map<string, PlacedBackend> {
  const backends = new Map<string, PlacedBackend>()
  for (const service of services) {
    if (!names.has(service.name)) continue
    for (const group of service.groups) {
      for (const backend of group.backends) {
        const key = backendKey(service.name, group.name, backend.name)
        backends.set(key, { service: service.name, group: group.name, backend })
      }
    }
  }
  return backends
}

function isSameEndpoint(a: Backend, b: Backend | undefined): boolean {
  return a.address === b?.address && a.port === b.port
}

/** By the group's name. */
function longestDrainingTimeouts(before: Snapshot, after: Snapshot): Map<string, number> {
  const longest = new Map<string, number>()
  for (const { groups, drainingTimeoutMs } of [...before.services, ...after.services]) {
    for (const { name } of groups) longest.set(name, Math.max(longest.get(name) ?? 0, drainingTimeoutMs))
  }
  return longest
}
