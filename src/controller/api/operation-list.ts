import { type ListItem, type ListQuery, timeOfOrder } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { LOCATION } from '../model/resource-paths.ts'
import { shownOperation } from '../resources/shown-operation.ts'

/** Read at a time: a page is rarely larger, and nobody waits for those that it has no room for. */
const CHUNK_SIZE = 100

/** The operations of a scope, or of all of Compute Engine, in the order of a query and from where it begins. */
export function* operationItems(
  { world, route: { project }, request: { baseUrl } }: Call,
  scope: string | undefined,
  { orderBy, after }: ListQuery,
): Generator<ListItem> {
  const { store } = world
  const isByTime = orderBy !== 'name' && scope !== undefined
  let last = after && { inserted: timeOfOrder(after[0]), scope: after[1], name: after[2] }
  for (;;) {
    const chunk = isByTime
      ? store.latestOperations(project, scope, last, CHUNK_SIZE)
      : store.operations(project, scope, last, CHUNK_SIZE)
    for (const one of chunk) {
      if (scope === undefined && one.scope === LOCATION) continue
      yield { scope: one.scope, name: one.name, view: shownOperation(world, one, baseUrl) }
    }
    if (chunk.length < CHUNK_SIZE) return
    last = chunk.at(-1)
  }
}
