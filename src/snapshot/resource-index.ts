import { formatReference, formatScope } from '../compute/reference.ts'
import type { CheckedResource, CollectionName } from '../compute/resources.ts'
import { compareTexts } from '../text/compare-texts.ts'

/** A sound resource of one collection, or of one of several: then `collection` tells which. */
export type ResourceIn<Collection extends CollectionName> = Extract<
  CheckedResource,
  { readonly collection: Collection }
>

/** Resources by what a reference can say about them. */
export class ResourceIndex {
  readonly #byCollection = new Map<CollectionName, CheckedResource[]>()
  readonly #byName = new Map<CollectionName, Map<string, CheckedResource[]>>()

  /** Of several resources of one collection, scope and name the first in order counts; `onRepeated` is told the others. */
  constructor(
    resources: readonly CheckedResource[],
    onRepeated: (resource: CheckedResource, first: CheckedResource) => void,
  ) {
    let first: CheckedResource | undefined
    for (const resource of resources.toSorted(compareResources)) {
      if (first !== undefined && comparePlaces(first, resource) === 0) {
        onRepeated(resource, first)
        continue
      }
      first = resource
      append(this.#byCollection, resource.collection, resource)
      append(this.#namesOf(resource.collection), resource.name, resource)
    }
  }

  /** The resources of a collection, by name. */
  all<Collection extends CollectionName>(collection: Collection): readonly ResourceIn<Collection>[] {
    return (this.#byCollection.get(collection) ?? []).filter((resource) => isIn(resource, [collection]))
  }

  /** Some resources of the collections, the first by name. */
  some(collections: readonly CollectionName[], countMax: number): readonly CheckedResource[] {
    const lists = collections.map((collection) => this.#byCollection.get(collection) ?? [])
    return lists.flatMap((list) => list.slice(0, countMax)).slice(0, countMax)
  }

  /** The resources of the collections that have this name, in any scope. */
  named<Collection extends CollectionName>(
    collections: readonly Collection[],
    name: string,
  ): readonly ResourceIn<Collection>[] {
    const named: ResourceIn<Collection>[] = []
    for (const collection of collections) {
      const found = this.#byName.get(collection)?.get(name)
      if (found !== undefined) for (const resource of found) if (isIn(resource, collections)) named.push(resource)
    }
    return named
  }

  #namesOf(collection: CollectionName): Map<string, CheckedResource[]> {
    const names = this.#byName.get(collection) ?? new Map<string, CheckedResource[]>()
    this.#byName.set(collection, names)
    return names
  }
}

/** Where a resource is, in full: `zones/us-central1-b/instances/my-backend`. */
export function placeOf({ scope, collection, name }: CheckedResource): string {
  return formatReference(scope, collection, name)
}

/** A resource's name among all scopes: `my-tcp-lb`, `us-central1/my-regional-lb`, `us-central1-b/my-instance-group`. */
export function scopedName({ scope, name }: Pick<CheckedResource, 'scope' | 'name'>): string {
  if (scope.kind === 'global') return name
  return `${scope.kind === 'region' ? scope.region : scope.zone}/${name}`
}

/** Two resources of one place and source have no order of their own but that of what they say. */
function compareResources(a: CheckedResource, b: CheckedResource): number {
  return (
    comparePlaces(a, b) ||
    compareTexts(a.source, b.source) ||
    compareTexts(JSON.stringify(a.resource), JSON.stringify(b.resource))
  )
}

function comparePlaces(a: CheckedResource, b: CheckedResource): number {
  return (
    compareTexts(a.collection, b.collection) ||
    compareTexts(a.name, b.name) ||
    compareTexts(formatScope(a.scope), formatScope(b.scope))
  )
}

function isIn<Collection extends CollectionName>(
  resource: CheckedResource,
  collections: readonly Collection[],
): resource is ResourceIn<Collection> {
  const names: readonly CollectionName[] = collections
  return names.includes(resource.collection)
}

function append<Key>(lists: Map<Key, CheckedResource[]>, key: Key, resource: CheckedResource): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [resource])
  else list.push(resource)
}
