import assert from 'node:assert/strict'
import { compareTexts } from '../../text/compare-texts.ts'
import type { Change, ResourceKey, StoredResource } from './store.ts'

/**
 * Resources in memory, sorted. Tables are never changed: a change makes another one, so that whoever holds a list keeps
 * it as it was.
 */
export class ResourceTable {
  /** By project and collection; each in the order of scope and name. */
  readonly #lists: ReadonlyMap<string, readonly StoredResource[]>

  private constructor(lists: ReadonlyMap<string, readonly StoredResource[]>) {
    this.#lists = lists
  }

  /** Makes a table of resources in any order; they are frozen. */
  static of(resources: readonly StoredResource[]): ResourceTable {
    const lists = new Map<string, StoredResource[]>()
    for (const resource of resources) {
      const key = listKey(resource.project, resource.collection)
      const list = lists.get(key)
      if (list === undefined) lists.set(key, [deepFreeze(resource)])
      else list.push(deepFreeze(resource))
    }
    for (const list of lists.values()) list.sort(comparePlaces)
    return new ResourceTable(lists)
  }

  get(key: ResourceKey): StoredResource | undefined {
    const list = this.#lists.get(listKey(key.project, key.collection)) ?? []
    const index = placeIn(list, key)
    const found = list[index]
    return found !== undefined && comparePlaces(found, key) === 0 ? found : undefined
  }

  list(project: string, collection: string, scope: string | undefined): readonly StoredResource[] {
    const list = this.#lists.get(listKey(project, collection)) ?? []
    if (scope === undefined) return list
    const from = placeIn(list, { scope, name: '' })
    const to = list.findIndex((resource, index) => index >= from && resource.scope !== scope)
    return list.slice(from, to < 0 ? undefined : to)
  }

  all(): readonly StoredResource[] {
    return [...this.#lists.keys()].sort().flatMap((key) => this.#lists.get(key) ?? [])
  }

  /**
   * The table after these changes, one after the other; a frozen copy of what is put has this revision.
   *
   * @throws AssertionError when what is to be deleted is not there
   */
  with(changes: readonly Change[], revision: number): ResourceTable {
    const lists = new Map(this.#lists)
    for (const change of changes) {
      const place = 'put' in change ? change.put : change.delete
      const key = listKey(place.project, place.collection)
      const list = lists.get(key) ?? []
      const index = placeIn(list, place)
      const isThere = index < list.length && comparePlaces(list[index], place) === 0
      assert(isThere || 'put' in change, `There is no ${place.collection} "${place.name}" in ${place.scope} to delete`)
      const put = 'put' in change ? [deepFreeze(jsonCopy({ ...change.put, revision }))] : []
      lists.set(key, list.toSpliced(index, isThere ? 1 : 0, ...put))
    }
    return new ResourceTable(lists)
  }
}

type Place = Pick<ResourceKey, 'scope' | 'name'>

/** Where a resource is or would be in a sorted list. */
function placeIn(list: readonly StoredResource[], place: Place): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (comparePlaces(list[middle], place) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function comparePlaces(a: Place, b: Place): number {
  return compareTexts(a.scope, b.scope) || compareTexts(a.name, b.name)
}

/** Neither name can hold a space. */
function listKey(project: string, collection: string): string {
  return `${project} ${collection}`
}

/** What would be read back from a file. */
function jsonCopy<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}

/** Makes a value, and all in it, unchangeable. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
