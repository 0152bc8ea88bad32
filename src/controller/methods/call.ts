import type { WorkBudget } from '../model/work-budget.ts'
import type { Warning, World } from '../model/world.ts'
import type { Change, JsonValue, ResourceKey } from '../store/store.ts'
import type { ApiRequest } from './api-request.ts'
import type { Route } from './route.ts'

/** One request on its way through a method. */
export type Call = {
  readonly world: World
  readonly request: ApiRequest
  readonly route: Route
  /** For all that is worked out for the answer. */
  readonly budget: WorkBudget
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What a method wants to be stored; nothing was changed yet. */
export type ResourceChange = {
  readonly target: ResourceKey & { readonly id: string }
  readonly before: JsonValue
  readonly after: JsonValue
  readonly changes: readonly Change[]
  readonly warnings: readonly Warning[]
  /** Edges may have to open or close a listener. */
  readonly changesListeners: boolean
}
