import type { Mapping } from '../compute/json-value.ts'
import { formatProblem, type Problem } from '../compute/problem.ts'
import type { CheckedResource, CheckedResourceOf } from '../compute/resources.ts'
import { compile } from '../snapshot/compile.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { Publication } from './api.ts'
import { keyOfPath } from './resource-paths.ts'
import { checkedOf } from './servable.ts'
import type { Store, StoredResource } from './store.ts'

const EMPTY: Snapshot = { frontends: [], services: [], healthChecks: [] }
/** A chain from a forwarding rule to an instance is shorter. */
const ROUNDS_MAX = 10

/** Compiles what a store holds. Names of all projects but the first begin with theirs: `p2/my-tcp-lb`. */
export function publish(store: Store, projects: readonly string[]): Publication {
  const leftOut: string[] = []
  const all = store.all()
  const snapshots = [...new Set(all.map(({ project }) => project))].map((project) => {
    const own = all.filter((resource) => resource.project === project)
    const snapshot = compileServable(own, leftOut)
    return project === projects[0] ? snapshot : prefixed(snapshot, project)
  })
  const snapshot: Snapshot = {
    frontends: snapshots.flatMap(({ frontends }) => frontends),
    services: snapshots.flatMap(({ services }) => services),
    healthChecks: snapshots.flatMap(({ healthChecks }) => healthChecks),
  }
  return { version: store.revision(), snapshot, leftOut }
}

/** Compiles what can be served: what has a problem is left out, then what refers to it, and so on. */
function compileServable(stored: readonly StoredResource[], leftOut: string[]): Snapshot {
  const named = namedPortsOf(stored)
  let resources = stored.flatMap((one) => {
    const checked = checkedOf(one)
    return checked === undefined ? [] : [checked.collection === 'backendServices' ? withPorts(checked, named) : checked]
  })
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = compile(resources)
    if ('snapshot' in result) return result.snapshot
    for (const problem of result.problems) leftOut.push(formatProblem(problem))
    resources = without(resources, result.problems)
  }
  return EMPTY
}

function without(resources: readonly CheckedResource[], problems: readonly Problem[]): CheckedResource[] {
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
