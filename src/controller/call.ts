import type { EdgeTls, HealthSource, InstanceProvider } from './api.ts'
import type { ApiRequest } from './api-request.ts'
import type { Warning } from './operations.ts'
import type { ReferenceIndex } from './reference-index.ts'
import type { Route } from './route.ts'
import type { Change, JsonValue, ResourceKey, Store } from './store.ts'

/** What methods read besides the request. */
export type World = {
  readonly store: Store
  readonly references: ReferenceIndex
  readonly random: (count: number) => Uint8Array
  readonly health: HealthSource
  readonly edgeTls: EdgeTls
  readonly projects: readonly string[]
  readonly addressPools: readonly string[]
  readonly addresses: readonly string[]
  readonly provider: InstanceProvider | undefined
}

/** One request on its way through a method. */
export type Call = {
  readonly world: World
  readonly request: ApiRequest
  readonly route: Route
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
