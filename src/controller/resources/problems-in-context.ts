import { checkResource } from '../../compute/check-resource.ts'
import { mappingsOf } from '../../compute/json-value.ts'
import type { Problem } from '../../compute/problem.ts'
import { formatScope } from '../../compute/reference.ts'
import {
  type CheckedResource,
  type CheckedResourceOf,
  type CollectionName,
  isCollectionName,
} from '../../compute/resources.ts'
import { compile } from '../../snapshot/compile.ts'
import { linksOf } from '../model/reference-index.ts'
import { keyOfPath, pathOf, scopeOf, storedAt } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { StoredResource } from '../store/store.ts'

const checkedResources = new WeakMap<StoredResource, CheckedResource>()

/** A stored resource as the compiler takes it, with its secrets, and with defaults that came after it was stored. */
export function checkedOf(stored: StoredResource): CheckedResource | undefined {
  const { collection, name } = stored
  if (!isCollectionName(collection)) return undefined
  const kept = checkedResources.get(stored)
  if (kept !== undefined) return kept
  const scope = scopeOf(stored.scope)
  const whole = { ...stored.resource, ...stored.secret }
  const result = checkResource<CollectionName>(collection, whole, '', scope)
  const checked = 'checked' in result ? result.checked : { collection, scope, name, source: '', resource: whole }
  checkedResources.set(stored, checked as CheckedResource)
  return checked as CheckedResource
}

/**
 * What is wrong with a resource together with everything that it refers to, directly or not, and with other services that
 * use the same groups.
 *
 * Left out is what the API allows, because it is a step on the way: an instance group that has no port of the service's
 * name yet, and a forwarding rule of a kind that edges do not serve.
 */
export function problemsInContext(world: World, candidate: CheckedResource): readonly Problem[] {
  const found = new Map<string, CheckedResource>()
  const open = [...linksOf(candidate, candidate.resource as Readonly<Record<string, unknown>>)]
  for (let link = open.pop(); link !== undefined; link = open.pop()) {
    const stored = found.has(link) ? undefined : storedAt(world.store, link)
    const checked = stored && checkedOf(stored)
    if (stored === undefined || checked === undefined || isSamePlace(checked, candidate)) continue
    found.set(pathOf(stored), checked)
    if (candidate.collection === 'backendServices') open.push(...servicesOfOtherMode(world, candidate, pathOf(stored)))
    // What other services name is not looked at.
    const isOther = candidate.collection === 'backendServices' && stored.collection === 'backendServices'
    if (!isOther) open.push(...linksOf(stored, stored.resource))
  }
  const result = compile([candidate, ...found.values()])
  if (!('problems' in result)) return []
  const own = `${candidate.collection}/${candidate.name}`
  return result.problems.filter((problem) => problem.resource === own && !isAllowed(problem))
}

/** The services that use a group of a candidate in another balancing mode; there may be many that use it as it does. */
function servicesOfOtherMode(
  { store, references }: World,
  { resource: { backends } }: CheckedResourceOf<'backendServices'>,
  group: string,
): readonly string[] {
  const own = backends.find((backend) => backend.group === group)
  if (own === undefined) return []
  return references.usersOf(group).filter((path) => {
    const { project = '', collection = '', scope = '', name = '' } = keyOfPath(path) ?? {}
    const used = store.get(project, collection, scope, name)?.resource.backends
    return mappingsOf(used).some((entry) => entry.group === group && entry.balancingMode !== own.balancingMode)
  })
}

function isSamePlace(a: CheckedResource, b: CheckedResource): boolean {
  return a.collection === b.collection && a.name === b.name && formatScope(a.scope) === formatScope(b.scope)
}

/** Says whether the API allows what keeps a resource from being served. */
function isAllowed({ path, code }: Problem): boolean {
  return path === 'portName' || code === 'notFound' || code === 'unsupported'
}
