import { quoted } from '../compute/problem.ts'
import { formatScope, parseReference, type Reference, type Scope } from '../compute/reference.ts'
import type { CheckedResource, CollectionName } from '../compute/resources.ts'
import type { Compilation } from './compilation.ts'
import { placeOf, type ResourceIn } from './resource-index.ts'

/** Names that a message offers. */
const NAMES_MAX = 5

/** A field of a resource that names another one, and of which collections that may be. */
type ReferenceField<Collection extends CollectionName> = {
  readonly path: string
  readonly text: string
  readonly collections: readonly Collection[]
}

/**
 * Finds the resource that a reference means, which has to be in one of the collections; undefined: it is a problem.
 *
 * The project and the host in a reference mean nothing here. Where no scope is given, that of the resource with the
 * reference comes first, then any other that has the name alone.
 */
export function resolve<Collection extends CollectionName>(
  { resources, report, isUnsound }: Compilation,
  from: CheckedResource,
  { path, text, collections }: ReferenceField<Collection>,
): ResourceIn<Collection> | undefined {
  const reference = parseReference(text)
  if (reference === undefined) {
    report(from, path, 'invalid', `${quoted(text)} is not a reference`, 'give a name or a URL')
    return undefined
  }
  // A wrong kind is found when the resource is checked; here the kind tells one sort of target proxy from the other.
  const allowed = collections.filter((collection) => (reference.collection ?? collection) === collection)
  const named = resources.named(allowed, reference.name)
  const candidates = inScope(named, reference.scope, from.scope)
  if (candidates.length === 1) return candidates[0]
  if (candidates.length > 1) {
    report(from, path, 'invalid', `${shown(reference)} matches more than one resource`, `name ${placesOf(candidates)}`)
  } else if (!allowed.some((collection) => isUnsound(collection, reference.name))) {
    const others = named.length > 0 ? named : resources.some(allowed, NAMES_MAX)
    const remedy = others.length > 0 ? `add it, or name ${placesOf(others)}` : 'add it'
    report(from, path, 'notFound', `${shown(reference)} is not among the resources`, remedy)
  }
  return undefined
}

/** Without the host and the project, which say nothing here. */
function shown({ scope, collection, name }: Reference): string {
  const parts = [scope && formatScope(scope), collection, name]
  return `"${parts.filter((part) => part !== undefined).join('/')}"`
}

function placesOf(resources: readonly CheckedResource[]): string {
  return resources.slice(0, NAMES_MAX).map(placeOf).join(' or ')
}

function inScope<Resource extends CheckedResource>(
  resources: readonly Resource[],
  scope: Scope | undefined,
  own: Scope,
): readonly Resource[] {
  if (scope !== undefined) return resources.filter((resource) => isSameScope(resource.scope, scope))
  const near = resources.filter((resource) => isSameScope(resource.scope, own))
  return near.length > 0 ? near : resources
}

function isSameScope(a: Scope, b: Scope): boolean {
  if (a.kind === 'zone') return b.kind === 'zone' && a.zone === b.zone
  return a.kind === 'region' ? b.kind === 'region' && a.region === b.region : b.kind === 'global'
}
