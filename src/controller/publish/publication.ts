import { compileServable, type RefusedIn, type Servable } from '../../snapshot/servable.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import { compareTexts } from '../../text/compare-texts.ts'
import type { ReferenceIndex } from '../model/reference-index.ts'
import { keyOfPath, pathOf, storedAt } from '../model/resource-paths.ts'
import type { Publication } from '../model/world.ts'
import { checkedOf } from '../resources/problems-in-context.ts'
import type { Change, Store, StoredResource } from '../store/store.ts'

/** Resources on a connection's way to a service; what they name besides is not on it. */
const LEADS_TO_SERVICE = ['forwardingRules', 'targetTcpProxies', 'targetSslProxies']

/**
 * Compiles what a store holds, service by service: a change compiles those services again that it has to do with.
 *
 * Names of all projects but the first begin with theirs: `p2/my-tcp-lb`.
 */
export class Publisher {
  readonly #store: Store
  readonly #references: ReferenceIndex
  readonly #project: string | undefined
  readonly #refusedIn: RefusedIn
  /** Each backend service with all that leads to it and all behind it, by its path; undefined: it has to be compiled. */
  readonly #chains = new Map<string, Servable | undefined>()
  #latest: Publication | undefined

  constructor(store: Store, references: ReferenceIndex, projects: readonly string[], refusedIn: RefusedIn) {
    this.#store = store
    this.#refusedIn = refusedIn
    this.#references = references
    this.#project = projects[0]
    for (const resource of store.all()) {
      if (resource.collection === 'backendServices') this.#chains.set(pathOf(resource), undefined)
    }
  }

  /** Notes what a change has to do with, as the references are: `followCommits` calls it before and after these follow. */
  touch(changes: readonly Change[]): void {
    for (const change of changes) {
      const path = pathOf('put' in change ? change.put : change.delete)
      for (const service of this.#servicesAround(path)) this.#chains.set(service, undefined)
    }
  }

  /** The latest version, and its snapshot. */
  publication(): Publication {
    const version = this.#store.revision()
    if (this.#latest?.version === version) return this.#latest
    const chains = [...this.#chains.keys()].flatMap((path) => this.#chainOf(path) ?? [])
    const snapshots = chains.map(({ snapshot }) => snapshot)
    const snapshot: Snapshot = {
      frontends: uniqueByName(snapshots.flatMap(({ frontends }) => frontends)),
      services: uniqueByName(snapshots.flatMap(({ services }) => services)),
      healthChecks: uniqueByName(snapshots.flatMap(({ healthChecks }) => healthChecks)),
    }
    this.#latest = { version, snapshot, leftOut: chains.flatMap(({ leftOut }) => leftOut) }
    return this.#latest
  }

  /** Undefined: there is no such service any more. */
  #chainOf(path: string): Servable | undefined {
    const kept = this.#chains.get(path)
    if (kept !== undefined) return kept
    const service = this.#get(path)
    if (service === undefined) {
      this.#chains.delete(path)
      return undefined
    }
    const resources = this.#resourcesOf(path).flatMap((stored) => checkedOf(stored) ?? [])
    const { snapshot, leftOut } = compileServable(resources, this.#refusedIn)
    const { project } = service
    const chain = { snapshot: project === this.#project ? snapshot : prefixed(snapshot, project), leftOut }
    this.#chains.set(path, chain)
    return chain
  }

  /** The service, its proxies and their rules, and everything that one of them names. */
  #resourcesOf(service: string): readonly StoredResource[] {
    const users = this.#references.usersOf(service)
    // A rule for UDP names the service itself.
    const rules = [...users, ...users.flatMap((proxy) => this.#references.usersOf(proxy))].filter(isRule)
    // Without a rule nothing of it is served.
    const open = rules.length === 0 ? [] : [service, ...users, ...rules]
    const found = new Map<string, StoredResource>()
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const stored = found.has(path) ? undefined : this.#get(path)
      if (stored === undefined) continue
      found.set(path, stored)
      open.push(...this.#references.linksFrom(path))
    }
    return [...found.values()]
  }

  /** The services that a resource leads to, and those that lead to it. */
  #servicesAround(start: string): ReadonlySet<string> {
    const services = new Set<string>()
    const seen = new Set<string>()
    const open = [start]
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue
      seen.add(path)
      const collection = keyOfPath(path)?.collection
      if (collection === 'backendServices') services.add(path)
      else if (collection !== undefined && LEADS_TO_SERVICE.includes(collection)) {
        open.push(...this.#references.linksFrom(path).filter(isTowardsService))
      } else open.push(...this.#references.usersOf(path))
    }
    return services
  }

  #get(path: string): StoredResource | undefined {
    return storedAt(this.#store, path)
  }
}

function isRule(path: string): boolean {
  return keyOfPath(path)?.collection === 'forwardingRules'
}

function isTowardsService(link: string): boolean {
  const collection = keyOfPath(link)?.collection ?? ''
  return collection === 'backendServices' || LEADS_TO_SERVICE.includes(collection)
}

function uniqueByName<Named extends { readonly name: string }>(items: readonly Named[]): readonly Named[] {
  const byName = new Map(items.map((item) => [item.name, item]))
  return [...byName.values()].sort((a, b) => compareTexts(a.name, b.name))
}

function prefixed(snapshot: Snapshot, project: string): Snapshot {
  const long = (name: string) => `${project}/${name}`
  return {
    frontends: snapshot.frontends.map((one) => {
      return { ...one, name: long(one.name), proxy: one.proxy && long(one.proxy), service: long(one.service) }
    }),
    services: snapshot.services.map((one) => {
      const { policy } = one.spreading
      return {
        ...one,
        name: long(one.name),
        healthCheck: one.healthCheck && long(one.healthCheck),
        spreading: { ...one.spreading, policy: policy && long(policy) },
      }
    }),
    healthChecks: snapshot.healthChecks.map((one) => ({ ...one, name: long(one.name) })),
  }
}
