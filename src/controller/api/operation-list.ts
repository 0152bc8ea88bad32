import { type ListItem, type ListQuery, timeOfOrder } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { shownOperation } from '../resources/operations.ts'

/** Read at a time: a page is rarely larger, and nobody waits for those that it has no room for. */
const CHUNK_SIZE = 100

/** The operations of a scope, or of all, in the order of a query and from where it begins. */
export function* operationItems(
  { world: { store }, route: { project }, request: { baseUrl } }: Call,
  scope: string | undefined,
  { orderBy, after }: ListQuery,
): Generator<ListItem> {
  const isByTime = orderBy !== 'name' && scope !== undefined
  let last = after && { inserted: timeOfOrder(after[0]), scope: after[1], name: after[2] }
  for (;;) {
    const chunk = isByTime
      ? store.latestOperations(project, scope, last, CHUNK_SIZE)
      : store.operations(project, scope, last, CHUNK_SIZE)
    for (const one of chunk) yield { scope: one.scope, name: one.name, view: shownOperation(one, baseUrl) }
    if (chunk.length < CHUNK_SIZE) return
    last = chunk.at(-1)
  }
}
