import type { Mapping } from '../../compute/json-value.ts'
import { formatProblem, type Problem } from '../../compute/problem.ts'
import type { CheckedResource, CheckedResourceOf } from '../../compute/resources.ts'
import { compile } from '../../snapshot/compile.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import { compareTexts } from '../../text/compare-texts.ts'
import type { ReferenceIndex } from '../model/reference-index.ts'
import { keyOfPath, pathOf } from '../model/resource-paths.ts'
import type { EdgeTls, Publication } from '../model/world.ts'
import { checkedOf } from '../resources/servable.ts'
import type { Change, Store, StoredResource } from '../store/store.ts'

/** Resources on a connection's way to a service; what they name besides is not on it. */
const LEADS_TO_SERVICE = ['forwardingRules', 'targetTcpProxies', 'targetSslProxies']
const EMPTY: Snapshot = { frontends: [], services: [], healthChecks: [] }
/** A chain from a forwarding rule to an instance is shorter. */
const ROUNDS_MAX = 10

/** One backend service with all that leads to it and all behind it, compiled; and what of it is left out. */
type Chain = { readonly snapshot: Snapshot; readonly leftOut: readonly string[] }

/**
 * Compiles what a store holds, service by service: a change compiles those services again that it has to do with.
 *
 * Names of all projects but the first begin with theirs: `p2/my-tcp-lb`.
 */
export class Publisher {
  readonly #store: Store
  readonly #references: ReferenceIndex
  readonly #project: string | undefined
  readonly #refusedIn: EdgeTls['refusedIn']
  /** By the path of the service; undefined: it has to be compiled. */
  readonly #chains = new Map<string, Chain | undefined>()
  #latest: Publication | undefined

  constructor(store: Store, references: ReferenceIndex, projects: readonly string[], refusedIn: EdgeTls['refusedIn']) {
    this.#store = store
    this.#refusedIn = refusedIn
    this.#references = references
    this.#project = projects[0]
    for (const resource of store.all()) {
      if (resource.collection === 'backendServices') this.#chains.set(pathOf(resource), undefined)
    }
  }

  /** Has to be called before and after the references follow a change: what it leads to may be another thing then. */
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
  #chainOf(path: string): Chain | undefined {
    const kept = this.#chains.get(path)
    if (kept !== undefined) return kept
    const service = this.#get(path)
    if (service === undefined) {
      this.#chains.delete(path)
      return undefined
    }
    const leftOut: string[] = []
    const snapshot = compileServable(this.#resourcesOf(path), this.#refusedIn, leftOut)
    const { project } = service
    const chain = { snapshot: project === this.#project ? snapshot : prefixed(snapshot, project), leftOut }
    this.#chains.set(path, chain)
    return chain
  }

  /** The service, its proxies and their rules, and everything that one of them names. */
  #resourcesOf(service: string): readonly StoredResource[] {
    const proxies = this.#references.usersOf(service)
    const rules = proxies.flatMap((proxy) => this.#references.usersOf(proxy))
    // Without a rule nothing of it is served.
    const open = rules.length === 0 ? [] : [service, ...proxies, ...rules]
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
    const key = keyOfPath(path)
    return key && this.#store.get(key.project, key.collection, key.scope, key.name)
  }
}

function isTowardsService(link: string): boolean {
  const collection = keyOfPath(link)?.collection ?? ''
  return collection === 'backendServices' || LEADS_TO_SERVICE.includes(collection)
}

/** Compiles what can be served: what has a problem is left out, then what refers to it, and so on. */
function compileServable(
  stored: readonly StoredResource[],
  refusedIn: EdgeTls['refusedIn'],
  leftOut: string[],
): Snapshot {
  const named = namedPortsOf(stored)
  let resources = stored.flatMap((one) => {
    const checked = checkedOf(one)
    return checked === undefined ? [] : [checked.collection === 'backendServices' ? withPorts(checked, named) : checked]
  })
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = compile(resources)
    if ('problems' in result) {
      for (const problem of result.problems) leftOut.push(formatProblem(problem))
      resources = without(resources, result.problems)
      continue
    }
    // An edge takes all of a version or nothing: one certificate must not keep back what is right.
    const refused = refusedIn(result.snapshot)
    if (refused.length === 0) return result.snapshot
    for (const { resource, problem } of refused) leftOut.push(`${resource}: ${problem}`)
    resources = without(resources, refused)
  }
  return EMPTY
}

function uniqueByName<Named extends { readonly name: string }>(items: readonly Named[]): readonly Named[] {
  const byName = new Map(items.map((item) => [item.name, item]))
  return [...byName.values()].sort((a, b) => compareTexts(a.name, b.name))
}

function without(
  resources: readonly CheckedResource[],
  problems: readonly Pick<Problem, 'resource'>[],
): CheckedResource[] {
  const faulty = new Set(problems.map(({ resource }) => resource))
  return resources.filter(({ collection, name }) => !faulty.has(`${collection}/${name}`))
}

/** The names of the ports of every instance group, by its path. */
function namedPortsOf(stored: readonly StoredResource[]): ReadonlyMap<string, ReadonlySet<unknown>> {
  const groups = stored.filter(({ collection }) => collection === 'instanceGroups')
  return new Map(
    groups.map(({ project, scope, name, resource }) => {
      const ports = resource.namedPorts as readonly Mapping[]
      return [`projects/${project}/${scope}/instanceGroups/${name}`, new Set(ports.map((port) => port.name))]
    }),
  )
}

/** A service without those groups that have no port of its name: they serve nobody, and the others go on. */
function withPorts(
  checked: CheckedResourceOf<'backendServices'>,
  named: ReadonlyMap<string, ReadonlySet<unknown>>,
): CheckedResource {
  const { resource } = checked
  const backends = resource.backends.filter(({ group }) => {
    return keyOfPath(group)?.collection !== 'instanceGroups' || named.get(group)?.has(resource.portName) === true
  })
  return backends.length === resource.backends.length ? checked : { ...checked, resource: { ...resource, backends } }
}

function prefixed(snapshot: Snapshot, project: string): Snapshot {
  const long = (name: string) => `${project}/${name}`
  return {
    frontends: snapshot.frontends.map((one) => {
      return { ...one, name: long(one.name), proxy: long(one.proxy), service: long(one.service) }
    }),
    services: snapshot.services.map((one) => {
      return { ...one, name: long(one.name), healthCheck: one.healthCheck && long(one.healthCheck) }
    }),
    healthChecks: snapshot.healthChecks.map((one) => ({ ...one, name: long(one.name) })),
  }
}
