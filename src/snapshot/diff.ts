import { backendKey } from './backend-key.ts'
import type { Backend, BackendService, Frontend, Snapshot } from './snapshot.ts'

/**
 * What an edge does to come from one snapshot to the next.
 *
 * Frontends are told apart by address and port, not by name: those make the socket, and a forwarding rule that is
 * renamed keeps it. Health checks are not part of it: whoever runs them takes the new set as a whole.
 */
export type Difference = {
  readonly opened: readonly Frontend[]
  readonly closed: readonly Frontend[]
  /** Address and port stay; the name, the header, the service, or anything inside the service is another. */
  readonly changed: readonly ChangedFrontend[]
  /** To be applied before `joined`: a backend whose address or port changed is in both, with the same key. */
  readonly left: readonly LeftBackend[]
  readonly joined: readonly JoinedBackend[]
}

/** A frontend that goes on listening, for new connections as `after` says. */
export type ChangedFrontend = { readonly before: Frontend; readonly after: Frontend }

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
  return { ...diffFrontends(before, after), ...diffBackends(before, after) }
}

function diffFrontends(before: Snapshot, after: Snapshot): Pick<Difference, 'opened' | 'closed' | 'changed'> {
  const oldSockets = new Map(before.frontends.map((frontend) => [socketOf(frontend), frontend]))
  const newSockets = new Set(after.frontends.map(socketOf))
  const changedServices = namesOfChangedServices(before.services, after.services)
  const opened: Frontend[] = []
  const changed: ChangedFrontend[] = []
  for (const frontend of after.frontends) {
    const old = oldSockets.get(socketOf(frontend))
    if (old === undefined) opened.push(frontend)
    else if (changedServices.has(frontend.service) || !isSame(old, frontend))
      changed.push({ before: old, after: frontend })
  }
  return { opened, closed: before.frontends.filter((frontend) => !newSockets.has(socketOf(frontend))), changed }
}

function socketOf(frontend: Frontend): string {
  return `${frontend.address} ${frontend.port}`
}

function namesOfChangedServices(before: readonly BackendService[], after: readonly BackendService[]): Set<string> {
  const old = new Map(before.map((service) => [service.name, service]))
  return new Set(after.filter((service) => !isSame(old.get(service.name), service)).map((service) => service.name))
}

function diffBackends(before: Snapshot, after: Snapshot): Pick<Difference, 'left' | 'joined'> {
  const oldBackends = backendsByKey(before)
  const newBackends = backendsByKey(after)
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

function backendsByKey(snapshot: Snapshot): Map<string, PlacedBackend> {
  const backends = new Map<string, PlacedBackend>()
  for (const service of snapshot.services) {
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

/** Compares plain data by content. A field that is missing is one that is undefined: a snapshot may come from a file. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const fields = definedFields(b)
  const entries = definedFields(a)
  return entries.size === fields.size && [...entries].every(([name, value]) => isSame(value, fields.get(name)))
}

function definedFields(value: object): Map<string, unknown> {
  return new Map(Object.entries(value).filter(([, field]) => field !== undefined))
}
